package mqtt

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// More of what is hostile, in the order of the same list as in guard_test.go.

// TestHostile04SplitPackets: where packets begin and end has nothing to do
// with how their octets arrive.
func TestHostile04SplitPackets(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	all := unhex(t, "10 0e 0004 4d515454 05 02 003c 00 0001 63 | 82 07 0001 00 0001 71 00 |"+
		"30 05 0001 71 00 31 | 32 07 0001 71 0001 00 32 | c0 00 | e0 00")
	for name, size := range map[string]int{"octet by octet": 1, "in threes": 3, "in one": len(all)} {
		p := b.dial(t)
		p.version = 5
		for chunk := range slices.Chunk(all, size) {
			p.Write(chunk)
		}
		got := make(map[byte]int)
		for {
			pk, err := p.next()
			if err != nil {
				break
			}
			got[pk.FixedHeader.Type]++
		}
		for kind, want := range map[byte]int{packets.Connack: 1, packets.Suback: 1, packets.Puback: 1, packets.Pingresp: 1} {
			if got[kind] != want {
				t.Errorf("%s: %d of %s, want %d", name, got[kind], packets.PacketNames[kind], want)
			}
		}
	}
	b.canary(t)
}

// TestHostile12WillProperties: properties that a will does not have are turned
// away, and nothing is left of those who send them.
func TestHostile12WillProperties(t *testing.T) {
	b := start(t, nil)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	wills := map[byte]bool{ // MQTT 5 §3.1.3.2
		packets.PropWillDelayInterval: true, packets.PropPayloadFormat: true, packets.PropMessageExpiryInterval: true,
		packets.PropContentType: true, packets.PropResponseTopic: true, packets.PropCorrelationData: true, packets.PropUser: true,
	}
	var before uint64
	for round := range 4 {
		for id := range 256 {
			if wills[byte(id)] {
				continue
			}
			p := b.dial(t)
			p.raw(fmt.Sprintf("10 1a 0004 4d515454 05 06 003c 00 0001 63 05 %02x 00000001 0001 77 0001 78 00 00", id))
			if code := p.expectEnd(); code != 0 {
				t.Fatalf("property 0x%02x of a will: DISCONNECT 0x%02x", id, code)
			}
		}
		await(t, "them to be gone", func() bool { return b.server.Stats().Connections == 0 })
		if round == 0 {
			before = heap() // what is pooled is there by now
		}
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap has grown by %d KiB", (after-before)>>10)
	}
	b.canary(t)
}

// TestHostile13QoS2WithoutRelease: who never sends PUBREL is cut off in MQTT 5;
// in 3.1.1, where nothing forbids it, each identifier is taken once.
func TestHostile13QoS2WithoutRelease(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p := b.connect(t, 5, "p5", nil)
	for id := range uint16(65) {
		p.publish("q", "x", 2, id+1)
	}
	p.expectAcks(t, 64)
	if code := p.expectEnd(); code != packets.ErrReceiveMaximum.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x93", code)
	}

	const many = 5000
	before := b.core.Stats().Received.Messages
	old := b.connect(t, 4, "p4", nil)
	for range 3 {
		var all []byte
		for id := range uint16(many) {
			all = append(all, old.encode(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2}, TopicName: "q", PacketID: id + 1,
			})...)
		}
		old.Write(all)
		old.expectAcks(t, many)
	}
	if n := b.core.Stats().Received.Messages - before; n != many {
		t.Errorf("%d messages were taken, want %d", n, many)
	}

	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "twice")
	twice := b.connect(t, 5, "twice", nil)
	twice.raw("34 0a 0005 7477696365 0007 00 | 3c 0a 0005 7477696365 0007 00") // in one segment, the second with DUP
	twice.expectAcks(t, 2)
	watcher.expectMessage("twice  0 0")
	watcher.ping()
}

// TestHostile14TakeoverWithinQoS2: however many connections of one client
// publish under one identifier at once, it is one message.
func TestHostile14TakeoverWithinQoS2(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "q")
	var taken atomic.Int64
	var fight, entered sync.WaitGroup
	for range 20 {
		entered.Add(1)
		fight.Go(func() {
			enter := sync.OnceFunc(entered.Done)
			defer enter()
			p := b.dial(t)
			p.version = 4
			p.send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Connect},
				Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "p", Keepalive: 60},
			})
			p.publish("q", "once", 2, 9)
			for {
				pk, err := p.next()
				enter()
				if err != nil {
					break // taken over
				}
				if pk.FixedHeader.Type == packets.Pubrec {
					taken.Add(1)
				}
			}
		})
	}
	entered.Wait()
	await(t, "one to get through", func() bool { return taken.Load() > 0 })
	last := b.connect(t, 4, "p", kept) // has the others end
	fight.Wait()
	last.publish("q", "once", 2, 9)
	last.expect(packets.Pubrec)
	last.ack(packets.Pubrel, 9)
	last.expect(packets.Pubcomp)
	watcher.expectMessage("q once 0 0")
	watcher.ping()
}

// TestHostile15Wills: a will where its author may not publish is refused with
// the client, and is not published if it may not any more.
func TestHostile15Wills(t *testing.T) {
	t.Parallel()
	var revoked atomic.Bool
	b := start(t, func(co *core.Options, _ *Options) {
		co.Authorize = func(_ core.Identity, a core.Access) bool {
			return a.Do == core.ActSubscribe || a.Topic != "denied" && !revoked.Load()
		}
	})
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "#", "$SYS/x", "$CONTROL/#")
	for topic, want := range map[string]byte{
		"denied": 0x87, "$SYS/x": 0x87, "$CONTROL/dynamic-security/v1": 0x87, "a/#": 0x90, "+": 0x90, "": 0x90, "a\x01": 0x90,
	} {
		p, ack := b.tryConnect(t, 5, "p", func(pk *packets.Packet) {
			willing(5, 1, true)(pk)
			pk.Connect.WillTopic = topic
		})
		if ack.ReasonCode != want {
			t.Errorf("a will on %q: CONNACK 0x%02x, want 0x%02x", topic, ack.ReasonCode, want)
		}
		p.expectEnd()
	}
	p := b.connect(t, 5, "p", willing(5, 1, true))
	revoked.Store(true)
	p.Close()
	await(t, "the client to be lost", func() bool { return b.core.Stats().Connected == 1 })
	watcher.ping() // and no will
	if n := b.core.Stats().Retained; n != 0 {
		t.Errorf("%d messages are retained, want none", n)
	}
}

// TestHostile24InternalTopics: what begins with a dollar sign is had by its
// name alone, if at all, and there are no other names for it.
func TestHostile24InternalTopics(t *testing.T) {
	t.Parallel()
	b := start(t, func(co *core.Options, _ *Options) {
		co.Authorize = func(_ core.Identity, a core.Access) bool {
			return a.Do == core.ActPublish || !strings.HasPrefix(a.Topic, "$SYS")
		}
	})
	b.core.Tick(time.Now().Add(time.Hour)) // $SYS is published
	p := b.connect(t, 5, "p", nil)
	got := p.subscribe(0, "#", "+/#", "+/broker/version", "/#", "%24SYS/#", "\\$SYS/#", "$MQTT/#", "$SYS.broker", "$sys/#")
	for i, code := range got {
		if i != 7 && code != 0 || i == 7 && code != packets.ErrNotAuthorized.Code {
			t.Errorf("filter %d: SUBACK 0x%02x", i, code)
		}
	}
	p.ping() // nothing retained has come
	b.core.Tick(time.Now().Add(2 * time.Hour))
	p.ping()
	b.canary(t)
}

// TestHostile25Sys: $SYS is refused to who may not have it, and to everybody
// who would publish there.
func TestHostile25Sys(t *testing.T) {
	t.Parallel()
	b := start(t, func(co *core.Options, _ *Options) {
		co.Authorize = func(who core.Identity, a core.Access) bool {
			return who.ClientID == "operator" || !strings.HasPrefix(a.Topic, "$SYS")
		}
	})
	b.core.Tick(time.Now().Add(time.Hour))
	user, operator := b.connect(t, 5, "user", nil), b.connect(t, 5, "operator", nil)
	if got := user.subscribe(0, "$SYS/#", "$SYS/broker/version"); string(got) != "\x87\x87" {
		t.Errorf("SUBACK % x, want 87 87", got)
	}
	user.ping()
	if got := operator.subscribe(0, "$SYS/broker/version"); string(got) != "\x00" {
		t.Errorf("SUBACK % x, want 00", got)
	}
	operator.expectMessage("$SYS/broker/version dormouse 0 0 retain")
	for _, p := range []*peer{user, operator} {
		p.publish("$SYS/broker/version", "forged", 1, 1)
		if ack := p.expect(packets.Puback); ack.ReasonCode != packets.ErrNotAuthorized.Code {
			t.Errorf("PUBACK 0x%02x, want 0x87", ack.ReasonCode)
		}
	}
	b.canary(t)
}

// TestHostile62Shares: what is meant for a shared subscription and is none is
// refused, not taken for a filter that never matches.
func TestHostile62Shares(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p, old := b.connect(t, 5, "p", nil), b.connect(t, 4, "old", nil)
	for _, filter := range []string{
		"$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#/a", "$share/a+b/c", "$share/g/a/#/b",
		"$SHARE/g/a", "$Share/g/#", "$share", "$SHARE",
	} {
		if got := p.subscribe(1, filter, "fine"); string(got) != "\x8f\x01" {
			t.Errorf("SUBSCRIBE to %s and another: SUBACK % x, want 8f 01", filter, got)
		}
		if got := old.subscribe(1, filter, "fine"); string(got) != "\x80\x01" {
			t.Errorf("SUBSCRIBE to %s and another in 3.1.1: SUBACK % x, want 80 01", filter, got)
		}
	}
	p.publish("a", "x", 1, 1)
	p.expect(packets.Puback)
	p.ping() // nobody has subscribed to it
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: "own", NoLocal: true}, {Filter: "$share/g/a", NoLocal: true}},
	})
	if code := p.expectEnd(); code != packets.ErrProtocolViolation.Code {
		t.Errorf("No Local of a shared subscription: DISCONNECT 0x%02x, want 0x82 [MQTT-3.8.3-4]", code)
	}
	b.canary(t)
}

// TestHostile70Strings: what is no UTF-8 of MQTT ends the connection, wherever
// it is; what a topic may not hold though it is UTF-8 is refused.
func TestHostile70Strings(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	watcher := b.connect(t, 5, "watcher", nil)
	watcher.subscribe(0, "#")
	places := map[string]func(p *peer, s string){
		"a topic":  func(p *peer, s string) { p.publish(s, "x", 1, 1) },
		"a filter": func(p *peer, s string) { p.send(subscription(s)) },
		"a filter to leave": func(p *peer, s string) {
			pk := subscription(s)
			pk.FixedHeader.Type = packets.Unsubscribe
			p.send(pk)
		},
		"a content type": func(p *peer, s string) { p.send(with(packets.Properties{ContentType: s})) },
		"a response topic": func(p *peer, s string) {
			p.send(with(packets.Properties{ResponseTopic: s}))
		},
		"a user property's key":   func(p *peer, s string) { p.send(with(packets.Properties{User: []packets.UserProperty{{Key: s}}})) },
		"a user property's value": func(p *peer, s string) { p.send(with(packets.Properties{User: []packets.UserProperty{{Val: s}}})) },
		"a reason": func(p *peer, s string) {
			p.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: 1, ReasonCode: 0x80,
				Properties: packets.Properties{ReasonString: s}})
		},
	}
	for _, s := range []string{"a\x00b", "\x00", "\xed\xa0\x80", "\xed\xbf\xbf", "\xc0\x80", "\xe0\x80\xaf", "\xff", "a\xe2\x82"} {
		for place, say := range places {
			p := b.connect(t, 5, "p", nil)
			say(p, s)
			if code := p.expectEnd(); code != packets.ErrMalformedPacket.Code {
				t.Errorf("%q as %s: DISCONNECT 0x%02x, want 0x81", s, place, code)
			}
		}
		for place, set := range map[string]func(*packets.Packet){
			"a will's topic":   func(pk *packets.Packet) { pk.Connect.WillTopic = s },
			"a will's content": func(pk *packets.Packet) { pk.Connect.WillProperties.ContentType = s },
		} {
			p := b.dial(t)
			p.version = 5
			connect := packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Connect},
				Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "p", WillFlag: true, WillTopic: "w"},
			}
			set(&connect)
			p.send(connect)
			if _, err := p.next(); err == nil {
				t.Errorf("%q as %s is answered", s, place)
			}
		}
	}
	p := b.connect(t, 5, "p", nil)
	for _, s := range []string{"\ufffe", "a/\uffff", "\U0001fffe", "\ufdd0", "a\nb", "\u0085", strings.Repeat("a", 65535)} {
		p.publish(s, "x", 1, 1)
		if ack := p.expect(packets.Puback); ack.ReasonCode != packets.ErrTopicNameInvalid.Code {
			t.Errorf("PUBLISH to %.20q: PUBACK 0x%02x, want 0x90", s, ack.ReasonCode)
		}
		if got := p.subscribe(0, s); string(got) != "\x8f" {
			t.Errorf("SUBSCRIBE to %.20q: SUBACK % x, want 8f", s, got)
		}
	}
	p.publish("\ufeff", "a mark in front is no reason [MQTT-1.5.4-3]", 1, 1)
	p.expect(packets.Puback)
	watcher.expectMessage("\ufeff a mark in front is no reason [MQTT-1.5.4-3] 0 0")
	watcher.ping()
}

// subscription is a SUBSCRIBE to one filter.
func subscription(filter string) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: filter}},
	}
}

// with is a PUBLISH with properties.
func with(p packets.Properties) packets.Packet {
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "q", Properties: p}
}
