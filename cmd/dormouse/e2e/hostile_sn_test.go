package e2e

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// Bad input over UDP, by the rows of the list of what will be thrown at us.

// TestHostile40Malformed: what is no packet is dropped, counted, and not
// answered.
func TestHostile40Malformed(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	s := b.sensor("sensor")
	s.connect(true)
	octets := []string{
		"01", "0100", "010003", "00", "0016", "0116", "01000316", "05166465", "021600", "03", "02",
		"0211", "0203", "021e", "02ff", "060c00000700", "03 18 01", "04 18 01", "05 04 04 01 00", "04 05", "06 0d 00 07 00 05",
	}
	for _, o := range octets {
		s.sock.sendMalformed(o)
	}
	s.hearsNothing()
	b.wantFigure(t, "datagrams/malformed", len(octets))
	b.wantFigure(t, "datagrams/malformed/type", 4)
	s.publish(s.register("a/b"), "still here", 1, false)
}

// TestHostile42WillDialogueOutOfOrder ends cleanly or goes on, never amiss.
func TestHostile42WillDialogueOutOfOrder(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	connect := func(s *sensor) {
		s.send(&mqttsn.Connect{Will: true, CleanSession: true, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte(s.id)})
		expect[*mqttsn.Willtopicreq](s)
	}
	b.settle(t)

	ignored := b.sensor("ignored")
	connect(ignored)
	ignored.send(&mqttsn.Willmsg{Payload: []byte("too early")})
	ignored.send(&mqttsn.Register{ID: 1, Name: []byte("a/b")})
	ignored.send(&mqttsn.Publish{QoS: 1, Topic: short("T1"), ID: 2, Payload: []byte("x")})
	ignored.send(&mqttsn.Pingreq{})
	ignored.hearsNothing()
	ignored.send(&mqttsn.Willtopic{Topic: []byte("will/ignored")})
	expect[*mqttsn.Willmsgreq](ignored)
	ignored.send(&mqttsn.Willtopic{Topic: []byte("will/ignored")}) // repeated
	expect[*mqttsn.Willmsgreq](ignored)
	ignored.send(&mqttsn.Willmsg{Payload: []byte("x")})
	ignored.wantConnack(mqttsn.Accepted)
	ignored.send(&mqttsn.Willmsg{Payload: []byte("x")}) // repeated
	ignored.wantConnack(mqttsn.Accepted)

	aborted := b.sensor("aborted")
	connect(aborted)
	aborted.disconnect()
	aborted.send(&mqttsn.Willtopic{Topic: []byte("will/aborted")})
	expect[*mqttsn.Disconnect](aborted)

	without := b.sensor("without")
	without.connect(true)
	without.send(&mqttsn.Willmsgupd{Payload: []byte("x")})
	if a := expect[*mqttsn.Willmsgresp](without); a.Reason != mqttsn.NotSupported {
		t.Errorf("WILLMSGUPD without a will is answered by %v, want not supported", a.Reason)
	}
}

// TestHostile43GatewayRestarts: a sensor that does not know of it is told
// step by step, and its reading is not lost.
func TestHostile43GatewayRestarts(t *testing.T) {
	t.Parallel()
	first := start(t)
	s := first.sensor("sensor")
	s.connect(false)
	topic := s.register("a/b")
	s.publish(topic, "before", 1, false)
	if status := first.stop(); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	second := start(t, "listeners.sn.address="+first.udp.String())
	c := second.mqtt3(t, "client", nil)
	c.subscribe("a/b", 1)

	s.b = second
	reading := &mqttsn.Publish{QoS: 1, Topic: topic, ID: s.nextMsgID(), Payload: []byte("after")}
	s.send(reading)
	expect[*mqttsn.Disconnect](s)
	s.connect(false)
	s.send(reading)
	if a := expect[*mqttsn.Puback](s); a.Reason != mqttsn.InvalidTopicID || a.TopicID != topic.ID || a.ID != reading.ID {
		t.Fatalf("PUBLISH on an id of a former life is answered by %+v", a)
	}
	s.publish(s.register("a/b"), "after", 1, false)
	want(t, c.receive(), message{"a/b", "after", 1, false})
}

// TestHostile45And53TopicsThatAreNone: reserved and unknown ids, and short
// names that are no topic names, are refused at every QoS and never created.
func TestHostile45And53TopicsThatAreNone(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	c := b.mqtt3(t, "client", nil)
	c.subscribe("#", 1)
	s := b.sensor("sensor")
	s.connect(true)
	for _, topic := range []mqttsn.Topic{
		{Kind: mqttsn.TopicNormal, ID: 0}, {Kind: mqttsn.TopicNormal, ID: 0xffff}, {Kind: mqttsn.TopicNormal, ID: 99},
		predefined(0), predefined(65535), predefined(9),
		short("a#"), short("+a"), short("a\x00"), short("\xff\xfe"),
	} {
		for qos := range mqttsn.QoS(3) {
			id := uint16(0)
			if qos > 0 {
				id = s.nextMsgID()
			}
			s.send(&mqttsn.Publish{QoS: qos, Topic: topic, ID: id, Payload: []byte("x")})
			a := expect[*mqttsn.Puback](s)
			if a.Reason == mqttsn.Accepted || a.TopicID != topic.ID || a.ID != id {
				t.Errorf("PUBLISH to %+v at QoS %d is answered by %+v", topic, qos, a)
			}
			if topic.Kind != mqttsn.TopicShort && a.Reason != mqttsn.InvalidTopicID {
				t.Errorf("PUBLISH to %+v is refused with %v, want invalid topic id", topic, a.Reason)
			}
		}
	}
	for _, name := range []string{"a/#", "+", "a\x00b", "\xff\xfe"} {
		s.send(&mqttsn.Register{ID: s.nextMsgID(), Name: []byte(name)})
		if a := expect[*mqttsn.Regack](s); a.Reason == mqttsn.Accepted || a.TopicID != 0 {
			t.Errorf("REGISTER of %q is answered by %+v", name, a)
		}
	}
	c.publish("only/this", "x", 1, false)
	want(t, c.receive(), message{"only/this", "x", 1, false})
}

// TestHostile47Spoofing: who knows a sleeper's client id and nothing else can
// neither end its session nor take its mail, and leaves a trace.
func TestHostile47Spoofing(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	s := b.sensor("sleeper")
	s.connect(false)
	s.subscribe("cmd", 1)
	s.sleep(time.Hour)
	b.publish(t, "cmd", "secret", 1)

	thief := b.sensor("thief")
	thief.send(&mqttsn.Pingreq{ClientID: []byte("sleeper")})
	expect[*mqttsn.Disconnect](thief)
	thief.send(&mqttsn.Disconnect{})
	expect[*mqttsn.Disconnect](thief)
	thief.send(&mqttsn.Disconnect{Duration: time.Hour})
	expect[*mqttsn.Disconnect](thief)
	thief.hearsNothing()

	if got := s.wake(); len(got) != 1 || got[0].payload != "secret" {
		t.Errorf("the wake brought %v, want the message", got)
	}
	b.wantFigure(t, "hijack_attempts", 1)
}

// TestHostile49SearchgwFlood: the answers are fewer than the questions, no
// longer, and never more than the rate.
func TestHostile49SearchgwFlood(t *testing.T) {
	t.Parallel()
	b := attacked(t, "mqttsn.search.rate=20/m")
	stranger := b.sensor("stranger")
	for range 1000 {
		stranger.send(&mqttsn.Searchgw{})
	}
	stranger.send(&mqttsn.Advertise{GatewayID: 9, Duration: time.Minute})
	stranger.send(&mqttsn.Gwinfo{GatewayID: 9})
	stranger.send(&mqttsn.Disconnect{}) // answered after all before it
	answers := 0
	for stranger.hear("DISCONNECT").Type() != mqttsn.TypeDisconnect {
		answers++
	}
	if answers == 0 || answers > 21 {
		t.Errorf("1000 SEARCHGW at once got %d answers, want 1 to 21 at 20 a minute", answers)
	}
}

// TestStrangersAreToldSo: whatever needs a connection gets DISCONNECT from
// nowhere, of two octets; answers and repetitions from gateways get nothing.
func TestStrangersAreToldSo(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	s := b.sensor("stranger")
	for _, p := range []mqttsn.Packet{
		&mqttsn.Register{ID: 1, Name: []byte("a")}, &mqttsn.Regack{TopicID: 1, ID: 1},
		&mqttsn.Publish{QoS: 0, Topic: short("T1")}, &mqttsn.Publish{QoS: 1, Topic: short("T1"), ID: 2}, &mqttsn.Publish{QoS: 2, Topic: short("T1"), ID: 3},
		&mqttsn.Puback{TopicID: 1, ID: 1}, &mqttsn.Pubrec{ID: 1}, &mqttsn.Pubrel{ID: 1}, &mqttsn.Pubcomp{ID: 1},
		&mqttsn.Subscribe{ID: 4, Topic: short("T1")}, &mqttsn.Unsubscribe{ID: 5, Topic: short("T1")},
		&mqttsn.Pingreq{}, &mqttsn.Pingreq{ClientID: []byte("nobody")}, &mqttsn.Disconnect{}, &mqttsn.Disconnect{Duration: time.Hour},
		&mqttsn.Willtopicupd{Topic: []byte("w")}, &mqttsn.Willmsgupd{Payload: []byte("w")},
	} {
		s.send(p)
		expect[*mqttsn.Disconnect](s)
	}
	for _, p := range []mqttsn.Packet{
		&mqttsn.Advertise{GatewayID: 9}, &mqttsn.Gwinfo{GatewayID: 9},
	} {
		s.send(p)
	}
	s.hearsNothing()
}

// TestHostile52QoSMinusOneFlood: beyond the rate of one source nothing is
// published, it is counted, and the source does not even get an answer.
func TestHostile52QoSMinusOneFlood(t *testing.T) {
	t.Parallel()
	b := attacked(t, "mqttsn.qos_minus_one.rate_per_source=1/m")
	c := b.mqtt3(t, "client", nil)
	c.subscribe("T1", 0)
	c.subscribe("end", 0)
	s := b.sensor("stranger")
	for range 200 {
		s.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: short("T1"), Payload: []byte("x")})
	}
	s.hearsNothing()
	c.publish("end", "", 0, false)
	accepted := 0
	for c.receive().topic != "end" {
		accepted++
	}
	if accepted < 1 || accepted > 3 { // the first, and a small burst
		t.Errorf("of 200 at once, %d were published at a rate of one a minute", accepted)
	}
	b.wantFigure(t, "qos_minus_one/refused", 200-accepted)
}

// TestHostile51Envelopes: an envelope in an envelope, reserved bits, nothing
// inside, no node: dropped and not answered. So is any from a forwarder that
// is not trusted.
func TestHostile51Envelopes(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	node := b.socket().sensor(b, "node", "\x12\x34")
	node.connect(true)
	for _, octets := range []string{
		"05fe001234 05fe001234 0216", "05fefd1234 0216", "05fe001234", "03fe00 0216", "05fe001234 03", "02fe 0216",
	} {
		node.sock.sendMalformed(octets)
	}
	node.hearsNothing()
	b.wantFigure(t, "datagrams/malformed", 6)

	strict := start(t, "mqttsn.forwarders=[192.0.2.0/24]")
	stranger := strict.socket().sensor(strict, "node", "\x12\x34")
	stranger.send(&mqttsn.Connect{CleanSession: true, ProtocolID: 1, ClientID: []byte("node")})
	direct := stranger.sock.sensor(strict, "direct", "")
	direct.hearsNothing()
	if n := len(stranger.in); n > 0 {
		t.Errorf("a forwarder that is not trusted got %+v", <-stranger.in)
	}
	strict.wantFigure(t, "datagrams/dropped/not_a_forwarder", 1)
}

// TestHostile55Durations: every length of sleep is taken or cut, and 0 is a
// plain DISCONNECT.
func TestHostile55Durations(t *testing.T) {
	t.Parallel()
	b := attacked(t, "mqttsn.max_sleep=1h")
	s := b.sensor("sleeper")
	s.connectFor(true, 65535*time.Second)
	s.subscribe("cmd", 1)
	for _, d := range []time.Duration{time.Second, 2 * time.Hour, 65535 * time.Second} {
		s.sleep(d)
		b.publish(t, "cmd", "x", 1)
		if got := s.wake(); len(got) != 1 {
			t.Errorf("asleep for %v, the wake brought %v", d, got)
		}
	}
	s.sendOctets([]byte{0x04, 0x18, 0x00, 0x00})
	expect[*mqttsn.Disconnect](s)
	s.send(&mqttsn.Pingreq{ClientID: []byte(s.id)})
	expect[*mqttsn.Disconnect](s) // it sleeps no more
	s.connectFor(true, 0)
}

// TestHostile57AcksForNothing are ignored, whoever they are for.
func TestHostile57AcksForNothing(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	s, other := b.sensor("sensor"), b.sensor("other")
	for _, s := range []*sensor{s, other} {
		s.connect(true)
		s.subscribe("cmd", 2)
	}
	c := b.mqtt3(t, "client", nil)
	c.publish("cmd", "x", 2, false)
	p := expect[*mqttsn.Publish](s)
	other.send(&mqttsn.Pubrec{ID: p.ID + 1000})
	for id := range uint16(20) {
		other.send(&mqttsn.Puback{ID: 3000 + id})
		other.send(&mqttsn.Pubcomp{ID: 3000 + id})
		other.send(&mqttsn.Regack{ID: 3000 + id})
	}
	want(t, other.receive(), message{"cmd", "x", 2, false})
	s.accept(p)
	want(t, s.receive(), message{"cmd", "x", 2, false})
	for id := range uint16(3) {
		s.send(&mqttsn.Pubrel{ID: 4000 + id}) // unknown, and yet PUBCOMP, rule 36
		if a := expect[*mqttsn.Pubcomp](s); a.ID != 4000+id {
			t.Errorf("PUBREL %d is answered by PUBCOMP %d", 4000+id, a.ID)
		}
	}
	s.hearsNothing()
	b.wantFigure(t, "sessions/events/unknown_ack", 1+3*20)
}

// TestHostile58Repetitions: everything that a lost answer makes a sensor say
// again gets the same answer again; QoS 1 arrives, QoS 2 arrives once, also
// with a sleep in between.
func TestHostile58Repetitions(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	c := b.mqtt3(t, "client", nil)
	c.subscribe("up", 2)
	s := b.sensor("sensor")
	for range 3 {
		s.connect(false)
	}
	id := s.register("up")
	if again := s.register("up"); again.ID != id.ID {
		t.Errorf("registered again, up has id %d, was %d", again.ID, id.ID)
	}
	once := &mqttsn.Publish{QoS: 2, Topic: id, ID: 100, Payload: []byte("once")}
	s.send(once)
	expect[*mqttsn.Pubrec](s)
	once.DUP = true
	s.send(once)
	expect[*mqttsn.Pubrec](s)
	s.sleep(time.Hour)
	s.wake()
	s.send(once)
	expect[*mqttsn.Pubrec](s)
	for range 2 {
		s.send(&mqttsn.Pubrel{ID: 100})
		expect[*mqttsn.Pubcomp](s)
	}
	want(t, c.receive(), message{"up", "once", 2, false})

	for i := range 2 {
		s.send(&mqttsn.Publish{DUP: i > 0, QoS: 1, Topic: id, ID: 101, Payload: []byte("at least once")})
		if a := expect[*mqttsn.Puback](s); a.ID != 101 || a.Reason != mqttsn.Accepted {
			t.Errorf("repetition %d is answered by %+v", i, a)
		}
	}
	want(t, c.receive(), message{"up", "at least once", 1, false})
	s.publish(id, "last", 2, false)
	for m := c.receive(); m.payload != "last"; m = c.receive() {
		want(t, m, message{"up", "at least once", 1, false})
	}
}
