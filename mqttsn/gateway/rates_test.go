package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

func prefixes(of ...string) (all []netip.Prefix) {
	for _, p := range of {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// TestPublishRate: a client that publishes faster than it may is not heard:
// QoS 0 is lost, and what it sends again arrives, once at QoS 2. Others may do
// what they may do.
func TestPublishRate(t *testing.T) {
	short := mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'u'<<8 | 'p'}
	for _, tt := range []struct {
		name    string
		rate    PublishRate
		payload int
		heard   int // of ten at once, and then of one each second
	}{
		{"any", PublishRate{}, 1, 10},
		{"messages", PublishRate{Messages: 3}, 1, 3},
		{"octets", PublishRate{Octets: 40}, 10, 4},
		{"both", PublishRate{Messages: 3, Octets: 20}, 10, 2},
		{"one of more than a second", PublishRate{Octets: 5}, 10, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.PublishRate = tt.rate })
			app := w.app("app", "up")
			s, canary := w.at("10.0.0.1:7").connects("s", true, time.Minute), w.at("10.0.0.2:7").connects("canary", true, time.Minute)
			payload := []byte(strings.Repeat("x", tt.payload))
			for range 10 {
				s.sends(&mqttsn.Publish{Topic: short, Payload: payload})
			}
			if n := len(app.receives()); n != tt.heard {
				t.Errorf("of ten at once, %d arrive, want %d", n, tt.heard)
			}
			w.wantCount("datagrams_dropped_total", "client_rate", uint64(10-tt.heard))
			canary.sends(&mqttsn.Publish{QoS: 1, ID: 1, Topic: short, Payload: []byte("sings")}).gets("PUBACK")
			app.wants("up=sings")
			s.pings("").gets("PINGRESP")
			w.pass(10 * time.Second)

			for id := range uint16(10) {
				s.sends(&mqttsn.Publish{QoS: 2, ID: 1 + id, Topic: short, Payload: payload})
			}
			s.gets(strings.TrimSpace(strings.Repeat("PUBREC ", tt.heard)))
			for again := 0; again < 10; again++ { // what was not heard, or was
				w.pass(3 * time.Second)
				s.sends(&mqttsn.Publish{DUP: true, QoS: 2, ID: 1 + uint16(again), Topic: short, Payload: payload}).gets("PUBREC")
			}
			if n := len(app.receives()); n != 10 {
				t.Errorf("of ten at QoS 2, sent again, %d arrive", n)
			}
		})
	}
}

// TestPublishRateIsTheClients: who comes to the place of another begins anew,
// and QoS -1 has rates of its own.
func TestPublishRateIsTheClients(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.PublishRate.Messages, c.Shards = 1, 1
		c.QoSMinusOne.From = Anywhere
	})
	app := w.app("app", "up")
	for i := range 3 {
		s := w.at(fmt.Sprintf("10.0.0.%d:7", 1+i)).connects("s", true, time.Minute)
		for range 2 {
			s.sends(&mqttsn.Publish{Topic: mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'u'<<8 | 'p'}, Payload: []byte{'0'}})
			s.sends(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'u'<<8 | 'p'}, Payload: []byte{'-'}})
		}
		app.wants("up=0", "up=-", "up=-")
		s.sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	}
}

// TestHostile50Reflection: who connects and subscribes under a forged address
// draws so much upon whoever is there, and no more. By a wildcard it is not one
// message, for REGISTER comes first and is not answered; by a name it is what
// the network's share of SUBSCRIBE brings.
func TestHostile50Reflection(t *testing.T) {
	w := newWorld(t, limited)
	app := w.app("app")
	for i := range 1000 {
		app.publish(fmt.Sprintf("kept/%04d", i), strings.Repeat("x", 900), 0, true)
	}
	canary := w.at("10.9.9.9:7").connects("canary", true, time.Hour)
	canary.subscribes("canary", 1)

	all := w.at("203.0.113.1:7").connects("all", true, 0)
	all.sends(&mqttsn.Subscribe{ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("#")}})
	w.pass(time.Minute)
	sum := 0
	for _, p := range all.got {
		sum += len(octets(p))
		if p, ok := p.(*mqttsn.Publish); ok {
			t.Fatalf("%.60v came unconfirmed", p)
		}
	}
	if sum > 300 {
		t.Errorf("in a minute SUBSCRIBE to # drew %d octets, want 300 at most", sum)
	}

	one := w.at("203.0.113.2:7").connects("one", true, 0)
	b := octets(&mqttsn.Subscribe{ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("kept/0001")}})
	for range 10_000 {
		w.net.Inject(one.source.peer, b)
	}
	w.settle()
	drawn := 0
	for _, p := range one.got {
		if p.Type() == mqttsn.TypePublish {
			drawn++
		}
	}
	if drawn == 0 || drawn > 200 {
		t.Errorf("10,000 SUBSCRIBE in a second drew %d messages upon one network, want 200 at most", drawn)
	}
	w.wantCount("datagrams_dropped_total", "subscribe_rate", 10_000-200)
	canary.subscribes("canary", 1)
	app.publish("canary", "sings", 1, false)
	canary.wantFlush("sings", "")
}
