package mqtt

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/auth"
)

// TestHostile16To20WhoOneIs: rules, and whether a client id may be, see whom the
// provider knows the client to be, not what it calls itself. A client id that may
// not be is told so in each version, and one that we give may always be.
func TestHostile16To20WhoOneIs(t *testing.T) {
	t.Parallel()
	ids := auth.ClientIDs{Prefix: true}
	b := start(t, func(co *core.Options, o *Options) {
		co.Named = ids.Allow
		co.Authorize = func(who core.Identity, a core.Access) bool {
			return who.User == "plant" && who.Roles == "line" || a.Topic != "secret"
		}
		o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
			c.User, c.Roles = map[string]string{"token": "plant"}[c.User], "line"
			return auth.Grant{Identity: c.Identity}, nil
		}
	})
	as := func(user string) func(*packets.Packet) {
		return func(pk *packets.Packet) { pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte(user) }
	}
	canary := b.connect(t, 5, "plant-7", as("token"))
	if got := canary.subscribe(0, "secret"); string(got) != "\x00" {
		t.Errorf("whom the provider knows is told %x", got)
	}
	for id, want := range map[string]byte{"plant": 0, "plant-8": 0, "plant7": 0x85, "line": 0x85, "": 0} {
		if _, ack := b.tryConnect(t, 5, id, as("token")); ack.ReasonCode != want {
			t.Errorf("as %q: CONNACK 0x%02x, want 0x%02x", id, ack.ReasonCode, want)
		}
	}
	if _, ack := b.tryConnect(t, 4, "other", as("token")); ack.ReasonCode != 2 {
		t.Errorf("in version 4: CONNACK %d, want 2", ack.ReasonCode)
	}
	stranger := b.connect(t, 5, "stranger", as("plant"))
	if got := stranger.subscribe(0, "secret"); string(got) != "\x87" {
		t.Errorf("who only calls itself so is told %x", got)
	}
	canary.ping()
}

// TestParted: who may stay no more is told so and his will is published, be it
// that time is over or that others are asked again; nobody else notices.
func TestParted(t *testing.T) {
	t.Parallel()
	var gone atomic.Bool
	b := start(t, func(_ *core.Options, o *Options) {
		o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
			g := auth.Grant{Identity: c.Identity}
			if c.User == "brief" {
				g.Until = time.Now().Add(time.Millisecond)
			}
			return g, nil
		}
		o.Stands = func(g auth.Grant) bool { return g.User != "gone" || !gone.Load() }
	})
	as := func(user string) func(*packets.Packet) {
		return func(pk *packets.Packet) {
			c := &pk.Connect
			c.UsernameFlag, c.Username, c.WillFlag, c.WillTopic, c.WillPayload = true, []byte(user), true, "will", []byte(user)
		}
	}
	canary := b.connect(t, 5, "canary", nil)
	canary.subscribe(0, "will")
	brief := b.connect(t, 5, "brief", as("brief"))
	if code := brief.expectEnd(); code != 0x87 {
		t.Errorf("whose time is over is told 0x%02x", code)
	}
	canary.expectMessage("will brief 0 0")
	p, stays := b.connect(t, 5, "gone", as("gone")), b.connect(t, 5, "stays", as("stays"))
	b.server.Recheck()
	p.ping()
	gone.Store(true)
	b.server.Recheck()
	if code := p.expectEnd(); code != 0x87 {
		t.Errorf("who may stay no more is told 0x%02x", code)
	}
	canary.expectMessage("will gone 0 0")
	if _, ack := b.tryConnect(t, 5, "gone", as("gone")); ack.ReasonCode != 0x87 {
		t.Errorf("who was let in by what does not hold any more is told 0x%02x", ack.ReasonCode)
	}
	stays.ping()
	canary.ping()
}
