package session

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestEnd: the gateway ends a connection only for a client that listens, and
// stops without a word to those whose session waits for it.
func TestEnd(t *testing.T) {
	connecting := func(t *testing.T) *peer {
		p := newPeer(t).sends(connectWill(true)).gets("WILLTOPICREQ", Connecting)
		return p
	}
	cleanActive := func(t *testing.T) *peer {
		p := newPeer(t).sends(connectClean(time.Minute)).gets("CONNACK 0", Active)
		p.b.log = nil
		return p
	}
	awake := func(t *testing.T) *peer {
		return asleep(t).has("ab", 1, "x").sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 x`, Awake)
	}
	kept := func(t *testing.T) *peer { return active(t) }
	sleeper := func(t *testing.T) *peer { return asleep(t) }
	for _, tt := range []struct {
		name  string
		reach func(*testing.T) *peer
		why   Reason
		gets  string
		asked string
	}{
		{"kept, taken over", kept, TakenOver, "DISCONNECT | gone: taken over", ""},
		{"kept, kicked", kept, Kicked, "DISCONNECT | gone: kicked", ""},
		{"kept, stop", kept, ShuttingDown, "gone: shutting down", "detach shutdown"},
		{"clean, stop", cleanActive, ShuttingDown, "DISCONNECT | gone: shutting down", "detach shutdown"},
		{"awake, kicked", awake, Kicked, "DISCONNECT | gone: kicked", ""},
		{"asleep, kicked", sleeper, Kicked, "gone: kicked", ""},
		{"asleep, stop", sleeper, ShuttingDown, "gone: shutting down", "detach shutdown"},
		{"connecting, stop", connecting, ShuttingDown, "gone: shutting down", ""},
		{"given up by the gateway", kept, RetryTimeout, "DISCONNECT | gone: retry timeout", "detach lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.reach(t)
			p.s.End(p.now, tt.why, &p.out)
			p.settle()
			p.gets(tt.gets, Disconnected).asked(tt.asked)
			if p.s.Deadline() != 0 || p.s.Ready() {
				t.Error("a timer outlives the connection")
			}
			p.has("ab", 1, "late").gets("", Disconnected)
		})
	}
}

// TestConnectAgain: each accepted CONNECT is one AskOpen and one CONNACK; one
// that repeats a CONNECT under way is none, and an answer to an earlier one is
// nobody's.
func TestConnectAgain(t *testing.T) {
	p := newPeer(t)
	p.b.stuck = true
	p.sends(connect(time.Minute), connect(time.Minute)).gets("", Connecting).asked("open dev1")
	p.sends(connect(2*time.Minute)).gets("", Connecting).asked("open dev1")
	p.b.result[AskOpen] = Busy
	p.sends(connectClean(time.Minute)).asked("open dev1")
	p.b.result[AskOpen] = Done
	p.sends(connect(time.Minute)).asked("open dev1")
	p.b.stuck = false
	p.settle()
	p.gets("CONNACK 0", Active)
	p.sends(connect(time.Minute)).gets("CONNACK 0", Active).asked("open dev1")

	// Answers to requests from before a CONNECT go nowhere.
	p.b.stuck = true
	p.sends(publish(short("ab"), 1, 1, "x"), connect(time.Minute))
	p.b.stuck = false
	p.settle()
	p.gets("CONNACK 0", Active)

	// Another client's CONNECT is not for this session.
	other := connect(time.Minute)
	other.ClientID = []byte("dev2")
	p.sends(other).gets("", Active).counted(OutOfState, 1)

	// A client that is refused a new connection has lost the old one.
	p.b.result[AskOpen] = NotAuthorized
	p.sends(connect(time.Minute)).gets("CONNACK 3 | gone: refused", Disconnected)

	// The broker never answers.
	p = newPeer(t)
	p.b.stuck = true
	p.sends(connect(time.Minute)).waits(time.Minute).gets("gone: will dialogue timeout", Disconnected)
	p.asked("open dev1 | detach lost")
}

// TestQoS2AcrossSleepAndConnect: PUBREC is never forgotten.
func TestQoS2AcrossSleepAndConnect(t *testing.T) {
	p := asleep(t).has("ab", 2, "x").sends(wakeup, &mqttsn.Pubrec{ID: 1}).gets(`PUBLISH short:"ab" q2 #1 x | PUBREL #1`, Awake)
	p.sends(sleepFor(time.Hour), wakeup).gets("DISCONNECT | PUBREL #1", Awake)
	p.sends(connect(time.Minute)).gets("CONNACK 0 | PUBREL #1", Active)
	p.sends(&mqttsn.Pubcomp{ID: 1}).gets("", Active)
	if len(p.b.flight) != 0 {
		t.Errorf("still in flight: %v", p.b.flight)
	}
}

// TestLateAcks: what arrives after the client was taken to be asleep counts,
// and draws no answer.
func TestLateAcks(t *testing.T) {
	p := asleep(t).has("ab", 1, "x").sends(wakeup).passes(50 * time.Second)
	p.got = nil
	p.sends(puback(0, 1, 0)).gets("", Asleep)
	p.sends(wakeup).gets("PINGRESP", Asleep)

	p.has("ab", 2, "y").sends(wakeup).passes(50 * time.Second)
	p.got = nil
	p.sends(&mqttsn.Pubrec{ID: 2}).gets("", Asleep)
	p.sends(wakeup).gets("PUBREL #2", Awake)
	p.passes(50 * time.Second)
	p.got = nil
	p.sends(&mqttsn.Pubcomp{ID: 2}).gets("", Asleep)

	p.has("a/b", 1, "z").sends(wakeup).passes(50 * time.Second)
	p.got = nil
	p.sends(regack(1, 1, 0)).gets("", Asleep)
	p.sends(wakeup).gets("PUBLISH 1 q1 #3 z", Awake)
}

// TestWakeStorm: a client that asks every 10 ms gets a datagram every 2.5 s,
// and no more of them than it would have had anyway.
func TestWakeStorm(t *testing.T) {
	p := asleep(t).has("ab", 1, "x").sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 x`, Awake)
	for range 240 {
		p.passes(10 * time.Millisecond).sends(wakeup)
	}
	p.gets("", Awake)
	for range 3600 {
		p.passes(10 * time.Millisecond).sends(wakeup)
		if p.s.State() != Awake {
			t.Fatal("the flush ended")
		}
		if p.events[Retransmission] == 4 {
			break
		}
	}
	if len(p.got) != 4 {
		t.Errorf("got %d datagrams", len(p.got))
	}
}

// TestUnstoredIDIsNotTold: a client never hears of an id that the broker could
// not store, for after a restart it might stand for something else.
func TestUnstoredIDIsNotTold(t *testing.T) {
	p := asleep(t).has("a/b", 1, "x")
	p.b.result[AskSave] = Busy
	p.sends(wakeup).gets("PINGRESP", Asleep) // nothing to be done for it now
	p.b.result[AskSave] = Done
	p.sends(connect(0)).gets("CONNACK 0 | REGISTER a/b=3 #2", Active)
	p.sends(regack(3, 2, mqttsn.Congestion)).waits(5*time.Minute).gets("REGISTER a/b=3 #3", Active)

	p.b.stuck = true
	p.sends(regack(3, 3, 0), puback(3, 1, 0)).gets("PUBLISH 3 q1 #1 dup x", Active)
	p.has("a/c", 1, "y").gets("", Active)
	p.sends(sleepFor(time.Hour)).gets("", Asleep)
	p.b.stuck = false
	p.settle()
	p.gets("DISCONNECT", Asleep)
	p.sends(wakeup).gets("REGISTER a/c=4 #5", Awake)
}

// TestStoreIsFull: what could not be stored is not promised, and what has
// nothing to do with it is.
func TestStoreIsFull(t *testing.T) {
	p := active(t)
	p.b.result[AskSave] = Busy
	p.sends(register("a/b", 2), subscribe(named("a/c"), 1, 3)).gets("REGACK 0 #2 rc1 | SUBACK 0 #3 q1 rc1", Active)
	p.counted(Congested, 2)
	p.sends(publish(short("up"), 1, 4, "x"), publish(short("up"), 2, 5, "y"), &mqttsn.Pubrel{ID: 5})
	p.gets("PUBACK 30064 #4 rc0 | PUBREC #5 | PUBCOMP #5", Active)
	p.sends(sleepFor(time.Hour), sleepFor(time.Hour)).gets("", Asleep).counted(Congested, 4) // it sleeps, but may be missed
	p.sends(wakeup).gets("PINGRESP", Asleep)
	p.b.result[AskSave] = Done
	p.sends(wakeup).gets("PINGRESP", Asleep)
	if k, ok := New(mqttsn.V12, &p.cfg).read(p.b.state); !ok || k.state != Asleep {
		t.Errorf("stored as %v, since there is room", k.state)
	}
}

// TestStoredForAnother: the answer to a request to store one id does not stand
// for the next.
func TestStoredForAnother(t *testing.T) {
	p := active(t)
	p.b.stuck = true
	for id, name := range []string{"a/b", "a/c"} {
		p.s.Deliver(p.now, Delivery{ID: uint16(id + 1), QoS: 1, DUP: true, Topic: name}, &p.out)
		p.perform()
		if id == 0 {
			p.sends(puback(1, 1, 0)).gets("", Active) // late, of before a CONNECT
		}
	}
	for _, want := range []string{"", "REGISTER a/c=3 #2"} {
		p.b.stuck = false
		a, _ := p.b.answer()
		p.b.stuck = true
		p.s.Complete(p.now, a, &p.out)
		p.perform()
		p.gets(want, Active)
	}
}

// TestFlushGoesOnWhileAnAnswerIsDue: the queue was empty once, but is not at
// the end.
func TestFlushGoesOnWhileAnAnswerIsDue(t *testing.T) {
	p := asleep(t)
	p.b.stuck = true
	p.sends(publish(short("up"), 1, 5, "v"), wakeup).gets("", Awake)
	p.b.enqueue("ab", 1, "1", false)
	p.b.enqueue("ab", 1, "2", false)
	p.settle()
	p.b.stuck = false
	p.settle()
	p.gets(`PUBLISH short:"ab" q1 #1 1 | PUBACK 30064 #5 rc0`, Awake)
	p.sends(puback(0, 1, 0)).gets(`PUBLISH short:"ab" q1 #2 2`, Awake)
	p.sends(puback(0, 2, 0)).gets("PINGRESP", Asleep)
}

// TestShortSleeperIsGivenItsRetries: while a client is awake it is the
// exchange that is supervised, not the sleep.
func TestShortSleeperIsGivenItsRetries(t *testing.T) {
	p := active(t).sends(sleepFor(time.Second)).has("ab", 1, "x").sends(wakeup).passes(40*time.Second + time.Second)
	p.sends(puback(0, 1, 0))
	if p.s.State() != Asleep || p.got[len(p.got)-1] != "PINGRESP" {
		t.Errorf("%v after %v", p.s.State(), p.got)
	}
}

// TestWhatIsStoredOfSleep: a gateway that starts again finds those asleep who
// are, and no others.
func TestWhatIsStoredOfSleep(t *testing.T) {
	stored := func(p *peer) time.Duration {
		k, _ := New(mqttsn.V12, &p.cfg).read(p.b.state)
		return k.sleep
	}
	p := asleep(t)
	if d := stored(p); d != time.Hour {
		t.Errorf("stored %v", d)
	}
	if d := stored(p.sends(connect(time.Minute))); d != 0 {
		t.Errorf("active, but stored as asleep for %v", d)
	}
	if d := stored(p.sends(sleepFor(time.Minute))); d != time.Minute {
		t.Errorf("asleep again, but stored %v", d)
	}
	p.b.result[AskSave] = Busy
	p.got = nil
	p.sends(connect(time.Minute)).gets("CONNACK 1 | gone: refused", Disconnected)
}

// TestCongestedAwake: a flush that the client cannot take ends
// at once.
func TestCongestedAwake(t *testing.T) {
	p := asleep(t).has("ab", 1, "x").has("ab", 1, "y").sends(wakeup, puback(0, 1, mqttsn.Congestion))
	p.gets(`PUBLISH short:"ab" q1 #1 x | PINGRESP`, Asleep)
	p.passes(time.Minute).sends(wakeup).gets("PINGRESP", Asleep)
	p.passes(5*time.Minute).sends(wakeup).gets(`PUBLISH short:"ab" q1 #2 y`, Awake)
}

// TestFlushGoesOnAfterAHold: an id could not be stored, and by the time that it
// is tried again the client is still awake, waiting for another answer.
func TestFlushGoesOnAfterAHold(t *testing.T) {
	p := asleep(t).has("a/b", 1, "x")
	p.b.stuck = true
	p.b.result[AskSave] = Busy
	p.sends(wakeup)
	p.b.result[AskSave] = Done
	p.sends(publish(short("up"), 1, 5, "y"))
	p.b.stuck = false
	refused, _ := p.b.answer()
	p.b.stuck = true
	p.s.Complete(p.now, refused, &p.out)
	p.waits(10*time.Second).gets("", Awake)
	p.b.stuck = false
	p.settle()
	p.gets("PUBACK 30064 #5 rc0 | REGISTER a/b=1 #2", Awake)
	p.sends(regack(1, 2, 0), puback(1, 1, 0)).gets("PUBLISH 1 q1 #1 x | PINGRESP", Asleep)
}

// TestGoodbyeIsStored: a client that is told that it has left is not missed
// after a restart.
func TestGoodbyeIsStored(t *testing.T) {
	p := active(t)
	p.b.stuck = true
	p.sends(bye).passes(time.Hour).sends(bye, ping, publish(short("ab"), 1, 1, "x")).has("ab", 1, "y").gets("", Active)
	p.b.stuck = false
	p.settle()
	p.gets("DISCONNECT | gone: by client", Disconnected).asked("detach clean")

	p = asleep(t)
	p.b.stuck = true
	p.sends(bye, connect(time.Minute)).gets("", Connecting)
	p.b.stuck = false
	p.settle()
	p.gets("CONNACK 0", Active)

	p = active(t)
	p.b.result[AskDetach] = Failed
	p.sends(bye).gets("gone: by client", Disconnected)

	newPeer(t).sends(connectWill(false), bye).gets("WILLTOPICREQ | DISCONNECT | gone: by client", Disconnected)
}
