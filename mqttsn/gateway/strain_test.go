package gateway

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

// A slowWorld has one shard, which takes so long for what it looks at as a real
// one may.
type slowWorld struct {
	*world
	id      uint16
	sent    int // datagrams
	offered clock.Time
}

const (
	takes  = 100 * time.Microsecond // a message that is taken
	drops  = takes / 20             // one that is shed
	atMost = int(time.Second / takes)
)

func newSlowWorld(t *testing.T) *slowWorld {
	w := &slowWorld{world: newWorld(t, func(c *Config) { c.Shards = 1 })}
	w.at("10.0.0.1:7").connects("s", false, time.Hour)
	w.offered = w.now
	return w
}

// counted is the figure of a reason for which datagrams are dropped.
func (w *slowWorld) counted(reason string) int {
	return int(w.count("datagrams_dropped_total", reason))
}

// taken is how many messages the broker has got.
func (w *slowWorld) taken() int { return int(w.core.Stats().Received.Messages) }

// loads has the sensor publish rate messages a second for so long, each a new one,
// whatever becomes of them, and the shard do what it can meanwhile.
func (w *slowWorld) loads(rate int, qos mqttsn.QoS, d time.Duration) {
	for until := w.now.Add(d); w.now < until; {
		w.offer(int(w.now.Sub(w.offered)*time.Duration(rate)/time.Second), qos)
		w.offered = w.now
		w.turn()
	}
}

func (w *slowWorld) offer(n int, qos mqttsn.QoS) {
	from := w.at("10.0.0.1:7").source.peer
	batch := make([]transport.Datagram, n)
	for i := range batch {
		p := &mqttsn.Publish{QoS: qos, Topic: mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 0x6162}}
		if qos > 0 {
			w.id = max(1, w.id+1)
			p.ID = w.id
		}
		batch[i] = transport.Datagram{Peer: from, Buf: octets(p)}
	}
	w.sent += n
	w.g.Receive(batch)
}

// turn gives the shard a turn, and time for it.
func (w *slowWorld) turn() {
	taken, shed := w.taken(), w.counted("overload")+w.counted("late")
	w.g.shards[0].turn(w.now)
	taken, shed = w.taken()-taken, w.counted("overload")+w.counted("late")-shed
	w.now = w.now.Add(max(time.Millisecond, time.Duration(taken)*takes+time.Duration(shed)*drops))
	w.collect()
}

// accounted checks that all that was sent was taken or is counted.
func (w *slowWorld) accounted() {
	w.t.Helper()
	taken, overload, late, full := w.taken(), w.counted("overload"), w.counted("late"), w.counted("inbox_full")
	if taken+overload+late+full != w.sent {
		w.t.Errorf("%d sent; %d were taken, %d shed, %d late and %d found the inbox full", w.sent, taken, overload, late, full)
	}
}

// TestOverloadQoS0: at twice what the shard can do QoS 0 is shed and counted, for
// what is taken not to have waited long. Once it is over nothing is shed.
func TestOverloadQoS0(t *testing.T) {
	w := newSlowWorld(t)
	w.loads(atMost*9/10, 0, 5*time.Second)
	if n := w.counted("overload"); n > 0 {
		t.Errorf("%d are shed of what can be done", n)
	}
	for range 100 {
		w.loads(2*atMost, 0, 100*time.Millisecond)
		if wait := w.count("inbox_wait", ""); wait > uint64(2*patience/time.Millisecond) {
			t.Fatalf("datagrams wait for %d ms", wait)
		}
	}
	shed := w.counted("overload")
	if taken := w.taken(); shed == 0 || taken < 10*atMost {
		t.Errorf("%d are shed and %d taken of %d", shed, taken, w.sent)
	}
	if n := w.counted("inbox_full"); n > 0 {
		t.Errorf("%d find the inbox full", n)
	}
	w.loads(atMost/2, 0, 2*time.Second)
	shed = w.counted("overload")
	w.loads(atMost*9/10, 0, 5*time.Second)
	if n := w.counted("overload") - shed; n > 0 {
		t.Errorf("%d are shed when it is over", n)
	}
	w.loads(0, 0, time.Second)
	w.accounted()
}

// TestOverloadBurst: of what a burst brings, or comes during a pause of the
// whole machine, nothing is shed.
func TestOverloadBurst(t *testing.T) {
	w := newSlowWorld(t)
	w.loads(atMost/4, 0, time.Second)
	w.offer(atMost/2, 0)
	w.loads(atMost/4, 0, 5*time.Second)
	w.now = w.now.Add(700 * time.Millisecond)
	w.loads(atMost/2, 0, 5*time.Second)
	w.loads(0, 0, time.Second)
	if w.taken() != w.sent {
		t.Errorf("%d of %d are taken", w.taken(), w.sent)
	}
}

// TestOverloadQoS1: nothing is acknowledged that is not taken. What has waited for
// so long that it comes again is not looked at.
func TestOverloadQoS1(t *testing.T) {
	w := newSlowWorld(t)
	w.loads(3*atMost, 1, 10*time.Second)
	w.loads(0, 1, 15*time.Second)
	acks := 0
	for _, p := range w.at("10.0.0.1:7").got {
		if a, ok := p.(*mqttsn.Puback); ok && a.Reason == mqttsn.Accepted {
			acks++
		}
	}
	if late := w.counted("late"); late == 0 || acks == 0 || acks != w.taken() {
		t.Errorf("%d acknowledged, %d taken, %d late", acks, w.taken(), late)
	}
	if n := w.counted("overload"); n > 0 {
		t.Errorf("%d are shed as QoS 0", n)
	}
	w.accounted()
}

// TestOverloadIsNotAnsweredTwice: what sensors have asked again by the time that
// it is looked at is answered once, so that nothing is sent to who sleeps by
// then; but a farewell is heard.
func TestOverloadIsNotAnsweredTwice(t *testing.T) {
	w := newSlowWorld(t)
	sleeper := w.at("10.0.0.2:7").connects("sleeper", false, time.Minute).sleeps(time.Hour)
	dozer := w.at("10.0.0.3:7").connects("dozer", false, time.Minute)
	leaver := w.at("10.0.0.4:7").connects("leaver", true, time.Minute)
	says := func() {
		sleeper.inject(octets(&mqttsn.Pingreq{ClientID: []byte("sleeper")}))
		dozer.inject(octets(&mqttsn.Disconnect{Duration: time.Hour}))
		w.net.Deliver(w.now, w.g.Receive)
	}
	w.offer(maxDatagrams-3, 1) // there is time for most of them before it is too late
	says()
	w.g.Receive([]transport.Datagram{{Peer: leaver.source.peer, Buf: octets(&mqttsn.Disconnect{})}})
	w.loads(0, 0, 10*time.Second)
	sleeper.gets("")
	dozer.gets("")
	leaver.gets("DISCONNECT")
	says()
	w.turn()
	sleeper.gets("PINGRESP")
	dozer.gets("DISCONNECT")
}

// TestOverloadPause: who asked before a long pause of the whole machine, and
// again by the end of it, is not answered twice; and is when it asks once more.
func TestOverloadPause(t *testing.T) {
	w := newSlowWorld(t)
	sleeper := w.at("10.0.0.2:7").connects("sleeper", false, time.Minute).sleeps(time.Hour)
	pings := func() {
		sleeper.inject(octets(&mqttsn.Pingreq{ClientID: []byte("sleeper")}))
		w.net.Deliver(w.now, w.g.Receive)
	}
	w.offer(2*letters, 0)
	w.turn() // there is more to do
	pings()
	w.now = w.now.Add(time.Millisecond)
	w.g.shards[0].turn(w.now)
	w.now = w.now.Add(11 * time.Second)
	pings()
	w.loads(0, 0, time.Second)
	sleeper.gets("")
	pings()
	w.turn()
	sleeper.gets("PINGRESP")
}

// TestOverloadStrangers: while more comes in than can be done nobody new may
// connect. Clients with a session may, from elsewhere too, and sleepers wake.
// When it is over, anybody may.
func TestOverloadStrangers(t *testing.T) {
	w := newSlowWorld(t)
	w.at("10.0.0.2:7").connects("sleeper", false, time.Minute).sleeps(time.Hour)
	gone := w.at("10.0.0.3:7").connects("gone", false, time.Minute)
	gone.sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	w.loads(2*atMost, 0, 3*time.Second)
	connects := func(address, id string) mqttsn.Reason {
		s := w.at(address)
		s.sends(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte(id)})
		return last[*mqttsn.Connack](s).Reason
	}
	for address, id := range map[string]string{"10.0.0.4:7": "sleeper", "10.0.0.5:7": "gone", "10.0.0.1:7": "s"} {
		if r := connects(address, id); r != mqttsn.Accepted {
			t.Errorf("%s is answered %v", id, r)
		}
	}
	w.at("10.0.0.4:7").sleeps(time.Hour).pings("sleeper").gets("PINGRESP")
	if r := connects("10.0.0.6:7", "new"); r != mqttsn.Congestion {
		t.Errorf("a new client is answered %v", r)
	}
	w.wantCount("connects_refused_total", "overload", 1)
	w.loads(0, 0, closed+time.Second)
	if r := connects("10.0.0.6:7", "new"); r != mqttsn.Accepted {
		t.Errorf("a new client is answered %v when it is over", r)
	}
}

// TestOverloadOfTheStore: while the broker's store is behind nothing that
// sensors publish is taken, or acknowledged, and nobody new is let in; all else
// goes on.
func TestOverloadOfTheStore(t *testing.T) {
	w := newSlowWorld(t)
	s := w.at("10.0.0.1:7").gets("")
	publishes := func() {
		for qos := range mqttsn.QoS(3) {
			w.offer(1, qos)
			w.turn()
		}
	}
	w.g.SetBehind(true)
	publishes()
	s.gets("")
	if n := w.taken(); n > 0 || w.counted("overload") != 1 || w.counted("late") != 2 {
		t.Errorf("%d are taken, %d shed and %d late", n, w.counted("overload"), w.counted("late"))
	}
	s.sends(&mqttsn.Pingreq{}).gets("PINGRESP")
	w.at("10.0.0.2:7").sends(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("new")})
	if r := last[*mqttsn.Connack](w.at("10.0.0.2:7")).Reason; r != mqttsn.Congestion {
		t.Errorf("a new client is answered %v", r)
	}
	if w.at("10.0.0.3:7").sends(&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("s")}).gets(""); w.counted("late") != 3 {
		t.Error("CONNECT of a client with a session is not to come again")
	}
	w.g.SetBehind(false)
	publishes()
	s.gets("PUBACK PUBREC")
}
