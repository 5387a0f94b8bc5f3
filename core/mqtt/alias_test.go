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
		co.Authorize = func(_ core.Identity, _ core.Action, topic string) bool { return topic != "secret" }
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
