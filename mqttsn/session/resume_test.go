package session

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// restarts has the gateway start again after it was away for so long. What the
// broker has in flight comes again first.
func (p *peer) restarts(away time.Duration) *peer {
	p.t.Helper()
	p.now = p.now.Add(away)
	for i := range p.b.flight {
		p.b.flight[i].DUP = true
	}
	p.b.queue, p.b.flight = append(p.b.flight, p.b.queue...), nil
	s, ok := Resume(mqttsn.V12, &p.cfg, p.now, Kept{ClientID: "dev1", State: p.b.state, Will: p.b.will}, away)
	if !ok {
		p.t.Fatalf("%x cannot be resumed", p.b.state)
	}
	p.s = s
	p.settle()
	return p
}

// TestResumedSession goes on where it was: what it was told it knows, and what
// it was not told it is told.
func TestResumedSession(t *testing.T) {
	p := active(t).sends(register("a/b", 2)).gets("REGACK 1 #2 rc0", Active)
	p.has("a/c", 1, "x").sends(regack(3, 1, 0)).gets("REGISTER a/c=3 #1 | PUBLISH 3 q1 #1 x", Active)
	p.restarts(time.Second).gets("REGISTER a/c=3 #1", Active) // not stored yet that it knows
	p.sends(regack(3, 1, 0)).gets("PUBLISH 3 q1 #1 dup x", Active)
	p.sends(puback(3, 1, 0), publish(short("up"), 1, 7, "y")).gets("PUBACK 30064 #7 rc0", Active) // with this it is
	p.has("a/c", 2, "z").gets("PUBLISH 3 q2 #2 z", Active)
	p.restarts(time.Second).gets("PUBLISH 3 q2 #2 dup z", Active)
	p.sends(&mqttsn.Pubrec{ID: 2}).gets("PUBREL #2", Active)
	p.restarts(time.Second).gets("PUBREL #2", Active)
	p.sends(&mqttsn.Pubcomp{ID: 2}, publish(normal(1), 1, 8, "w")).gets("PUBACK 1 #8 rc0", Active)
	p.sends(sleepFor(time.Hour)).gets("DISCONNECT", Asleep)
	p.has("a/b", 1, "v").restarts(time.Minute).gets("", Asleep)
	p.sends(ping).gets("PUBLISH 1 q1 #3 v", Awake)
	p.restarts(time.Second).gets("", Asleep)
	p.sends(puback(1, 3, 0)).gets("", Asleep)
	p.sends(ping).gets("PUBLISH 1 q1 #3 dup v", Awake).sends(puback(1, 3, 0)).gets("PINGRESP", Asleep)
	p.counted(BadState, 0)
}

// TestWakingStoresNothing: it need not, see Resume.
func TestWakingStoresNothing(t *testing.T) {
	p := asleep(t).has("ab", 1, "x")
	before := string(p.b.state)
	p.b.state = nil
	p.sends(wakeup, puback(0, 1, 0), sleepFor(time.Hour), ping).gets(`PUBLISH short:"ab" q1 #1 x | PINGRESP | DISCONNECT | PINGRESP`, Asleep)
	if p.b.state != nil {
		t.Errorf("stored %x, which was %x", p.b.state, before)
	}
}

// TestResumedDeadlines are what they were, but never less than a client in
// good order needs, nor more than one that has just been heard has.
func TestResumedDeadlines(t *testing.T) {
	for _, tt := range []struct {
		sleep, ago, want time.Duration
	}{
		{time.Hour, 0, 90 * time.Minute},
		{time.Hour, 20 * time.Minute, 70 * time.Minute},
		{time.Hour, time.Hour, 66 * time.Minute},
		{time.Hour, 1 << 62, 66 * time.Minute},
		{time.Hour, -1 << 62, 90 * time.Minute},
		{time.Minute, time.Hour, 90 * time.Second},
		{time.Second, time.Hour, 11 * time.Second},
		{100 * time.Second, time.Hour, 130 * time.Second},
	} {
		p := active(t).sends(sleepFor(tt.sleep))
		s, ok := Resume(mqttsn.V12, &p.cfg, p.now, Kept{ClientID: "dev1", State: p.b.state}, tt.ago)
		if !ok || s.Deadline().Sub(p.now) != tt.want || s.SleepDuration() != tt.sleep {
			t.Errorf("asleep for %v, %v ago: lost in %v, want %v", tt.sleep, tt.ago, s.Deadline().Sub(p.now), tt.want)
		}
	}
	p := newPeer(t).sends(connect(0))
	if s, ok := Resume(mqttsn.V12, &p.cfg, p.now, Kept{ClientID: "dev1", State: p.b.state}, 0); !ok || s.Deadline() != 0 {
		t.Error("a client without keep alive is supervised")
	}
}

// TestVersion1 is still read: for who connects, not for who is there.
func TestVersion1(t *testing.T) {
	v1 := []byte{1, 0, 0, 14, 16, 0, 0, 1, 0, 3, 'a', '/', 'b'}
	p := newPeer(t)
	if _, ok := Resume(mqttsn.V12, &p.cfg, p.now, Kept{ClientID: "dev1", State: v1}, 0); ok {
		t.Error("nobody knows where it is")
	}
	p.b.present, p.b.state = true, v1
	p.sends(connect(0), publish(normal(1), 1, 1, "x")).gets("CONNACK 0 | PUBACK 1 #1 rc0", Active)
}
