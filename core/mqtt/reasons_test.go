package mqtt

import (
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// denying forbids the topic "secret" to everybody.
func denying(co *core.Options, _ *Options) {
	co.Authorize = func(_ core.Identity, a core.Access) bool { return a.Topic != "secret" }
}

// octets is how long a short packet was as it came.
func octets(pk packets.Packet) int { return 2 + pk.FixedHeader.Remaining }

// TestReasonStrings: an MQTT 5 client is told in words what it may not, unless
// it wants none or takes no packet so long; the code comes in any case.
func TestReasonStrings(t *testing.T) {
	t.Parallel()
	b := start(t, denying)
	for _, tt := range []struct {
		name  string
		set   func(*packets.Packet)
		words bool
	}{
		{"by default", nil, true},
		{"asked for", func(pk *packets.Packet) {
			pk.Properties.RequestProblemInfo, pk.Properties.RequestProblemInfoFlag = 1, true
		}, true},
		{"not wanted", func(pk *packets.Packet) { pk.Properties.RequestProblemInfoFlag = true }, false},
		{"too long", func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 64 }, false},
	} {
		p := b.connect(t, 5, "p", tt.set)
		check := func(pk packets.Packet, want string) {
			t.Helper()
			if !tt.words {
				want = ""
			}
			if got := pk.Properties.ReasonString; got != want && tt.name != "too long" || octets(pk) > 64 && tt.name == "too long" {
				t.Errorf("%s: %s says %q, want %q", tt.name, packets.PacketNames[pk.FixedHeader.Type], got, want)
			}
		}
		p.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
			Filters: packets.Subscriptions{{Filter: "fine"}, {Filter: "bad/#/filter"}, {Filter: "secret"}},
		})
		ack := p.expect(packets.Suback)
		if string(ack.ReasonCodes) != "\x00\x8f\x87" {
			t.Errorf("%s: SUBACK % x, want 00 8f 87", tt.name, ack.ReasonCodes)
		}
		check(ack, "filter 2 of 3: invalid topic: # must be the last level")
		p.publish("secret", "x", 1, 1)
		check(p.expect(packets.Puback), "not authorized")
		p.publish("secret", "x", 2, 2)
		check(p.expect(packets.Pubrec), "not authorized")
		p.publish(strings.Repeat("a", 2000), "x", 1, 3)
		check(p.expect(packets.Puback), "invalid topic: longer than 1024 octets")
		p.publish("fine", "x", 1, 4)
		for _, pk := range []packets.Packet{p.expect(packets.Puback), p.expect(packets.Publish)} {
			if pk.Properties.ReasonString != "" {
				t.Errorf("%s: %s says %q of a success", tt.name, packets.PacketNames[pk.FixedHeader.Type], pk.Properties.ReasonString)
			}
		}
		p.raw("10 00") // another CONNECT
		if last := p.expect(packets.Disconnect); last.ReasonCode != 0x82 ||
			tt.name != "too long" && last.Properties.ReasonString != "protocol violation: second connect packet" {
			t.Errorf("%s: DISCONNECT 0x%02x %q", tt.name, last.ReasonCode, last.Properties.ReasonString)
		}
		p.Close()
	}
	_, ack := b.tryConnect(t, 5, "denied", func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic = true, "a/#"
	})
	if ack.ReasonCode != 0x90 || ack.Properties.ReasonString != "invalid topic: a wildcard" {
		t.Errorf("CONNACK 0x%02x %q", ack.ReasonCode, ack.Properties.ReasonString)
	}
}

// TestQuotas: which bound is in the way is said with what it refuses.
func TestQuotas(t *testing.T) {
	t.Parallel()
	b := start(t, func(co *core.Options, _ *Options) {
		co.MaxSessions, co.MaxSubscriptions, co.Retained.Messages = 1, 1, 0
	})
	p := b.connect(t, 5, "p", nil)
	for i, filter := range []string{"a", "b"} {
		p.send(subscription(filter))
		want := []string{"", "filter 1 of 1: quota exceeded: limits.max_subscriptions_per_client"}[i]
		if ack := p.expect(packets.Suback); ack.Properties.ReasonString != want || (ack.ReasonCodes[0] == 0x97) != (i == 1) {
			t.Errorf("SUBSCRIBE to %s: SUBACK % x, %q; want %q", filter, ack.ReasonCodes, ack.Properties.ReasonString, want)
		}
	}
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, TopicName: "r", Payload: []byte("x"), PacketID: 1,
	})
	if ack := p.expect(packets.Puback); ack.ReasonCode != 0x97 || ack.Properties.ReasonString != "quota exceeded: limits.retained.messages or bytes" {
		t.Errorf("a retained message: PUBACK 0x%02x, %q", ack.ReasonCode, ack.Properties.ReasonString)
	}
	_, ack := b.tryConnect(t, 5, "q", nil)
	if ack.ReasonCode != 0x97 || ack.Properties.ReasonString != "quota exceeded: limits.max_sessions" {
		t.Errorf("a session: CONNACK 0x%02x, %q", ack.ReasonCode, ack.Properties.ReasonString)
	}
}

// TestUserPropertiesWithoutProblems: who wants no problem information gets the
// user properties of messages all the same [MQTT-3.1.2-29].
func TestUserPropertiesWithoutProblems(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p := b.connect(t, 5, "p", func(pk *packets.Packet) { pk.Properties.RequestProblemInfoFlag = true })
	p.subscribe(0, "q")
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "q",
		Properties: packets.Properties{User: []packets.UserProperty{{Key: "k", Val: "v"}}},
	})
	if pk := p.expect(packets.Publish); len(pk.Properties.User) != 1 {
		t.Errorf("the user properties arrive as %v", pk.Properties.User)
	}
}

// TestTinyMaximumPacketSize: a client is never sent more than it takes, were it
// but an answer: then it is lost [MQTT-3.1.2-24].
func TestTinyMaximumPacketSize(t *testing.T) {
	t.Parallel()
	b := start(t, denying)
	small := func(n uint32) func(*packets.Packet) {
		return func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = n }
	}
	p := b.connect(t, 5, "p", small(24))
	p.publish("secret", "x", 1, 1)
	if ack := p.expect(packets.Puback); ack.ReasonCode != packets.ErrNotAuthorized.Code {
		t.Errorf("PUBACK 0x%02x, want 0x87", ack.ReasonCode)
	}
	many := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1}
	for range 30 {
		many.Filters = append(many.Filters, packets.Subscription{Filter: "a"})
	}
	p.send(many)
	if last := p.expect(packets.Disconnect); last.ReasonCode != packets.ErrPacketTooLarge.Code || octets(last) > 24 {
		t.Errorf("DISCONNECT 0x%02x %q, want 0x95 in at most 24 octets", last.ReasonCode, last.Properties.ReasonString)
	}
	for n := uint32(1); n < 80; n++ { // refused, in as many words as fit
		p := b.dial(t)
		p.version = 5
		p.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Connect},
			Connect: packets.ConnectParams{
				ProtocolName: []byte("MQTT"), ClientIdentifier: "p", WillFlag: true, WillTopic: "a/#",
			},
			Properties: packets.Properties{MaximumPacketSize: n},
		})
		ack, err := p.next()
		if err != nil && n > 8 || err == nil && octets(ack) > int(n) {
			t.Errorf("of at most %d octets: CONNACK 0x%02x %q, %v", n, ack.ReasonCode, ack.Properties.ReasonString, err)
		}
		p.Close()
	}
}
