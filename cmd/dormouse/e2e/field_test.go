package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// The statements of users' complaints, by number, where this level is the one
// to see them from. Numbers 14, 13, 21 and 23 are beside their kin; 3 and 12
// need a store. 6 over a thousand random schedules, 9 over
// eighteen hours, 16 over ten million datagrams and 17 with a hundred thousand
// sleepers need virtual time or the inside of the gateway, and are tested there.

// TestB01WakeFromANewAddress: where the policy allows it, everything goes to
// the new address and nothing to the old; by default a bare PINGREQ from
// elsewhere gets a DISCONNECT, and the mail stays.
func TestB01WakeFromANewAddress(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"always", "authenticated", "never"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			b := start(t, "mqttsn.address_migration="+policy)
			home, away := b.sensor("sleeper"), b.sensor("sleeper")
			home.connect(false)
			home.subscribe("cmd/#", 1)
			home.sleep(time.Hour)
			var sent []message
			for i := range 5 {
				m := message{fmt.Sprint("cmd/", i%2), fmt.Sprint(i), 1, false}
				b.publish(t, m.topic, m.payload, m.qos)
				sent = append(sent, m)
			}
			if policy == "always" {
				if got := away.wake(); !slices.Equal(got, sent) {
					t.Errorf("the wake from a new address brought %v, want %v", got, sent)
				}
				home.hearsNothing()
				return
			}
			away.send(&mqttsn.Pingreq{ClientID: []byte("sleeper")})
			expect[*mqttsn.Disconnect](away)
			away.hearsNothing()
			home.hearsNothing()
			if got := home.wake(); !slices.Equal(got, sent) {
				t.Errorf("the wake at home brought %v, want %v", got, sent)
			}
		})
	}
}

// TestB02ReusedAddress: a client that comes from where another one fell
// asleep gets its own session, and the sleeper's mail stays the sleeper's.
func TestB02ReusedAddress(t *testing.T) {
	t.Parallel()
	b := start(t)
	address := b.socket()
	c1, c2 := address.sensor(b, "c1", ""), address.sensor(b, "c2", "")
	c1.connect(false)
	c1.subscribe("cmd", 1)
	c1.sleep(time.Hour)
	c2.connect(true)
	b.publish(t, "cmd", "for c1", 1)
	c2.hearsNothing()

	moved := b.sensor("c1")
	moved.connect(false)
	want(t, moved.receive(), message{"cmd", "for c1", 1, false})
	c2.send(&mqttsn.Pingreq{})
	expect[*mqttsn.Pingresp](c2)
}

// TestB04PingrespComesLastAndB05MailComesOnce: a sensor that keeps its
// PUBACK back gets no PINGRESP; what it has acknowledged never comes again.
func TestB04PingrespComesLastAndB05MailComesOnce(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.retry.interval=1s", "mqttsn.retry.max=10")
	s := b.sensor("sleeper")
	s.connect(true)
	s.subscribe("cmd", 1)
	s.sleep(time.Hour)
	for i := range 3 {
		b.publish(t, "cmd", fmt.Sprint(i), 1)
	}
	b.publish(t, "cmd", "unacknowledged", 0)
	s.send(&mqttsn.Pingreq{ClientID: []byte(s.id)})
	first := expect[*mqttsn.Publish](s)
	again := expect[*mqttsn.Publish](s) // its PUBACK seems lost
	if first.DUP || !again.DUP || first.ID != again.ID || !bytes.Equal(first.Payload, again.Payload) {
		t.Errorf("%+v is repeated as %+v", first, again)
	}
	s.send(&mqttsn.Puback{TopicID: again.Topic.ID, ID: again.ID})
	var got []string
	for _, m := range s.flush() {
		got = append(got, m.payload)
	}
	if fmt.Sprint(got) != "[1 2 unacknowledged]" {
		t.Errorf("the rest of the wake is %v, want 1, 2 and the one at QoS 0", got)
	}
	if got := s.wake(); len(got) != 0 {
		t.Errorf("the next wake brought %v again", got)
	}
}

// TestB06NothingToASleepingRadio, also with an exchange open when it sleeps.
func TestB06NothingToASleepingRadio(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.retry.interval=1s")
	s := b.sensor("sleeper")
	s.connect(true)
	s.subscribe("cmd", 1)
	b.publish(t, "cmd", "0", 1)
	expect[*mqttsn.Publish](s) // and no PUBACK
	s.sleep(time.Hour)

	// Another sensor's retransmission shows that the time for one has passed.
	other := b.sensor("other")
	other.connect(true)
	other.subscribe("cmd", 1)
	b.publish(t, "cmd", "1", 1)
	for !expect[*mqttsn.Publish](other).DUP {
	}
	s.hearsNothing()
	got := s.wake()
	if len(got) != 2 || got[0].payload != "0" || got[1].payload != "1" {
		t.Errorf("the wake brought %v, want 0 and 1", got)
	}
	s.hearsNothing()
}

// TestB07NewTopicsReachASleepingWildcardSubscriber: REGISTER, REGACK, PUBLISH,
// for each of them, and then the PINGRESP.
func TestB07NewTopicsReachASleepingWildcardSubscriber(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sleeper")
	s.connect(true)
	s.subscribe("cmd/#", 1)
	s.sleep(time.Hour)
	for _, topic := range []string{"cmd/a", "cmd/b", "cmd/c"} {
		b.publish(t, topic, "x", 1)
	}
	s.send(&mqttsn.Pingreq{ClientID: []byte(s.id)})
	for _, topic := range []string{"cmd/a", "cmd/b", "cmd/c"} {
		r := expect[*mqttsn.Register](s)
		if string(r.Name) != topic {
			t.Errorf("REGISTER of %q, want %s", r.Name, topic)
		}
		s.hearsNothing() // no PUBLISH before the REGACK
		s.accept(r)
		p := expect[*mqttsn.Publish](s)
		if p.Topic.ID != r.TopicID {
			t.Errorf("PUBLISH on topic id %d, want %d", p.Topic.ID, r.TopicID)
		}
		s.accept(p)
	}
	expect[*mqttsn.Pingresp](s)
}

// TestB09KeepAliveRestsWhileAsleep: a sleep far beyond the keep alive costs
// neither the session nor the will.
func TestB09KeepAliveRestsWhileAsleep(t *testing.T) {
	t.Parallel()
	b := start(t)
	sub := b.mosquittoSub(t, "will/#", 1)
	s := b.sensor("sleeper")
	s.connectWithWill(false, time.Second, message{topic: "will/sleeper", payload: "never"})
	s.subscribe("cmd", 1)
	s.sleep(65535 * time.Second)
	other := b.sensor("other")
	other.connectWithWill(true, time.Second, message{topic: "will/other", payload: "that long"})
	want(t, sub.receive(), message{topic: "will/other", payload: "that long"})

	b.publish(t, "cmd", "x", 1)
	if got := s.wake(); len(got) != 1 || got[0].payload != "x" {
		t.Errorf("the wake brought %v, want x", got)
	}
	b.wantNoMore(t, sub, "will")
}

// TestB10GoingToSleepTwice: a repeated DISCONNECT with Duration is answered
// each time and costs nothing; the mail is still there.
func TestB10GoingToSleepTwice(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sleeper")
	s.connect(true)
	s.subscribe("cmd", 1)
	s.sleep(time.Hour)
	b.publish(t, "cmd", "x", 1)
	for range 3 {
		s.sleep(time.Hour)
	}
	s.hearsNothing()
	if got := s.wake(); len(got) != 1 || got[0].payload != "x" {
		t.Errorf("the wake brought %v, want x", got)
	}
}

// TestB11DisconnectWhileAsleep ends the session, is answered, and fires no will.
func TestB11DisconnectWhileAsleep(t *testing.T) {
	t.Parallel()
	b := start(t)
	sub := b.mosquittoSub(t, "will/#", 1)
	s := b.sensor("sleeper")
	s.connectWithWill(true, time.Minute, message{topic: "will/sleeper", payload: "never"})
	s.sleep(time.Hour)
	s.disconnect()
	s.disconnect() // the answer may have been lost
	s.send(&mqttsn.Pingreq{ClientID: []byte(s.id)})
	expect[*mqttsn.Disconnect](s)
	b.wantNoMore(t, sub, "will")
}

// TestB15TopicIDsRunOut: a client that asks for more topic ids than it may
// have is refused, and its neighbour notices nothing.
func TestB15TopicIDsRunOut(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.topic_ids.per_client=1000")
	neighbour := b.sensor("neighbour")
	neighbour.connect(true)
	greedy := b.sensor("greedy")
	greedy.connect(true)
	ids := make(map[uint16]int)
	for i := range 1100 {
		greedy.send(&mqttsn.Register{ID: uint16(i + 1), Name: fmt.Appendf(nil, "topic/%d", i)})
		a := expect[*mqttsn.Regack](greedy)
		if accepted := i < 1000; (a.Reason == mqttsn.Accepted) != accepted {
			t.Fatalf("topic %d: REGACK %v", i, a.Reason)
		} else if !accepted {
			continue
		}
		if _, taken := ids[a.TopicID]; taken || a.TopicID == 0 || a.TopicID == 0xffff {
			t.Fatalf("topic %d got id %d again", i, a.TopicID)
		}
		ids[a.TopicID] = i
	}
	neighbour.register("a/topic")
	c := b.mqtt3(t, "client", nil)
	c.subscribe("topic/#", 1)
	for id, i := range ids {
		greedy.publish(mqttsn.Topic{Kind: mqttsn.TopicNormal, ID: id}, "x", 1, false)
		want(t, c.receive(), message{fmt.Sprint("topic/", i), "x", 1, false})
	}
}

// TestB17LimitIsSaidAndSlotsAreFreed: who comes when the broker is full is
// told so, and counted; a client that is lost makes room.
func TestB17LimitIsSaidAndSlotsAreFreed(t *testing.T) {
	t.Parallel()
	b := start(t, "limits.max_sessions=3")
	watcher := b.mqtt3(t, "watcher", nil)
	watcher.subscribe("will/#", 0)
	lost, other, late := b.sensor("lost"), b.sensor("other"), b.sensor("late")
	lost.connectWithWill(true, time.Second, message{topic: "will/lost", payload: "x"})
	other.connect(true)
	late.send(&mqttsn.Connect{CleanSession: true, ProtocolID: 1, ClientID: []byte("late")})
	late.wantConnack(mqttsn.Congestion)

	want(t, watcher.receive(), message{topic: "will/lost", payload: "x"})
	late.connect(true)
	other.disconnect()
	b.wantFigure(t, "connects/refused", 1)
}

// TestB18QoSMinusOne: from an unknown address to a pre-defined or short topic
// it is published without a session; where the listener forbids it, nothing
// happens, and neither is answered.
func TestB18QoSMinusOne(t *testing.T) {
	t.Parallel()
	topics := []mqttsn.Topic{predefined(7), short("T1"), {Kind: mqttsn.TopicName, Name: []byte("a/name")}}
	names := []string{"alarm", "T1", "a/name"}
	publish := func(s *sensor) {
		for _, topic := range append(topics, predefined(8)) {
			s.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: topic, Payload: []byte("x")})
		}
		s.hearsNothing()
	}
	for _, enabled := range []string{"loopback", "true", "false"} {
		t.Run(enabled, func(t *testing.T) {
			t.Parallel()
			b := start(t, "mqttsn.predefined=[{id: 7, topic: alarm}]", "mqttsn.qos_minus_one.enabled="+enabled)
			c := b.mqtt3(t, "client", nil)
			for _, name := range append(names, "end") {
				c.subscribe(name, 1)
			}
			stranger := b.sensor("stranger")
			publish(stranger)
			if enabled != "false" {
				for _, name := range names {
					want(t, c.receive(), message{topic: name, payload: "x"})
				}
			}
			c.publish("end", "", 0, false)
			want(t, c.receive(), message{topic: "end"})
			stranger.send(&mqttsn.Pingreq{})
			expect[*mqttsn.Disconnect](stranger) // it has no session
		})
	}
}

// TestB22EverySizeGoesThrough: payloads around the lengths at which the header
// changes form, and up to the datagram's bound, in both directions; what is
// too long for the sensor is dropped, never cut.
func TestB22EverySizeGoesThrough(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	s.subscribe("down", 1)
	c := b.mqtt5(t, "client", nil)
	c.subscribe("up", 1)
	up := s.register("up")
	const most = 1024 - 9 // of a datagram of 1024 octets with the long header
	sizes := []int{0, 1, 2, most - 1, most}
	for n := 240; n < 262; n++ {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		payload := strings.Repeat("x", n)
		s.publish(up, payload, 1, false)
		c.publish("down", payload, 1, false)
		if m := c.receive(); m.payload != payload {
			t.Errorf("%d octets up arrive as %d", n, len(m.payload))
		}
		if m := s.receive(); m.payload != payload {
			t.Errorf("%d octets down arrive as %d", n, len(m.payload))
		}
	}
	c.publish("down", strings.Repeat("x", most+1), 1, false)
	c.publish("down", "after it", 1, false)
	want(t, s.receive(), message{"down", "after it", 1, false})
}
