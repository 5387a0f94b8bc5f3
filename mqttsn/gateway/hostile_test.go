package gateway

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/transport"
)

// The tests named TestHostile… are the rows of the list of bad inputs that are
// about what a stranger, or a client gone bad, can do to the gateway.

func stranger(i int) transport.Peer {
	return transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}), 7)}
}

// flood has the gateway hear b from that many strangers, all within a second,
// and returns how many answers there were, of which none may be longer than
// three times b.
func (w *world) flood(strangers int, b []byte) (answers int) {
	w.t.Helper()
	for i := range strangers {
		w.net.Inject(stranger(i), b)
		if i%1000 == 999 || i == strangers-1 {
			w.net.Deliver(w.now, w.g.Receive)
			w.g.Step(w.now)
		}
	}
	for _, d := range w.net.Sent(w.now) {
		answers++
		if len(d.Buf) > 3*len(b) {
			w.t.Fatalf("%d octets are answered by %d", len(b), len(d.Buf))
		}
	}
	return answers
}

// attacked is newWorld with a canary, to which a message must come in the end as
// if nothing had happened.
func attacked(t *testing.T, change func(*Config)) *world {
	w := newWorld(t, change)
	canary := w.at("10.99.99.99:9").connects("canary", true, 0)
	canary.subscribes("sings", 1)
	t.Cleanup(func() {
		if !t.Failed() {
			w.app("singer").publish("sings", "still", 1, false)
			canary.wantFlush("still", "")
		}
	})
	return w
}

// limited is a gateway with the default limits on strangers.
func limited(c *Config) { c.Strangers = DefaultConfig().Strangers }

// TestHostile40Malformed: what is no packet is dropped, counted by kind, and
// not answered.
func TestHostile40Malformed(t *testing.T) {
	w := attacked(t, nil)
	s := w.at("10.0.0.1:7").connects("a", true, 0)
	for octets, kind := range map[string]string{
		"01": "truncated", "01 00": "truncated", "01 00 03": "truncated", "00": "truncated",
		"00 16": "length", "01 0000 16": "length", "03 16": "length", "02 16 16": "length", "01 0007 16": "length",
		"02 03": "type", "02 ff": "type", "03 04 00": "truncated", "06 0c 80 00": "length",
	} {
		before := w.count("datagrams_malformed_total", kind)
		s.injectHex(octets)
		w.settle()
		if w.count("datagrams_malformed_total", kind) != before+1 {
			t.Errorf("%q is not counted as %s", octets, kind)
		}
	}
	s.gets("").pings("").gets("PINGRESP")
}

// TestHostile46ConnectFlood: CONNECT from a million forged addresses gets so
// many answers and no more, and takes little memory.
func TestHostile46ConnectFlood(t *testing.T) {
	w := attacked(t, limited)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b := octets(&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("flood")})
	sameNet := 0
	for i := range 256 * 10 {
		w.net.Inject(transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), uint16(1+i))}, b)
	}
	w.net.Deliver(w.now, w.g.Receive)
	w.g.Step(w.now)
	for range w.net.Sent(w.now) {
		sameNet++
	}
	if sameNet == 0 || sameNet > 50*3 { // CONNACK, and DISCONNECT when the next one takes the id over
		t.Errorf("one network got %d datagrams in a second", sameNet)
	}
	for range 10 {
		w.now = w.now.Add(time.Second)
		if n := w.flood(100_000, b); n > 3*500 {
			t.Errorf("a flood got %d datagrams in a second", n)
		}
	}
	if n := w.count("strangers_suppressed_total", ""); n == 0 {
		t.Error("nothing was suppressed")
	}
	if n := w.count("connects_refused_total", "rate"); n == 0 {
		t.Error("the rate of all together was never met")
	}
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("the flood took %d MiB", grown>>20)
	}
}

// TestHostile46BehindLoopback: who is on this host may ask as often as it
// likes, but not who merely has a forwarder there.
func TestHostile46BehindLoopback(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		limited(c)
		c.Forwarders = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	const many = 200
	here := w.at("127.0.0.1:7")
	for node := range many {
		here.sends(&mqttsn.Pingreq{})
		w.at(fmt.Sprintf("127.0.0.1:7/%04x", 1+node)).sends(&mqttsn.Pingreq{})
	}
	if n := len(here.got); n != many {
		t.Errorf("loopback was answered %d times, want %d", n, many)
	}
	w.wantCount("strangers_answered_total", "", many+50)
	w.wantCount("strangers_suppressed_total", "", many-50)
}

// TestHostile47Hijack: DISCONNECT and PINGREQ in the name of a sleeper, from
// another address, change nothing and are noticed.
func TestHostile47Hijack(t *testing.T) {
	w := attacked(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(time.Hour)
	app.publish("cmd", "secret", 1, false)
	thief := w.at("10.0.0.66:7")
	thief.pings("sleeper").sends(&mqttsn.Disconnect{}).sends(&mqttsn.Disconnect{Duration: time.Second})
	thief.gets("DISCONNECT DISCONNECT DISCONNECT")
	w.wantCount("hijack_attempts_total", "", 1)
	told := false
	for _, n := range w.notices {
		told = told || n.Kind == HijackAttempt && n.ClientID == "sleeper" && n.Remote == "10.0.0.66:7"
	}
	if !told {
		t.Errorf("no notice of the attempt among %+v", w.notices)
	}
	w.pass(time.Minute)
	s.gets("").pings("sleeper").wantFlush("secret", "PINGRESP")
}

// TestHostile48RefusedTakeover: a CONNECT that the broker refuses takes
// nothing away from the client whose id it bears.
func TestHostile48RefusedTakeover(t *testing.T) {
	w := attacked(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sensor", false, time.Minute)
	s.subscribes("cmd", 1)
	thief := w.at("10.0.0.66:7")
	thief.sends(&mqttsn.Connect{ProtocolID: 1, Will: true, ClientID: []byte("sensor")}).gets("WILLTOPICREQ")
	thief.sends(&mqttsn.Willtopic{Topic: []byte("a/#")}) // not a topic name
	if a := last[*mqttsn.Connack](thief); a.Reason != mqttsn.NotSupported {
		t.Errorf("it is answered by %v", a.Reason)
	}
	app.publish("cmd", "x", 1, false)
	s.wantFlush("x", "")
	s.pings("").gets("PINGRESP")
}

// TestHostile49SearchFlood: SEARCHGW from everywhere is answered within the
// rate, never at greater length, and only where gateways are looked for;
// ADVERTISE and GWINFO of others are ignored.
func TestHostile49SearchFlood(t *testing.T) {
	w := attacked(t, func(c *Config) {
		limited(c)
		c.Search.Allow = []netip.Prefix{netip.MustParsePrefix("100.0.0.0/16")}
	})
	b := octets(&mqttsn.Searchgw{})
	if n := w.flood(60_000, b); n != 20 {
		t.Errorf("60,000 SEARCHGW in a second got %d answers, want 20", n)
	}
	w.now = w.now.Add(10 * time.Second)
	w.net.Inject(transport.Peer{Addr: netip.MustParseAddrPort("203.0.113.5:7")}, b)
	w.net.Inject(stranger(1), octets(&mqttsn.Advertise{GatewayID: 9, Duration: time.Minute}))
	w.net.Inject(stranger(1), octets(&mqttsn.Gwinfo{GatewayID: 9}))
	w.settle()
	w.wantCount("datagrams_dropped_total", "search_refused", 60_001-20)
	w.wantCount("datagrams_dropped_total", "other_gateway", 2)
}

// TestHostile49NoReflection: whatever a stranger sends from a forged address
// is answered at no greater length, and within the limit of its network.
func TestHostile49NoReflection(t *testing.T) {
	for _, p := range []mqttsn.Packet{
		&mqttsn.Pingreq{}, &mqttsn.Pingreq{ClientID: []byte("x")}, &mqttsn.Disconnect{}, &mqttsn.Pubrec{ID: 1},
		&mqttsn.Publish{QoS: 1, ID: 1}, &mqttsn.Connect{ProtocolID: 9, ClientID: []byte("x")},
	} {
		w := newWorld(t, limited)
		if n := w.flood(256*4, octets(p)); n == 0 || n > 50*4 {
			t.Errorf("%v from 4 networks got %d answers in a second, want 50 for each", p, n)
		}
		w.wantCount("strangers_answered_total", "", 50*4)
		w.wantCount("strangers_suppressed_total", "", 256*4-50*4)
	}
	w := newWorld(t, nil)
	for _, source := range []string{"225.1.1.1:7", "0.0.0.0:7", "10.0.0.1:0", "[ff02::1]:7"} {
		w.at(source).sends(&mqttsn.Pingreq{}).sends(&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("x")}).gets("")
	}
	w.wantCount("datagrams_dropped_total", "bad_source", 8)
}

// TestHostile51Envelopes: those that are nested, malformed or of somebody who
// is no forwarder are dropped, and a node id means nothing elsewhere.
func TestHostile51Envelopes(t *testing.T) {
	w := attacked(t, nil)
	s := w.at("10.0.0.1:7/0a").connects("a", true, 0)
	direct := w.at("10.0.0.1:7")
	direct.injectHex("04fe000a 04fe000a 0216").injectHex("04fe040a 0216").injectHex("03fe00 0216").injectHex("ffe000")
	w.settle()
	s.gets("")
	direct.gets("")
	w.wantCount("datagrams_malformed_total", "value", 1)
	w.wantCount("datagrams_malformed_total", "reserved", 1)
	w.at("203.0.113.9:7/0a").sends(&mqttsn.Disconnect{}).gets("")
	w.wantCount("datagrams_dropped_total", "not_a_forwarder", 1)
	w.at("10.0.0.2:7/0a").sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	s.pings("").gets("PINGRESP")
}

// TestHostile52QoSMinusOneFlood: at QoS -1 there is a rate for one source and
// one for all; ids that stand for nothing and names that are none are refused.
func TestHostile52QoSMinusOneFlood(t *testing.T) {
	w := attacked(t, func(c *Config) {
		c.QoSMinusOne = QoSMinusOne{From: Anywhere, RatePerSource: 5, Rate: 1000}
		c.Session.Predefined = map[uint16]string{1: "alarm", 2: "$SYS/x", 3: "of/{clientid}"}
	})
	app := w.app("app", "#", "$SYS/#")
	for _, topic := range []mqttsn.Topic{
		{Kind: mqttsn.TopicPredefined, ID: 9}, {Kind: mqttsn.TopicPredefined, ID: 2}, {Kind: mqttsn.TopicPredefined, ID: 3},
		{Kind: mqttsn.TopicShort, ID: '#' << 8}, {Kind: mqttsn.TopicShort, ID: 'a'<<8 | '+'}, {Kind: mqttsn.TopicShort, ID: 0xfffe},
		{Kind: mqttsn.TopicName, Name: []byte("a/#")}, {Kind: mqttsn.TopicName, Name: []byte("$SYS/broker")}, {Kind: mqttsn.TopicName, Name: []byte("\xff")},
	} {
		w.now = w.now.Add(time.Second)
		w.at("10.0.0.1:7").sends(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: topic}).gets("")
	}
	app.wants()
	w.wantCount("qos_minus_one_total", "topic", 9)

	w.now = w.now.Add(time.Minute)
	alarm := octets(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: 1}})
	for range 100 {
		w.net.Inject(stranger(1), alarm)
	}
	w.settle()
	if n := len(app.receives()); n != 5 {
		t.Errorf("100 from one source: %d got through, want 5", n)
	}
	if n := w.flood(50_000, alarm); n != 0 {
		t.Errorf("QoS -1 was answered %d times", n)
	}
	if n := len(app.receives()); n == 0 || n > 1000 {
		t.Errorf("50,000 sources in a second: %d got through, want 1000 at most", n)
	}
	if w.count("qos_minus_one_total", "rate") == 0 {
		t.Error("what is too much is not counted")
	}
}

// TestHostile54FullQueue: a sleeper that gets far too much keeps to the bound
// on its queue, and nobody else notices.
func TestHostile54FullQueue(t *testing.T) {
	w := attacked(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(time.Hour)
	other := w.at("10.0.0.2:7").connects("other", true, time.Minute)
	for i := range 5000 {
		app.publish("cmd", fmt.Sprint(i), 1, false)
	}
	s.gets("")
	other.pings("").gets("PINGRESP")
	if n := w.core.Stats().Dropped.Overflow; n != 4000 {
		t.Errorf("%d messages were dropped, want 4000", n)
	}
	got, end := s.pings("sleeper").flush()
	if len(got) != 1000 || got[0] != "4000" || got[999] != "4999" || end != "PINGRESP" {
		t.Errorf("the wake brought %d messages, %v to %v, and %q", len(got), got[0], got[len(got)-1], end)
	}
}

// TestHostile54FanOut: for a message for twenty thousand nobody is visited who
// is asleep, and who asks for something meanwhile is served in the same turn.
func TestHostile54FanOut(t *testing.T) {
	const all, awake = 20_000, 10_000
	w := newWorld(t, func(c *Config) { c.Shards = 1 })
	app := w.app("app")
	for i := range all {
		s := w.at(fmt.Sprintf("10.1.%d.%d:7", i>>8, i&0xff)).connects(fmt.Sprint(i), true, time.Minute)
		s.subscribes("all", 1)
		if i >= awake {
			s.sleeps(time.Hour)
		}
	}
	active := w.at("10.0.0.1:7").connects("active", true, time.Minute)
	shard := w.g.shards[0]
	app.says("all", "x", 1, false)
	if n := len(shard.in.seats); n != awake {
		t.Errorf("%d are to be visited, want the %d who are awake", n, awake)
	}
	active.inject([]byte{2, 0x16})
	w.net.Deliver(w.now, w.g.Receive)
	shard.turn(w.now)
	w.collect()
	active.gets("PINGRESP")
	if !shard.behind() {
		t.Fatal("the fan-out was over in one turn: the test shows nothing")
	}
	w.settle()
	if n := w.core.Stats().Sent.Messages; n != awake {
		t.Errorf("%d messages were pulled for the %d who are awake", n, awake)
	}
	w.at("10.1.78.31:7").pings("19999").wantFlush("x", "PINGRESP")
}

// TestHostile56PingreqStorm: a client that is awake and asks again and again
// gets each message once, and one PINGRESP.
func TestHostile56PingreqStorm(t *testing.T) {
	w := attacked(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(time.Hour)
	app.publish("cmd", "a", 1, false)
	app.publish("cmd", "b", 1, false)
	for range 100 {
		s.pings("sleeper")
		w.pass(10 * time.Millisecond)
	}
	s.gets("PUBLISH")
	s.pings("sleeper")
	w.pass(10 * time.Second)
	if p, ok := s.got[len(s.got)-1].(*mqttsn.Publish); !ok || !p.DUP || len(s.got) > 4 {
		t.Fatalf("after a storm it got %v", s.got)
	}
	s.got = s.got[len(s.got)-1:]
	s.wantFlush("a b", "PINGRESP")
}

// TestHostile57StrayAcks: an acknowledgement of another client's message is
// counted and changes nothing.
func TestHostile57StrayAcks(t *testing.T) {
	w := attacked(t, nil)
	app := w.app("app")
	a, b := w.at("10.0.0.1:7").connects("a", true, 0), w.at("10.0.0.2:7").connects("b", true, 0)
	a.subscribes("cmd", 1)
	app.publish("cmd", "x", 1, false)
	p := a.got[0].(*mqttsn.Publish)
	b.sends(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID}).gets("")
	w.wantCount("session_events_total", "unknown_ack", 1)
	w.pass(10 * time.Second)
	a.gets("PUBLISH PUBLISH")
}

// TestHostile58Repeats: repeated CONNECT and PUBLISH, before and after a
// sleep, are delivered as often as their QoS says.
func TestHostile58Repeats(t *testing.T) {
	w := attacked(t, nil)
	app := w.app("app", "#")
	s := w.at("10.0.0.1:7").connects("a", false, time.Minute).connects("a", false, time.Minute)
	topic := mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'a'<<8 | 'b'}
	exactly := &mqttsn.Publish{QoS: 2, ID: 7, Topic: topic, Payload: []byte("2")}
	s.sends(exactly).sends(exactly).gets("PUBREC PUBREC")
	s.sleeps(time.Hour)
	exactly.DUP = true
	s.sends(exactly).gets("PUBREC")
	s.connects("a", false, time.Minute).sends(exactly).gets("PUBREC")
	s.sends(&mqttsn.Pubrel{ID: 7}).sends(&mqttsn.Pubrel{ID: 7}).gets("PUBCOMP PUBCOMP")
	app.wants("ab=2")
	once := &mqttsn.Publish{QoS: 1, ID: 8, Topic: topic, Payload: []byte("1")}
	s.sends(once)
	once.DUP = true
	s.sends(once).gets("PUBACK PUBACK")
	app.wants("ab=1")
}
