package mqtt

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// TestIdentifiersOfBothSides: client and broker each have their own. (mochi
// itself takes one for the other and loses a message: M15.)
func TestIdentifiersOfBothSides(t *testing.T) {
	b := start(t, nil)
	p := b.connect(t, 5, "both", kept)
	p.subscribe(1, "in")
	p.publish("in", "owed", 1, 1)
	p.expect(packets.Puback) // ahead of the echo
	p.expectMessage("in owed 1 1")
	p.publish("out", "x", 1, 1)
	p.expect(packets.Puback)
	p.publish("out", "x", 2, 1)
	p.expect(packets.Pubrec)
	p.ack(packets.Pubrel, 1)
	p.expect(packets.Pubcomp)
	p.Close()
	await(t, "the client to be lost", func() bool { return b.core.Stats().Connected == 0 })
	p = b.connect(t, 5, "both", kept)
	p.expectMessage("in owed 1 1 dup")
}

// TestQoS2Once: a PUBLISH that is repeated before its PUBREL, also over a new
// connection, is published once.
func TestQoS2Once(t *testing.T) {
	b := start(t, nil)
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "q")
	p := b.connect(t, 4, "p", kept)
	p.publish("q", "once", 2, 9)
	p.expect(packets.Pubrec)
	p.publish("q", "once", 2, 9)
	p.expect(packets.Pubrec)
	p.Close()
	p = b.connect(t, 4, "p", kept)
	p.publish("q", "once", 2, 9)
	p.expect(packets.Pubrec)
	p.ack(packets.Pubrel, 9)
	p.expect(packets.Pubcomp)
	p.ack(packets.Pubrel, 9) // PUBCOMP was lost
	p.expect(packets.Pubcomp)
	p.publish("q", "and again", 2, 9)
	p.expect(packets.Pubrec)
	watcher.expectMessage("q once 0 0")
	watcher.expectMessage("q and again 0 0")
}

// TestRefusedByClient: PUBREC with an error ends the exchange.
func TestRefusedByClient(t *testing.T) {
	b := start(t, nil)
	p := b.connect(t, 5, "fussy", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 1 })
	p.subscribe(2, "q")
	p.publish("q", "first", 0, 0)
	p.expectMessage("q first 0 0")
	sender := b.connect(t, 4, "sender", nil)
	sender.publish("q", "bad", 2, 1)
	sender.publish("q", "good", 2, 2)
	p.expectMessage("q bad 2 1")
	p.raw("50 03 0001 99")
	p.expectMessage("q good 2 2")
}

// TestSubscribe: several filters at once, each with its answer.
func TestSubscribe(t *testing.T) {
	b := start(t, func(co *core.Options, _ *Options) {
		co.Authorize = func(_ core.Identity, a core.Access) bool { return a.Topic != "secret" }
	})
	filters := []string{"a/+/c", "secret", "bad/#/filter", "#"}
	want5 := []byte{1, 0x87, 0x8f, 1}
	want4 := []byte{1, 0x80, 0x80, 1}
	p5, p4 := b.connect(t, 5, "p5", nil), b.connect(t, 4, "p4", nil)
	if got := p5.subscribe(1, filters...); string(got) != string(want5) {
		t.Errorf("SUBACK % x, want % x", got, want5)
	}
	if got := p4.subscribe(1, filters...); string(got) != string(want4) {
		t.Errorf("SUBACK % x, want % x", got, want4)
	}
	p5.publish("a/b/c", "once for both filters", 1, 1)
	p5.expect(packets.Puback)
	p5.expectMessage("a/b/c once for both filters 1 1")
	p4.expectMessage("a/b/c once for both filters 1 1")

	p5.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 5,
		Filters: packets.Subscriptions{{Filter: "a/+/c"}, {Filter: "never"}, {Filter: "#"}},
	})
	if got := p5.expect(packets.Unsuback).ReasonCodes; string(got) != "\x00\x11\x00" {
		t.Errorf("UNSUBACK % x, want 00 11 00", got)
	}
	p5.publish("a/b/c", "gone", 0, 0)
	p5.ping()
}

// TestSubscriptionOptions: what MQTT 5 lets a subscriber ask for.
func TestSubscriptionOptions(t *testing.T) {
	b := start(t, nil)
	sender := b.connect(t, 5, "sender", nil)
	sender.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: "r", Payload: []byte("kept"),
	})
	sender.ping()
	p := b.connect(t, 5, "p", nil)
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters:    packets.Subscriptions{{Filter: "r", RetainAsPublished: true}},
		Properties: packets.Properties{SubscriptionIdentifier: []int{42}},
	})
	p.expect(packets.Suback)
	if pk := p.expectMessage("r kept 0 0 retain"); fmt.Sprint(pk.Properties.SubscriptionIdentifier) != "[42]" {
		t.Errorf("Subscription Identifier is %v, want [42]", pk.Properties.SubscriptionIdentifier)
	}
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 2,
		Filters: packets.Subscriptions{{Filter: "own", NoLocal: true}, {Filter: "+", RetainHandling: 2}},
	})
	p.expect(packets.Suback)
	p.ping() // nothing retained
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: "r", Payload: []byte("live"),
	})
	p.expectMessage("r live 0 0 retain")
}

// TestProperties: what an MQTT 5 publisher says about a message reaches MQTT 5
// subscribers unchanged, its lifetime as it runs, and no one else.
func TestProperties(t *testing.T) {
	b := start(t, nil)
	p5, p4 := b.connect(t, 5, "p5", nil), b.connect(t, 4, "p4", nil)
	p5.subscribe(0, "q")
	p4.subscribe(0, "q")
	p5.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "q", Payload: []byte("x"),
		Properties: packets.Properties{
			PayloadFormat: 1, PayloadFormatFlag: true, ContentType: "text/plain",
			ResponseTopic: "answer", CorrelationData: []byte{1, 2}, MessageExpiryInterval: 600,
			User: []packets.UserProperty{{Key: "k", Val: "1"}, {Key: "k", Val: "2"}},
		},
	})
	p4.expectMessage("q x 0 0")
	p := p5.expectMessage("q x 0 0").Properties
	if p.PayloadFormat != 1 || p.ContentType != "text/plain" || p.ResponseTopic != "answer" ||
		string(p.CorrelationData) != "\x01\x02" || fmt.Sprint(p.User) != "[{k 1} {k 2}]" ||
		p.MessageExpiryInterval < 500 || p.MessageExpiryInterval > 600 {
		t.Errorf("the properties arrive as %+v", p)
	}
}

// TestResponseTopic: one with a wildcard is against the protocol
// [MQTT-3.3.2-14].
func TestResponseTopic(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	for topic, want := range map[string]byte{"a/+": 0x82, "#": 0x82, "a+b": 0x82} {
		p := b.connect(t, 5, "p", nil)
		p.raw(fmt.Sprintf("30 %02x 0001 71 %02x 08 %04x %x", 7+len(topic), 3+len(topic), len(topic), topic))
		if code := p.expectEnd(); code != want {
			t.Errorf("%s: DISCONNECT 0x%02x, want 0x%02x", topic, code, want)
		}
	}
}

// TestUnwelcomeProperties: what some subscribers hang up on is not handed on to
// them; Mosquitto's do on a control character in any string.
func TestUnwelcomeProperties(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	watcher := b.connect(t, 5, "watcher", nil)
	watcher.subscribe(0, "q")
	two := byte(2)
	for why, p := range map[string]packets.Properties{
		"a tab in a content type":            {ContentType: "a\tb"},
		"a line break in a response topic":   {ResponseTopic: "a\nb"},
		"a non-character in a user property": {User: []packets.UserProperty{{Key: "fine"}, {Key: "k", Val: "\uffff"}}},
		"DEL in the name of a user property": {User: []packets.UserProperty{{Key: "\x7f"}}},
		"a payload format that there is not": {PayloadFormat: two, PayloadFormatFlag: true},
	} {
		want := packets.ErrMalformedPacket.Code
		if p.PayloadFormatFlag {
			want = packets.ErrProtocolViolation.Code
		}
		publisher := b.connect(t, 5, "p", nil)
		publisher.send(with(p))
		if code := publisher.expectEnd(); code != want {
			t.Errorf("%s: DISCONNECT 0x%02x, want 0x%02x", why, code, want)
		}
		willing, ack := b.tryConnect(t, 5, "p", func(pk *packets.Packet) {
			c := &pk.Connect
			c.WillFlag, c.WillTopic, c.WillProperties = true, "q", p
		})
		if ack.ReasonCode != want {
			t.Errorf("%s in a will: CONNACK 0x%02x, want 0x%02x", why, ack.ReasonCode, want)
		}
		willing.expectEnd()
	}
	watcher.ping()
}

// TestSentAgainIn31: MQTT 3.1 marks more than a PUBLISH that is sent again.
func TestSentAgainIn31(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p := b.connect(t, 3, "p", named(3))
	p.raw("8a 06 0001 0001 61 00 | 34 06 0001 61 0002 78 | 3c 06 0001 61 0002 78 | 6a 02 0002 | 6a 02 0002 | aa 05 0003 0001 61")
	for _, kind := range []byte{packets.Suback, packets.Pubrec} {
		p.expect(kind)
	}
	got := map[byte]int{}
	for range 5 {
		pk, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		got[pk.FixedHeader.Type]++
	}
	for kind, want := range map[byte]int{packets.Publish: 1, packets.Pubrec: 1, packets.Pubcomp: 2, packets.Unsuback: 1} {
		if got[kind] != want {
			t.Errorf("%d of %s, want %d", got[kind], packets.PacketNames[kind], want)
		}
	}
	for _, octets := range []string{"6a 02 0002", "8a 06 0001 0001 61 00", "aa 05 0003 0001 61"} {
		later := b.connect(t, 4, "later", nil)
		later.raw(octets)
		later.expectEnd() // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
	}
}

// TestMaximumPacketSize: a message too long for a client is skipped, counted
// and not owed any more.
func TestMaximumPacketSize(t *testing.T) {
	b := start(t, func(co *core.Options, _ *Options) { co.MaxInflight = 1 })
	p := b.connect(t, 5, "small", func(pk *packets.Packet) {
		pk.Properties.MaximumPacketSize = 64
	})
	p.subscribe(1, "q")
	sender := b.connect(t, 4, "sender", nil)
	sender.publish("q", strings.Repeat("x", 100), 1, 1)
	sender.publish("q", "short", 1, 2)
	p.expectMessage("q short 1 2")
	if n := b.server.Stats().TooLarge; n != 1 {
		t.Errorf("%d messages are counted as too large, want 1", n)
	}
}

// TestStalledSubscriber: who does not read what it gets keeps nobody waiting.
// Its queue overflows, and it is cut off in time. (M18.)
func TestStalledSubscriber(t *testing.T) {
	t.Parallel()
	b := start(t, func(co *core.Options, o *Options) {
		co.Queue.Messages = 100
		o.WriteTimeout = time.Second
		o.MaxPacketSize = 1 << 20
	})
	stalled, reader := b.connect(t, 4, "stalled", kept), b.connect(t, 4, "reader", nil)
	stalled.subscribe(0, "q")
	reader.subscribe(1, "q")
	sender := b.connect(t, 4, "sender", nil)
	payload := strings.Repeat("x", 200<<10)
	for n := uint16(1); n <= 300; n++ {
		sender.publish("q", payload, 1, n)
		sender.expect(packets.Puback)
		if pk := reader.expect(packets.Publish); len(pk.Payload) != len(payload) {
			t.Fatalf("message %d has %d octets", n, len(pk.Payload))
		}
		reader.ack(packets.Puback, n)
	}
	if n := b.core.Stats().Dropped.Overflow; n == 0 {
		t.Error("nothing was dropped: the client did not stall")
	}
	await(t, "the client to be cut off", func() bool { return b.server.Stats().Closed.Stalled == 1 })
	b.canary(t)
}

// TestUnreadAnswers: who asks and asks and does not read the answers is cut
// off before they take much room.
func TestUnreadAnswers(t *testing.T) {
	b := start(t, nil)
	client, socket := net.Pipe() // takes nothing unless it is read
	b.server.admit(&listener{name: "pipe"}, socket)
	p := &peer{t: t, Conn: client, in: bufio.NewReader(client), version: 5}
	client.SetDeadline(time.Now().Add(patience))
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "deaf", Clean: true},
	})
	p.expect(packets.Connack)
	pings := []byte(strings.Repeat("\xc0\x00", 1024))
	sent := 0
	for ; sent < 4*outLimit; sent += len(pings) {
		if _, err := p.Write(pings); err != nil {
			break
		}
	}
	if n := b.server.Stats().Closed.Stalled; n != 1 || sent > 2*outLimit {
		t.Errorf("%d cut off after %d octets of PINGREQ; want 1 after some %d", n, sent, outLimit)
	}
	b.canary(t)
}
