package mqtt

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// subscribeAs subscribes with all the options there are.
func (p *peer) subscribeAs(id int, s packets.Subscription) {
	p.t.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1, Filters: packets.Subscriptions{s}}
	if id > 0 {
		pk.Properties.SubscriptionIdentifier = []int{id}
	}
	p.send(pk)
	if codes := p.expect(packets.Suback).ReasonCodes; string(codes) != string([]byte{s.Qos}) {
		p.t.Fatalf("SUBACK % x, want %02x", codes, s.Qos)
	}
}

// retain publishes a retained message.
func (p *peer) retain(topic, payload string) {
	p.t.Helper()
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true, Qos: 1}, PacketID: 1,
		TopicName: topic, Payload: []byte(payload),
	})
	p.expect(packets.Puback)
}

// TestNoLocal: its own messages do not come back to who says so.
func TestNoLocal(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p, other := b.connect(t, 5, "p", nil), b.connect(t, 5, "other", nil)
	p.subscribeAs(0, packets.Subscription{Filter: "q", NoLocal: true})
	p.subscribeAs(0, packets.Subscription{Filter: "local"})
	p.publish("q", "own", 1, 1)
	p.expect(packets.Puback)
	other.publish("q", "other's", 1, 1)
	p.expectMessage("q other's 0 0")
	p.publish("local", "own", 0, 0)
	p.expectMessage("local own 0 0")
	p.ping()
}

// TestRetainHandling: whether retained messages come with a subscription is
// for the subscriber to say: always, if it is new, never.
func TestRetainHandling(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	b.connect(t, 5, "sender", nil).retain("r", "kept")
	p := b.connect(t, 5, "p", nil)
	for _, tt := range []struct {
		handling byte
		times    [3]int // of retained messages with the first, second and third SUBSCRIBE
	}{{0, [3]int{1, 1, 1}}, {1, [3]int{1, 0, 0}}, {2, [3]int{0, 0, 0}}} {
		for _, times := range tt.times {
			p.subscribeAs(0, packets.Subscription{Filter: "+", RetainHandling: tt.handling})
			for range times {
				p.expectMessage("r kept 0 0 retain")
			}
			p.ping() // and no more
		}
		p.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 2,
			Filters: packets.Subscriptions{{Filter: "+"}},
		})
		p.expect(packets.Unsuback)
	}
}

// TestRetainAsPublished: what is live is marked as retained only for who asks
// for that; what is retained is marked for everybody.
func TestRetainAsPublished(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	asks, not, old := b.connect(t, 5, "asks", nil), b.connect(t, 5, "not", nil), b.connect(t, 4, "old", nil)
	asks.subscribeAs(0, packets.Subscription{Filter: "r", RetainAsPublished: true})
	not.subscribeAs(0, packets.Subscription{Filter: "r"})
	old.subscribe(0, "r")
	b.connect(t, 4, "sender", nil).retain("r", "live")
	asks.expectMessage("r live 0 0 retain")
	not.expectMessage("r live 0 0")
	old.expectMessage("r live 0 0")
	for _, p := range []*peer{asks, not, old} {
		p.subscribe(0, "r")
		p.expectMessage("r live 0 0 retain")
	}
}

// TestSubscriptionIdentifiers: a message says for which of the client's
// subscriptions it has come, for overlapping ones at the highest QoS of them.
func TestSubscriptionIdentifiers(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	sender := b.connect(t, 4, "sender", nil)
	sender.retain("a/b", "kept")
	p := b.connect(t, 5, "p", kept)
	id := uint16(0)
	expect := func(why, payload, ids string) {
		t.Helper()
		id++
		pk := p.expect(packets.Publish)
		slices.Sort(pk.Properties.SubscriptionIdentifier) // their order says nothing
		if got := fmt.Sprint(pk.Properties.SubscriptionIdentifier); string(pk.Payload) != payload || pk.PacketID != id || got != ids {
			t.Errorf("%s: got %q, %d, for %s; want %q, %d, for %s", why, pk.Payload, pk.PacketID, got, payload, id, ids)
		}
		p.ack(packets.Puback, id)
	}
	p.subscribeAs(1, packets.Subscription{Filter: "a/+", Qos: 1})
	expect("retained", "kept", "[1]")
	p.subscribeAs(268435455, packets.Subscription{Filter: "a/b", RetainHandling: 2, Qos: 1})
	p.subscribeAs(0, packets.Subscription{Filter: "#", RetainHandling: 2})
	sender.publish("a/b", "overlapping", 2, 2)
	expect("overlapping", "overlapping", "[1 268435455]")
	sender.publish("a/c", "one", 1, 3)
	expect("one", "one", "[1]")
	p.subscribeAs(3, packets.Subscription{Filter: "a/+", RetainHandling: 2, Qos: 1})
	sender.publish("a/c", "changed", 1, 4)
	expect("changed", "changed", "[3]")
	p.subscribeAs(0, packets.Subscription{Filter: "a/+", RetainHandling: 2, Qos: 1})
	sender.publish("a/c", "none", 1, 5)
	expect("none any more", "none", "[]")
	p.ping()

	p.subscribeAs(7, packets.Subscription{Filter: "a/+", RetainHandling: 2, Qos: 1})
	p.disconnect()
	sender.publish("a/b", "meanwhile", 1, 6)
	p = b.connect(t, 5, "p", kept)
	expect("of a session resumed", "meanwhile", "[7 268435455]")

	p.raw("82 0b 0001 04 0b01 0b02 0001 61 00") // two of them
	if code := p.expectEnd(); code != packets.ErrProtocolViolation.Code {
		t.Errorf("two identifiers: DISCONNECT 0x%02x, want 0x82", code)
	}
	p = b.connect(t, 5, "p", nil)
	p.raw("30 06 0001 61 02 0b01") // which only servers send with PUBLISH
	if code := p.expectEnd(); code != packets.ErrProtocolViolation.Code {
		t.Errorf("an identifier in PUBLISH: DISCONNECT 0x%02x, want 0x82", code)
	}
}

// TestShared: of those who share a subscription one gets each message, in
// each version of MQTT, beside all who do not; what one leaves goes to another.
func TestShared(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	sender, all := b.connect(t, 4, "sender", nil), b.connect(t, 4, "all", nil)
	sender.retain("q", "retained")
	p5, p4 := b.connect(t, 5, "p5", nil), b.connect(t, 4, "p4", nil)
	p5.subscribeAs(9, packets.Subscription{Filter: "$share/g/q", Qos: 1})
	if got := p4.subscribe(1, "$share/g/q"); string(got) != "\x01" {
		t.Errorf("SUBACK % x, want 01", got)
	}
	p5.ping() // retained messages are not for who shares
	p4.ping()
	all.subscribe(1, "q")
	all.expectMessage("q retained 1 1 retain")
	got := make(map[string]int)
	for n := range uint16(4) {
		payload := fmt.Sprint(n)
		sender.publish("q", payload, 1, n+1)
		sender.expect(packets.Puback)
		all.expectMessage(fmt.Sprintf("q %s 1 %d", payload, n+2))
	}
	for _, p := range []*peer{p5, p4} {
		for n := range uint16(2) {
			pk := p.expect(packets.Publish)
			got[string(pk.Payload)]++
			if ids := fmt.Sprint(pk.Properties.SubscriptionIdentifier); p == p5 && ids != "[9]" || pk.PacketID != n+1 {
				t.Errorf("%q is for the subscriptions %s, under %d", pk.Payload, ids, pk.PacketID)
			}
		}
	}
	if len(got) != 4 {
		t.Errorf("four messages arrive as %v, want each once", got)
	}
	p4.Close() // with two unacknowledged
	for range 2 {
		pk := p5.expect(packets.Publish)
		got[string(pk.Payload)]++
	}
	twice := 0
	for _, n := range got {
		twice += n - 1
	}
	if twice != 2 {
		t.Errorf("messages arrive as %v, want what the lost client had once more", got)
	}
	p5.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 2,
		Filters: packets.Subscriptions{{Filter: "$share/g/q"}, {Filter: "$share/h/q"}},
	})
	if got := p5.expect(packets.Unsuback).ReasonCodes; string(got) != "\x00\x11" {
		t.Errorf("UNSUBACK % x, want 00 11", got)
	}
	sender.publish("q", "to nobody", 1, 9)
	sender.expect(packets.Puback)
	p5.ping()
}

// TestMessageExpiry: what has outlived its time does not come, whether it was
// queued or retained; what has not says how long it still has.
func TestMessageExpiry(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the clock
	b := start(t, func(co *core.Options, _ *Options) {
		co.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	p := b.connect(t, 5, "p", kept)
	p.subscribe(1, "q", "r")
	p.disconnect()
	sender := b.connect(t, 5, "sender", nil)
	for id, m := range []struct {
		topic, payload string
		seconds        uint32
		retain         bool
	}{{"q", "brief", 2, false}, {"q", "long", 4_000_000_000, false}, {"q", "for ever", 0, false},
		{"r", "brief", 2, true}, {"r", "long", 100, true}, {"s", "brief", 2, true}} {
		sender.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: m.retain}, PacketID: uint16(id + 1),
			TopicName: m.topic, Payload: []byte(m.payload), Properties: packets.Properties{MessageExpiryInterval: m.seconds},
		})
		sender.expect(packets.Puback)
	}
	ahead.Store(int64(3 * time.Second))
	p = b.connect(t, 5, "p", kept)
	within := func(pk packets.Packet, low, high uint32) {
		t.Helper()
		if left := pk.Properties.MessageExpiryInterval; left < low || left > high {
			t.Errorf("%s: %d s are left, want %d to %d", pk.Payload, left, low, high)
		}
	}
	within(p.expectMessage("q long 1 1"), 3_999_999_000, 4_000_000_000)
	within(p.expectMessage("q for ever 1 2"), 0, 0)
	within(p.expectMessage("r long 1 3"), 1, 100)
	p.subscribe(0, "s", "r")
	within(p.expectMessage("r long 0 0 retain"), 1, 100)
	p.ping()
	if n := b.core.Stats().Dropped.Expired; n < 2 {
		t.Errorf("%d are counted as expired, want 2 or more", n)
	}
}

// TestWillDelay: a will waits for its delay, or for the session's end if that
// comes first, and is not published at all if the client is back before.
func TestWillDelay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		delay, expiry uint32
		due           time.Duration
	}{{"delay", 5, 60, 5 * time.Second}, {"session's end", 60, 5, 5 * time.Second}, {"none", 0, 60, 0}, {"no session", 60, 0, 0}} {
		b := start(t, nil)
		watcher := b.connect(t, 4, "watcher", nil)
		watcher.subscribe(0, "will")
		leave := func() {
			b.connect(t, 5, "p", func(pk *packets.Packet) {
				willing(5, 0, false)(pk)
				pk.Connect.Clean = false
				pk.Connect.WillProperties.WillDelayInterval = tt.delay
				pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = tt.expiry, true
			}).Close()
			await(t, "the client to be lost", func() bool { return b.core.Stats().Connected == 1 })
		}
		leave()
		if tt.due > 0 {
			b.core.Tick(time.Now().Add(tt.due - time.Second))
			watcher.ping() // not yet
			b.connect(t, 5, "p", kept).disconnect()
			b.core.Tick(time.Now().Add(time.Minute))
			watcher.ping() // it was back in time
			leave()
			b.core.Tick(time.Now().Add(tt.due + time.Second))
		}
		if pk := watcher.expect(packets.Publish); pk.TopicName != "will" {
			t.Errorf("%s: got %s", tt.name, pk.TopicName)
		}
		watcher.ping()
	}
}
