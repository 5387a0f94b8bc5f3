package mqtt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// alias publishes at QoS 1 with a Topic Alias and returns the reason code of
// PUBACK.
func (p *peer) alias(alias uint16, topic, payload string) byte {
	p.t.Helper()
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
		TopicName:   topic, Payload: []byte(payload), PacketID: 1,
		Properties: packets.Properties{TopicAlias: alias, TopicAliasFlag: true},
	})
	return p.expect(packets.Puback).ReasonCode
}

// TestTopicAlias: a number stands for the topic it was last sent with, as long
// as the connection lasts, and for this client alone.
func TestTopicAlias(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "#")
	p, ack := b.tryConnect(t, 5, "p", kept)
	if n := ack.Properties.TopicAliasMaximum; n != 16 {
		t.Errorf("Topic Alias Maximum is %d, want 16", n)
	}
	p.alias(1, "a", "1")
	p.alias(16, "b", "2")
	p.alias(1, "", "3")
	p.alias(1, "c", "4")
	p.alias(1, "", "5")
	p.alias(16, "", "6")
	for n, topic := range []string{"a", "b", "a", "c", "c", "b"} {
		watcher.expectMessage(fmt.Sprintf("%s %d 0 0", topic, n+1))
	}
	another := b.connect(t, 5, "another", nil)
	for _, stranger := range []*peer{another, b.connect(t, 5, "p", kept)} {
		stranger.raw("30 07 0000 03 230001 78")
		if code := stranger.expectEnd(); code != packets.ErrProtocolViolation.Code {
			t.Errorf("an alias that stands for nothing: DISCONNECT 0x%02x, want 0x82", code)
		}
	}
	watcher.ping()
}

// TestTopicAliasBeyond: an alias of 0 or beyond the maximum is refused, and
// counted as that.
func TestTopicAliasBeyond(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *core.Options, o *Options) { o.TopicAliasMaximum = 2 })
	none := start(t, func(_ *core.Options, o *Options) { o.TopicAliasMaximum = 0 })
	for octets, b := range map[string]*broker{
		"30 07 0001 61 03 230000":  b,
		"30 06 0000 03 230000 ":    b,
		"30 07 0001 61 03 230003":  b,
		"30 07 0001 61 03 23ffff":  b,
		"30 07 0001 61 03 230001 ": none,
	} {
		p := b.connect(t, 5, "p", nil)
		p.raw(octets)
		if code := p.expectEnd(); code != packets.ErrTopicAliasInvalid.Code {
			t.Errorf("%s: DISCONNECT 0x%02x, want 0x94", octets, code)
		}
	}
	if n, m := b.server.Stats().Closed.TopicAlias, none.server.Stats().Closed.TopicAlias; n != 4 || m != 1 {
		t.Errorf("counted %d and %d, want 4 and 1", n, m)
	}
}

// TestTopicAliasRefused: what core refuses by its topic it refuses by the
// alias, too, and goes on. (mochi itself checks the topic before it resolves
// the alias: M11.) No more is kept of a topic than the longest there can be.
func TestTopicAliasRefused(t *testing.T) {
	t.Parallel()
	b := start(t, func(co *core.Options, _ *Options) {
		co.Topics.Length = 100
		co.Authorize = func(_ core.Identity, a core.Access) bool { return a.Topic != "secret" }
	})
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "#")
	p := b.connect(t, 5, "p", nil)
	for _, tt := range []struct {
		topic string
		want  byte
	}{
		{"secret", 0x87}, {"$SYS/broker/version", 0x87}, {"$foo", 0x87},
		{strings.Repeat("é", 30_000), 0x90}, {strings.Repeat("/", 60), 0x90}, {"a\x01b", 0x90}, {"fine", 0},
	} {
		for _, topic := range []string{tt.topic, "", ""} {
			if code := p.alias(7, topic, "x"); code != tt.want {
				t.Errorf("PUBLISH to %.20q by its alias, or to set it: PUBACK 0x%02x, want 0x%02x", tt.topic, code, tt.want)
			}
		}
		if tt.want == 0x90 {
			for n := range uint16(16) {
				p.alias(n+1, tt.topic, "x")
			}
		}
	}
	for range 3 {
		watcher.expectMessage("fine x 0 0")
	}
	watcher.ping()

	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	for c := range b.server.conns {
		for alias, topic := range c.aliases {
			if len(topic) > 101 {
				t.Errorf("alias %d keeps %d octets, want at most 101", alias, len(topic))
			}
		}
	}
}

// takesAliases asks for so many, in packets of at most size octets; zero: any.
func takesAliases(most uint16, size uint32) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		pk.Properties.TopicAliasMaximum, pk.Properties.MaximumPacketSize = most, size
	}
}

// expectAliased expects a message as told, under this alias; 0: under none.
func (p *peer) expectAliased(want string, alias uint16) {
	p.t.Helper()
	if pk := p.expectMessage(want); pk.Properties.TopicAlias != alias || pk.Properties.TopicAliasFlag != (alias > 0) {
		p.t.Errorf("%q came with alias %d, want %d", want, pk.Properties.TopicAlias, alias)
	}
}

// TestAliasesForSubscribers: who wants aliases gets them for the topics that
// come first, no more than it takes and no more than we grant, whatever the
// QoS; those who want none get none. They end with the connection, although
// the messages wait for the next one.
func TestAliasesForSubscribers(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *core.Options, o *Options) { o.TopicAliasMaximum = 2 })
	sender := b.connect(t, 5, "sender", nil)
	one, many := b.connect(t, 5, "one", takesAliases(1, 0)), b.connect(t, 5, "many", takesAliases(100, 0))
	none, old := b.connect(t, 5, "none", nil), b.connect(t, 4, "old", nil)
	subscribers := []*peer{one, many, none, old}
	for _, p := range subscribers {
		p.subscribe(2, "long/#", "abc")
	}
	for _, tt := range []struct {
		topic     string
		one, many string // topics as they come
		of1, of2  uint16 // their aliases
	}{
		{"abc", "abc", "abc", 0, 0}, // would not get shorter
		{"long/1", "long/1", "long/1", 1, 1},
		{"long/1", "", "", 1, 1},
		{"long/2", "long/2", "long/2", 0, 2},
		{"long/3", "long/3", "long/3", 0, 0},
		{"long/2", "long/2", "", 0, 2},
		{"long/1", "", "", 1, 1},
	} {
		sender.publish(tt.topic, "x", 0, 0)
		one.expectAliased(tt.one+" x 0 0", tt.of1)
		many.expectAliased(tt.many+" x 0 0", tt.of2)
		none.expectAliased(tt.topic+" x 0 0", 0)
		old.expectAliased(tt.topic+" x 0 0", 0)
	}
	sender.publish("long/1", "x", 1, 1)
	one.expectAliased(" x 1 1", 1)
	sender.publish("long/1", "x", 2, 1)
	one.expectAliased(" x 2 2", 1)

	keeps := func(pk *packets.Packet) { kept(pk); takesAliases(5, 0)(pk) }
	keeper := b.connect(t, 5, "keeper", keeps)
	keeper.subscribe(1, "long/#")
	sender.publish("long/4", "x", 1, 2)
	sender.publish("long/5", "y", 1, 2)
	keeper.expectAliased("long/4 x 1 1", 1)
	keeper.expectAliased("long/5 y 1 2", 2)
	keeper.ack(packets.Puback, 1)
	keeper.ping()
	keeper = b.connect(t, 5, "keeper", keeps)
	keeper.expectAliased("long/5 y 1 2 dup", 1)
	sender.publish("long/4", "z", 1, 2)
	keeper.expectAliased("long/4 z 1 3", 2)
	keeper = b.connect(t, 5, "keeper", kept)
	keeper.expectAliased("long/5 y 1 2 dup", 0)
}

// TestNoAliases: where the setting allows none, nobody gets any.
func TestNoAliases(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *core.Options, o *Options) { o.TopicAliasMaximum = 0 })
	p := b.connect(t, 5, "p", takesAliases(10, 0))
	p.subscribe(0, "long/#")
	p.publish("long/1", "x", 0, 0)
	p.publish("long/1", "x", 0, 0)
	p.expectAliased("long/1 x 0 0", 0)
	p.expectAliased("long/1 x 0 0", 0)
}

// TestAliasOfWhatIsTooLong: a message that the client does not take uses up no
// alias; one that it takes only without goes without.
func TestAliasOfWhatIsTooLong(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p := b.connect(t, 5, "p", takesAliases(1, 24))
	p.subscribe(0, "long/#")
	sender := b.connect(t, 5, "sender", nil)
	for _, payload := range []int{100, 13, 11, 10, 16, 17} { // beside 2 + 2 + 6 + 1 octets, and 3 for an alias
		sender.publish("long/1", strings.Repeat("x", payload), 0, 0)
	}
	for _, tt := range []struct {
		topic   string
		payload int
		alias   uint16
	}{{"long/1", 13, 0}, {"long/1", 11, 0}, {"long/1", 10, 1}, {"", 16, 1}} {
		p.expectAliased(tt.topic+" "+strings.Repeat("x", tt.payload)+" 0 0", tt.alias)
	}
	p.ping()
	if n := b.server.Stats().TooLarge; n != 2 {
		t.Errorf("%d messages are counted as too large, want 2", n)
	}
}
