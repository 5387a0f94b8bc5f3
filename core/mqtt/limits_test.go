package mqtt

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// named gives a CONNECT the protocol name of its version.
func named(version byte) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Connect.ProtocolName = []byte(protocolName(version)) }
}

// TestVersions: a version that is not spoken, or a name that is not its own,
// is answered in the words of its version.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		spoken []byte
		want   map[byte]byte // the answer to each version
	}{
		{[]byte{3, 4, 5}, map[byte]byte{3: 0, 4: 0, 5: 0, 0: 1, 2: 1, 6: 1, 0x85: 1}},
		{[]byte{4}, map[byte]byte{3: 1, 4: 0, 5: 0x84}},
		{[]byte{3, 5}, map[byte]byte{3: 0, 4: 1, 5: 0}},
	} {
		b := start(t, func(_ *core.Options, o *Options) { o.Versions = tt.spoken })
		refused := uint64(0)
		for version, want := range tt.want {
			p, ack := b.tryConnect(t, version, "c", named(version))
			if ack.ReasonCode != want {
				t.Errorf("of %v, version %d: CONNACK 0x%02x, want 0x%02x", tt.spoken, version, ack.ReasonCode, want)
			}
			if want != 0 {
				refused++
				p.expectEnd()
			}
		}
		if n := b.server.Stats().Refused.Version; n != refused {
			t.Errorf("of %v, %d are counted, want %d", tt.spoken, n, refused)
		}
	}
	b := start(t, nil)
	for _, tt := range []struct {
		version byte
		name    string
		want    byte
	}{{5, "MQXX", 0x84}, {4, "MQXX", 1}, {4, "MQIsdp", 1}, {3, "MQTT", 1}, {5, "", 0x84}, {5, "mqtt", 0x84}} {
		p, ack := b.tryConnect(t, tt.version, "c", func(pk *packets.Packet) { pk.Connect.ProtocolName = []byte(tt.name) })
		if ack.ReasonCode != tt.want {
			t.Errorf("%q in version %d: CONNACK 0x%02x, want 0x%02x", tt.name, tt.version, ack.ReasonCode, tt.want)
		}
		p.expectEnd()
	}
	b.canary(t)
}

// willing leaves a will at a QoS, retained or not.
func willing(version, qos byte, retain bool) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		named(version)(pk)
		c := &pk.Connect
		c.WillFlag, c.WillTopic, c.WillPayload, c.WillQos, c.WillRetain = true, "will", []byte("x"), qos, retain
	}
}

// TestMaxQoS: clients are told, granted no more, and lost if they take more.
func TestMaxQoS(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *core.Options, o *Options) { o.MaxQoS = 1 })
	p, ack := b.tryConnect(t, 5, "p", nil)
	if q := ack.Properties; !q.MaximumQosFlag || q.MaximumQos != 1 {
		t.Errorf("Maximum QoS is %d (told: %v), want 1", q.MaximumQos, q.MaximumQosFlag)
	}
	if got := p.subscribe(2, "a", "b"); string(got) != "\x01\x01" {
		t.Errorf("SUBACK % x, want 01 01", got)
	}
	p.publish("a", "fine", 1, 1)
	p.expect(packets.Puback)
	p.expectMessage("a fine 1 1")
	p.publish("a", "too much", 2, 2)
	if code := p.expectEnd(); code != packets.ErrQosNotSupported.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x9b", code)
	}
	old := b.connect(t, 4, "old", nil)
	old.publish("a", "too much", 2, 2)
	old.expectEnd()
	for version, want := range map[byte]byte{3: 5, 4: 5, 5: 0x9b} {
		if _, ack := b.tryConnect(t, version, "w", willing(version, 2, false)); ack.ReasonCode != want {
			t.Errorf("a will of QoS 2 in version %d: CONNACK 0x%02x, want 0x%02x", version, ack.ReasonCode, want)
		}
	}
	if s := b.server.Stats(); s.Closed.QoS != 2 || s.Refused.QoS != 3 {
		t.Errorf("counted %d closed and %d refused, want 2 and 3", s.Closed.QoS, s.Refused.QoS)
	}
	b.connect(t, 5, "w", willing(5, 1, false))
}

// TestNoRetain: clients are told, and lost if they retain all the same.
func TestNoRetain(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *core.Options, o *Options) { o.Retain = false })
	p, ack := b.tryConnect(t, 5, "p", nil)
	if q := ack.Properties; !q.RetainAvailableFlag || q.RetainAvailable != 0 {
		t.Error("the client is not told that there are no retained messages")
	}
	retain := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: "r", Payload: []byte("x")}
	p.send(retain)
	if code := p.expectEnd(); code != packets.ErrRetainNotSupported.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x9a", code)
	}
	old := b.connect(t, 4, "old", nil)
	old.send(retain)
	old.expectEnd()
	for version, want := range map[byte]byte{3: 5, 4: 5, 5: 0x9a} {
		if _, ack := b.tryConnect(t, version, "w", willing(version, 0, true)); ack.ReasonCode != want {
			t.Errorf("a retained will in version %d: CONNACK 0x%02x, want 0x%02x", version, ack.ReasonCode, want)
		}
	}
	if n := b.core.Stats().Retained; n != 0 {
		t.Errorf("%d messages are retained, want none", n)
	}
	if s := b.server.Stats(); s.Closed.Retain != 2 || s.Refused.Retain != 3 {
		t.Errorf("counted %d closed and %d refused, want 2 and 3", s.Closed.Retain, s.Refused.Retain)
	}
}

// TestNoWildcards, and no shared subscriptions: clients are told, each filter
// is refused by itself, the others are granted.
func TestNoWildcards(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *core.Options, o *Options) { o.WildcardSubscriptions, o.SharedSubscriptions = false, false })
	p5, ack := b.tryConnect(t, 5, "p5", nil)
	if q := ack.Properties; !q.WildcardSubAvailableFlag || q.WildcardSubAvailable != 0 || !q.SharedSubAvailableFlag || q.SharedSubAvailable != 0 {
		t.Errorf("the client is told %+v", q)
	}
	filters := []string{"#", "a", "a/+/b", "$share/g/a", "$share/g/#", "b"}
	if got := p5.subscribe(1, filters...); string(got) != "\xa2\x01\xa2\x9e\x9e\x01" {
		t.Errorf("SUBACK % x, want a2 01 a2 9e 9e 01", got)
	}
	if got := p5.subscribe(1, "+"); string(got) != "\xa2" {
		t.Errorf("SUBACK % x, want a2", got)
	}
	p4 := b.connect(t, 4, "p4", nil)
	if got := p4.subscribe(1, filters...); string(got) != "\x80\x01\x80\x80\x80\x01" {
		t.Errorf("SUBACK % x, want 80 01 80 80 80 01", got)
	}
	if f := b.server.Stats().Filters; f.Wildcards != 5 || f.Shared != 4 {
		t.Errorf("counted %d wildcards and %d shared, want 5 and 4", f.Wildcards, f.Shared)
	}
	p5.publish("a", "x", 1, 1)
	p5.expect(packets.Puback)
	p5.expectMessage("a x 1 1")
	p4.expectMessage("a x 1 1")
}

// TestMaxFilters: a packet with too many filters is refused as a whole, and
// the client stays.
func TestMaxFilters(t *testing.T) {
	t.Parallel()
	b := start(t, func(co *core.Options, o *Options) { o.MaxFilters, co.MaxSubscriptions = 3, 100 })
	filters := []string{"a", "b", "c", "d"}
	for version, want := range map[byte]string{4: "\x80\x80\x80\x80", 5: "\x97\x97\x97\x97"} {
		p := b.connect(t, version, fmt.Sprint("p", version), nil)
		if got := p.subscribe(1, filters...); string(got) != want {
			t.Errorf("SUBACK % x, want % x", got, want)
		}
		if n := b.core.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions, want none", n)
		}
		if got := p.subscribe(1, filters[:3]...); string(got) != "\x01\x01\x01" {
			t.Errorf("SUBACK % x, want 01 01 01", got)
		}
		unsubscribe := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 5}
		for _, f := range filters {
			unsubscribe.Filters = append(unsubscribe.Filters, packets.Subscription{Filter: f})
		}
		p.send(unsubscribe)
		if version == 4 { // UNSUBACK cannot say no
			p.expectEnd()
			await(t, "the client to be gone", func() bool { return b.core.Stats().Connected == 0 })
			continue
		}
		if got := p.expect(packets.Unsuback); got.PacketID != 5 || string(got.ReasonCodes) != "\x83\x83\x83\x83" {
			t.Errorf("UNSUBACK of %d % x, want of 5 83 83 83 83", got.PacketID, got.ReasonCodes)
		}
		p.publish("a", "still subscribed", 1, 1)
		p.expect(packets.Puback)
		p.expectMessage("a still subscribed 1 1")
		p.disconnect()
		await(t, "the client to be gone", func() bool { return b.core.Stats().Connected == 0 })
	}
	p := b.connect(t, 5, "p", nil)
	p.raw("82 13 0000 00 | 0001 61 00 | 0001 62 00 | 0001 63 00 | 0001 64 00")
	if code := p.expectEnd(); code != packets.ErrProtocolViolation.Code {
		t.Errorf("without a packet identifier: DISCONNECT 0x%02x, want 0x82", code)
	}
	if n := b.server.Stats().Filters.TooMany; n != 4 {
		t.Errorf("%d are counted, want 4", n)
	}
}

// TestManyFilters: Home Assistant subscribes to 500 topics at a time, has one or
// two for each device, and does not look whether it got them.
func TestManyFilters(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p := b.connect(t, 4, "homeassistant", nil)
	for half := range 2 {
		filters := make([]string, 500)
		for i := range filters {
			filters[i] = fmt.Sprintf("zigbee2mqtt/device %d/%d", i, half)
		}
		if got := p.subscribe(0, filters...); string(got) != strings.Repeat("\x00", 500) {
			t.Errorf("SUBACK % x, want all granted", got)
		}
	}
}

// TestHostile11UserProperties: a packet with more user properties than it may
// have is turned away before anything is made of them.
func TestHostile11UserProperties(t *testing.T) {
	b := start(t, func(_ *core.Options, o *Options) { o.MaxUserProperties, o.PreConnectBytes = 2, 1<<17 })
	many := func(n int) (u []packets.UserProperty) {
		return slices.Repeat([]packets.UserProperty{{Key: "k", Val: "v"}}, n)
	}
	publish := func(n int) packets.Packet {
		return packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "q", PacketID: 1,
			Properties: packets.Properties{User: many(n)},
		}
	}
	p := b.connect(t, 5, "p", nil)
	p.send(publish(2))
	p.expect(packets.Puback)
	for _, n := range []int{3, 60 << 10 / 7} {
		p := b.connect(t, 5, "p", nil)
		p.send(publish(n))
		if code := p.expectEnd(); code != packets.ErrQuotaExceeded.Code {
			t.Errorf("%d of PUBLISH: DISCONNECT 0x%02x, want 0x97", n, code)
		}
		for place, set := range map[string]func(*packets.Packet){
			"CONNECT": func(pk *packets.Packet) { pk.Properties.User = many(n) },
			"a will": func(pk *packets.Packet) {
				willing(5, 0, false)(pk)
				pk.Connect.WillProperties.User = many(n)
			},
		} {
			_, ack := b.tryConnect(t, 5, "c", set)
			if ack.ReasonCode != packets.ErrQuotaExceeded.Code {
				t.Errorf("%d of %s: CONNACK 0x%02x, want 0x97", n, place, ack.ReasonCode)
			}
		}
	}
	both, ack := b.tryConnect(t, 5, "both", func(pk *packets.Packet) {
		willing(5, 0, false)(pk)
		pk.Properties.User, pk.Connect.WillProperties.User = many(2), many(2) // which count apart
	})
	if ack.ReasonCode != 0 {
		t.Errorf("CONNACK 0x%02x, want success", ack.ReasonCode)
	}
	both.ping()
	if s := b.server.Stats(); s.Closed.UserProperties != 2 || s.Refused.UserProperties != 4 {
		t.Errorf("counted %d closed and %d refused, want 2 and 4", s.Closed.UserProperties, s.Refused.UserProperties)
	}

	reader := strings.NewReader("")
	g := guard{from: reader, version: 5, limit: 1 << 20, users: 20}
	wire := p.encode(publish(60 << 10 / 7))
	if allocated := testing.AllocsPerRun(10, func() {
		reader.Reset(string(wire))
		g.buf, g.at = wire, 0
		if err := g.next(nil); err != errUserProperties {
			t.Fatalf("the guard says %v", err)
		}
	}); allocated > 5 {
		t.Errorf("the guard allocates %v times over a packet that it refuses", allocated)
	}
	b.canary(t)
}
