package mqtt

import (
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/auth"
)

// TestRefusals: each reason not to let a client in has its code in each
// version of MQTT, and is counted.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *core.Options, o *Options) {
		o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
			return auth.Grant{Identity: c.Identity}, map[string]error{"bad": auth.ErrBad, "busy": auth.ErrBusy, "elsewhere": auth.ErrNotAllowed}[c.User]
		}
	})
	for _, tt := range []struct {
		user   string
		v3, v5 byte // MQTT 3.1.1 §3.2.2.3, MQTT 5 §3.2.2.2
	}{
		{"good", 0, 0},
		{"bad", 4, 0x86},
		{"elsewhere", 5, 0x87},
		{"busy", 3, 0x89},
	} {
		for version, want := range map[byte]byte{3: tt.v3, 4: tt.v3, 5: tt.v5} {
			_, ack := b.tryConnect(t, version, "c", func(pk *packets.Packet) {
				pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte(tt.user)
				if version == 3 {
					pk.Connect.ProtocolName = []byte("MQIsdp")
				}
			})
			if ack.ReasonCode != want {
				t.Errorf("%s is told 0x%02x in version %d, want 0x%02x", tt.user, ack.ReasonCode, version, want)
			}
		}
	}
	if r := b.server.Stats().Refused; r.Authentication != 3 || r.Busy != 3 || r.NotAuthorized != 3 {
		t.Errorf("counted %d as bad, %d as busy and %d not authorized, want 3 each", r.Authentication, r.Busy, r.NotAuthorized)
	}
}

// TestHostile20: a name is nobody's but its own: neither a pattern, nor one
// that a log cannot show.
func TestHostile20(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	named := func(user string) func(*packets.Packet) {
		return func(pk *packets.Packet) { pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte(user) }
	}
	victim := b.connect(t, 5, "victim", nil)
	for _, name := range []string{"#", "+", "/", ".*", "{clientid}", "%", "%c", "victim/#", "Victim", "é", "傳"} {
		p := b.connect(t, 5, name, named(name))
		p.disconnect()
	}
	victim.ping()
	for _, name := range []string{"a\nb", "\x1b[2J", "\x7f", "\u0085"} {
		for version, want := range map[byte][2]byte{4: {2, 4}, 5: {0x85, 0x86}} {
			if _, ack := b.tryConnect(t, version, name, nil); ack.ReasonCode != want[0] {
				t.Errorf("client id %q: CONNACK 0x%02x in version %d, want 0x%02x", name, ack.ReasonCode, version, want[0])
			}
			if _, ack := b.tryConnect(t, version, "c", named(name)); ack.ReasonCode != want[1] {
				t.Errorf("user name %q: CONNACK 0x%02x in version %d, want 0x%02x", name, ack.ReasonCode, version, want[1])
			}
		}
	}
	for _, name := range []string{"a\x00", "\x00", "a\xff", "\xed\xa0\x80"} { // no string of MQTT: there may be no answer
		for _, who := range []struct{ id, user string }{{name, "u"}, {"c", name}} {
			p := b.dial(t)
			p.version = 4
			p.send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Connect},
				Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: who.id,
					UsernameFlag: true, Username: []byte(who.user)},
			})
			if ack, err := p.next(); err == nil && ack.ReasonCode == 0 {
				t.Errorf("client id %q and user name %q were let in", who.id, who.user)
			}
		}
	}
}
