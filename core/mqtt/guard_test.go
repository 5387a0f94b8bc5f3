package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/auth"
)

// What strangers and broken clients send, in the order in which the list of
// hostile inputs numbers it. A canary shows that others notice nothing.

// TestHostile01SubscribeWithoutOptions: these eight octets end mochi's process
// where it stands alone.
func TestHostile01SubscribeWithoutOptions(t *testing.T) {
	b := start(t, nil)
	p := b.connect(t, 5, "hostile", nil)
	p.raw("82 06 | 0001 00 | 0001 61")
	if code := p.expectEnd(); code != packets.ErrMalformedPacket.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x81", code)
	}
	b.canary(t)
}

// TestHostile02HugeRemainingLength: nobody gets memory by announcing octets,
// before CONNECT or after.
func TestHostile02HugeRemainingLength(t *testing.T) {
	b := start(t, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 200 {
		p := b.dial(t)
		p.raw("10 ffffff7f")
		p.expectEnd()
	}
	late := b.connect(t, 5, "hostile", nil)
	late.raw("30 ffffff7f")
	if code := late.expectEnd(); code != packets.ErrPacketTooLarge.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x95", code)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 20<<20 {
		t.Errorf("%d KiB were allocated for 200 headers", grown>>10)
	}
	if s := b.server.Stats(); s.Refused.TooLarge != 200 || s.Closed.TooLarge != 1 {
		t.Errorf("counted %d CONNECTs and %d packets as too large, want 200 and 1", s.Refused.TooLarge, s.Closed.TooLarge)
	}
	b.canary(t)
}

// TestHostile03OverlongLengths: a length in more octets than it needs or may
// have ends the connection, and what follows is not taken for a packet.
func TestHostile03OverlongLengths(t *testing.T) {
	b := start(t, nil)
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "smuggled")
	const second = "| 30 0b 0008 736d7567676c6564 00"
	for why, octets := range map[string]string{
		"a remaining length of five octets":          "30 8080808001" + second,
		"a remaining length that never ends":         "30 ffffffff" + second,
		"a remaining length of 0 in two octets":      "c0 8000" + second,
		"a property length of five octets":           "30 08 0001 61 8080808001" + second,
		"a property length beyond the packet":        "30 04 0001 61 7f" + second,
		"a property length of 14 in three octets":    "30 06 0001 61 8e8000" + second,
		"a property length of 0 in two octets":       "30 05 0001 61 8000" + second,
		"a property length of 0 in two, SUBSCRIBE":   "82 08 0001 8000 0001 61 00" + second,
		"a property length of 0 in two, UNSUBSCRIBE": "a2 07 0001 8000 0001 61" + second,
		"a property length of 0 in two, PUBACK":      "40 05 0001 00 8000" + second,
		"a property length of 0 in two, DISCONNECT":  "e0 03 00 8000" + second,
		"a topic beyond the packet":                  "30 04 0009 61 00" + second,
		"a packet identifier beyond the packet":      "32 03 0001 61" + second,
		"a filter beyond the packet":                 "82 06 0001 00 0009 61" + second,
		"reserved bits in the options of a filter":   "82 07 0001 00 0001 61 40" + second,
		"a Retain Handling of 3 in those":            "82 07 0001 00 0001 61 30" + second,
		"a PINGREQ with a body":                      "c0 01 00" + second,
		"flags that PINGREQ does not have":           "c1 00" + second,
		"a QoS of 3":                                 "36 06 0001 61 0001 00" + second,
		"a subscription identifier of 0":             "82 09 0001 02 0b00 0001 61 00" + second,
		"a property that PUBLISH does not have":      "30 06 0001 61 02 1700" + second,
		"no filters":                                 "82 03 0001 00" + second,
		"a topic with a wildcard":                    "30 04 0001 2b 00" + second,
		"a topic alias beyond those granted":         "30 07 0001 61 03 230011" + second,
	} {
		p := b.connect(t, 5, "hostile", nil)
		p.raw(octets)
		if code := p.expectEnd(); code != 0x81 && code != 0x82 && code != 0x94 {
			t.Errorf("%s: DISCONNECT 0x%02x, want 0x81, 0x82 or 0x94", why, code)
		}
	}
	watcher.ping() // nothing was smuggled
	b.canary(t)
}

// TestHostile06InnerLengths: each length within a packet, one too short, one
// too long and as long as can be, ends the connection.
func TestHostile06InnerLengths(t *testing.T) {
	b := start(t, nil)
	for what, packet := range map[string]string{ // without Remaining Length; inner lengths are in brackets
		"CONNECT":     "10 0004 4d515454 05 c6 003c [05] 11 00000e10 [0001] 63 [05] 18 00000001 [0001] 77 [0001] 78 [0001] 75 [0001] 70",
		"CONNECT 3":   "10 0004 4d515454 04 c6 003c [0001] 63 [0001] 77 [0001] 78 [0001] 75 [0001] 70",
		"PUBLISH":     "32 0001 61 0001 [09] 03 [0001] 63 09 [0002] 0102",
		"PUBACK":      "40 0001 10 [07] 26 [0001] 6b [0001] 76",
		"PUBREC":      "50 0001 10 [07] 26 [0001] 6b [0001] 76",
		"PUBREL":      "62 0001 92 [07] 26 [0001] 6b [0001] 76",
		"PUBCOMP":     "70 0001 92 [07] 26 [0001] 6b [0001] 76",
		"SUBSCRIBE":   "82 0001 [02] 0b05 [0001] 61 01",
		"UNSUBSCRIBE": "a2 0001 [07] 26 [0001] 6b [0001] 76 [0001] 61",
		"DISCONNECT":  "e0 04 [06] 1f [0003] 6f6f70",
	} {
		for at, mark := range []byte(packet) {
			if mark != '[' {
				continue
			}
			size := strings.IndexByte(packet[at:], ']') / 2 // octets
			for how, change := range map[string]func(n int) int{
				"one too short": func(n int) int { return n - 1 },
				"one too long":  func(n int) int { return n + 1 },
				"the longest":   func(int) int { return 1<<(8*size-1) - 1 },
			} {
				var n int
				fmt.Sscanf(packet[at+1:], "%x", &n)
				changed := fmt.Sprintf("%s%0*x%s", packet[:at], 2*size, change(n), packet[at+1+2*size:])
				changed = strings.NewReplacer("[", "", "]", "", " ", "").Replace(changed)
				octets := fmt.Sprintf("%s %02x %s", changed[:2], len(changed)/2-1, changed[2:])
				if p := b.dial(t); strings.HasPrefix(what, "CONNECT") {
					p.raw(octets)
					p.expectEnd() // and no CONNACK
					continue
				}
				p := b.connect(t, 5, "hostile", nil)
				p.raw(octets)
				if code := p.expectEnd(); code != packets.ErrMalformedPacket.Code && code != packets.ErrProtocolViolation.Code {
					t.Errorf("%s, %s: %s: DISCONNECT 0x%02x, want 0x81 or 0x82", what, how, octets, code)
				}
			}
		}
	}
	for why, octets := range map[string]string{
		"octets behind PUBACK":                    "40 06 0001 00 00 ffff",
		"octets behind DISCONNECT":                "e0 03 04 00 ff",
		"a property twice":                        "30 0c 0001 61 08 03 0001 63 03 0001 64",
		"a property that servers send":            "82 0b 0001 03 24 01 00 0001 61 00 0000",
		"a subscription identifier that overruns": "82 08 0001 02 0b80 0001 61 00",
	} {
		p := b.connect(t, 5, "hostile", nil)
		p.raw(octets)
		if code := p.expectEnd(); code != packets.ErrMalformedPacket.Code && code != packets.ErrProtocolViolation.Code {
			t.Errorf("%s: DISCONNECT 0x%02x, want 0x81 or 0x82", why, code)
		}
	}
	b.canary(t)
}

// TestHostile07FirstPacket: the first packet is a CONNECT, and there is one only.
func TestHostile07FirstPacket(t *testing.T) {
	var log transcript
	b := start(t, logTo(&log))
	for _, octets := range []string{
		"00 00", "20 02 0000", "30 04 0001 61 78", "40 02 0001", "50 02 0001", "62 02 0001", "70 02 0001",
		"82 06 0001 0001 61 00", "90 03 0001 00", "a2 05 0001 0001 61", "b0 02 0001", "c0 00", "d0 00", "e0 00", "f0 00",
		"10 00", "10 03 000400", "10 06 0004 4d515454", // a CONNECT that ends too soon
	} {
		p := b.dial(t)
		p.raw(octets)
		if code := p.expectEnd(); code != 0 {
			t.Errorf("%s is answered by DISCONNECT 0x%02x", octets, code)
		}
		g := guard{from: bytes.NewReader(unhex(t, octets)), connect: 1024, limit: 1024}
		if err := g.next(func() error { return nil }); !errors.As(err, new(packets.Code)) {
			t.Errorf("the guard lets %s through to mochi: %v", octets, err)
		}
	}
	twice := b.connect(t, 5, "twice", nil)
	twice.raw("10 1d | 0004 4d515454 05 c2 003c 00 | 0002 6372 | 0004 75736572 | 0006 536563726574")
	if code := twice.expectEnd(); code != packets.ErrProtocolViolation.Code {
		t.Errorf("a second CONNECT: DISCONNECT 0x%02x, want 0x82", code)
	}
	if strings.Contains(log.String(), "Secret") {
		t.Error("a password is in the log")
	}
	b.canary(t)
}

// TestHostile08ServerPackets: what only servers send ends the connection.
func TestHostile08ServerPackets(t *testing.T) {
	b := start(t, nil)
	for _, octets := range []string{"20 03 000000", "90 04 0001 00 00", "b0 04 0001 00 00", "d0 00", "f0 02 1800"} {
		p := b.connect(t, 5, "hostile", nil)
		p.raw(octets)
		if code := p.expectEnd(); code != packets.ErrProtocolViolation.Code {
			t.Errorf("%s: DISCONNECT 0x%02x, want 0x82", octets, code)
		}
	}
	b.canary(t)
}

// TestHostile09ReservedTopics: no client publishes where the broker does, and
// who waits for an answer gets one.
func TestHostile09ReservedTopics(t *testing.T) {
	b := start(t, nil)
	watcher := b.connect(t, 5, "watcher", nil)
	watcher.subscribe(0, "$SYS/#", "$foo", "$")
	p := b.connect(t, 5, "hostile", nil)
	for _, topic := range []string{"$SYS/broker/version", "$foo", "$"} {
		p.publish(topic, "forged", 0, 0)
		p.publish(topic, "forged", 1, 1)
		if ack := p.expect(packets.Puback); ack.ReasonCode != packets.ErrNotAuthorized.Code {
			t.Errorf("PUBLISH to %s: PUBACK 0x%02x, want 0x87", topic, ack.ReasonCode)
		}
		p.publish(topic, "forged", 2, 2)
		if ack := p.expect(packets.Pubrec); ack.ReasonCode != packets.ErrNotAuthorized.Code {
			t.Errorf("PUBLISH to %s: PUBREC 0x%02x, want 0x87", topic, ack.ReasonCode)
		}
	}
	p.raw("30 04 0000 00 78") // no topic, no alias
	if code := p.expectEnd(); code != packets.ErrProtocolViolation.Code {
		t.Errorf("PUBLISH without a topic: DISCONNECT 0x%02x, want 0x82", code)
	}
	watcher.ping()
	b.canary(t)
}

// TestForbiddenBefore5: where a client cannot be told that it may not publish,
// its message is acknowledged and dropped, as Mosquitto does, and it stays: cut
// off, it would come back and send it again for ever. The operator is told. What
// is too much, not forbidden, it is to keep.
func TestForbiddenBefore5(t *testing.T) {
	t.Parallel()
	var log transcript
	b := start(t, func(co *core.Options, o *Options) {
		logTo(&log)(co, o)
		co.Authorize = func(_ core.Identity, a core.Access) bool {
			return a.Do == core.ActSubscribe || a.Topic != "secret"
		}
	})
	watcher := b.connect(t, 5, "watcher", nil)
	watcher.subscribe(0, "#", "$foo", "$SYS/broker/version")
	for version, name := range map[byte]string{3: "MQIsdp", 4: "MQTT"} {
		id := fmt.Sprintf("old%d", version)
		old := b.connect(t, version, id, func(pk *packets.Packet) { pk.Connect.ProtocolName = []byte(name) })
		for _, topic := range []string{"secret", "$foo", "$SYS/broker/version"} {
			old.publish(topic, "forged", 0, 0)
			old.publish(topic, "forged", 1, 1)
			old.expect(packets.Puback)
			for range 2 { // the second goes the same way
				old.publish(topic, "forged", 2, 2)
				old.expect(packets.Pubrec)
			}
			old.ack(packets.Pubrel, 2)
			old.expect(packets.Pubcomp)
		}
		old.publish("fine", id, 2, 2)
		old.expect(packets.Pubrec)
		watcher.expectMessage("fine " + id + " 0 0")
		if n := strings.Count(log.String(), `"event":"publish_refused","client":"`+id+`"`); n != 1 {
			t.Errorf("%s is in the log %d times, want once:\n%s", id, n, log.String())
		}
	}
	if n := b.core.Stats().Dropped.Unauthorized; n != 2*3*4 {
		t.Errorf("%d messages are counted as unauthorized, want 24", n)
	}
	watcher.ping()
}

// TestHostile26DeepTopics: depth costs nobody anything.
func TestHostile26DeepTopics(t *testing.T) {
	b := start(t, nil)
	deep := strings.Repeat("a/", 32000)
	p := b.connect(t, 5, "hostile", nil)
	for _, filter := range []string{deep, strings.Repeat("+/", 500) + "#", strings.Repeat("a", 2000)} {
		if codes := p.subscribe(1, filter); codes[0] != packets.ErrTopicFilterInvalid.Code {
			t.Errorf("SUBSCRIBE to %.20s…: SUBACK 0x%02x, want 0x8f", filter, codes[0])
		}
	}
	p.publish(deep, "x", 1, 1)
	if ack := p.expect(packets.Puback); ack.ReasonCode != packets.ErrTopicNameInvalid.Code {
		t.Errorf("PUBACK 0x%02x, want 0x90", ack.ReasonCode)
	}
	p.publish(deep, "x", 0, 0)
	if code := p.expectEnd(); code != packets.ErrTopicNameInvalid.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x90", code)
	}
	b.canary(t)
}

// TestHostile28Silence: who does not say CONNECT in time is out, also if
// octets trickle in, and who is silent beyond the keep alive. Who goes on to
// speak may stay.
func TestHostile28Silence(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *coreOptions, o *Options) {
		o.ConnectTimeout = 100 * time.Millisecond
		o.MaxKeepalive = time.Second
	})
	silent := b.dial(t)
	half := b.dial(t)
	half.raw("10 0f 0004 4d51")
	will := b.connect(t, 4, "watcher", func(pk *packets.Packet) { pk.Connect.Keepalive = 0 })
	will.subscribe(0, "will")
	speaks := b.connect(t, 4, "speaks", nil)
	gone, ack := b.tryConnect(t, 5, "gone", func(pk *packets.Packet) {
		pk.Connect.Keepalive = 65535
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "will", []byte("gone")
	})
	if p := ack.Properties; !p.ServerKeepAliveFlag || p.ServerKeepAlive != 1 {
		t.Errorf("Server Keep Alive is %d, want 1", p.ServerKeepAlive)
	}
	silent.expectEnd()
	half.expectEnd()
	for range 4 { // longer than the keep alive and half of it
		speaks.ping()
		time.Sleep(500 * time.Millisecond)
	}
	speaks.ping()
	if code := gone.expectEnd(); code != packets.ErrKeepAliveTimeout.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x8d", code)
	}
	will.expectMessage("will gone 0 0")
	if s := b.server.Stats(); s.Refused.Timeout != 2 || s.Closed.KeepAlive != 1 {
		t.Errorf("counted %d without CONNECT and %d silent, want 2 and 1", s.Refused.Timeout, s.Closed.KeepAlive)
	}
	b.canary(t)
}

// TestPanicEndsOneConnection: whatever brings the decoder or a hook down ends
// that connection, is logged, and nobody else notices.
func TestPanicEndsOneConnection(t *testing.T) {
	var log transcript
	b := start(t, func(co *core.Options, o *Options) {
		logTo(&log)(co, o)
		o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
			if c.ClientID == "boom" {
				panic("boom")
			}
			return auth.Grant{Identity: c.Identity}, nil
		}
	})
	p := b.dial(t)
	p.raw("10 10 | 0004 4d515454 04 02 003c | 0004 626f6f6d")
	p.expectEnd()
	if n := b.server.panics.Swap(0); n != 1 || !strings.Contains(log.String(), `"event":"panic"`) {
		t.Errorf("%d panics are counted, want 1 and the log of it:\n%s", n, &log)
	}
	b.canary(t)
}
