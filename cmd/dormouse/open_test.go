package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/auth"
)

// TestOpenListeners: beyond this machine nobody comes in without a password
// that is checked, unless "security: insecure" is spelled out.
func TestOpenListeners(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		security, anonymous string
		passwords           bool

		mqtt, sn             bool // such a listener may be open beyond this machine
		stranger, named, own bool // without a name, with a made-up one, without one from here: may come in
	}{
		{"", "false", false, false, false, false, false, false},
		{"", "loopback", false, false, false, false, false, true},
		{"", "true", false, false, false, true, true, true},
		{"", "false", true, true, false, false, false, false},
		{"", "loopback", true, true, false, false, false, true},
		{"", "true", true, false, false, true, false, true},
		{"insecure", "false", false, true, true, false, false, false},
		{"insecure", "loopback", false, true, true, true, true, true},
		{"insecure", "true", false, true, true, true, true, true},
		{"insecure", "false", true, true, true, false, false, false},
		{"insecure", "loopback", true, true, true, true, false, true},
		{"insecure", "true", true, true, true, true, false, true},
	} {
		t.Run(fmt.Sprintf("security %q, anonymous %s, passwords %v", tt.security, tt.anonymous, tt.passwords), func(t *testing.T) {
			load := func(kind, address string) (*config.Config, error) {
				sets := []string{
					fmt.Sprintf("listeners=[{name: l, type: %s, address: %q, security: %q}]", kind, address, tt.security),
					"auth.anonymous.enabled=" + tt.anonymous,
				}
				if tt.passwords {
					sets = append(sets, fmt.Sprintf("auth.providers=[{type: passwd, file: %q}]", file))
				}
				return config.Load("", sets)
			}
			for kind, want := range map[string]bool{"tcp": tt.mqtt, "ws": tt.mqtt, "mqttsn-udp": tt.sn} {
				for _, address := range []string{":1", "0.0.0.0:1", "[::]:1", "192.0.2.7:1", "[2001:db8::7]:1", "[::ffff:192.0.2.7]:1"} {
					if _, err := load(kind, address); (err == nil) != want {
						t.Errorf("%s at %s: %v; may be open: %v", kind, address, err, want)
					}
				}
				for _, address := range []string{"127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
					if _, err := load(kind, address); err != nil {
						t.Errorf("%s at %s: %v", kind, address, err)
					}
				}
			}

			c, err := load("tcp", "127.0.0.1:1")
			if err != nil {
				t.Fatal(err)
			}
			known, err := auth.New(authOptions(c))
			if err != nil {
				t.Fatal(err)
			}
			for _, who := range []struct {
				core.Identity
				want bool
			}{
				{core.Identity{Remote: "192.0.2.1:5", Listener: "l"}, tt.stranger},
				{core.Identity{Remote: "[2001:db8::1]:5", Listener: "l"}, tt.stranger},
				{core.Identity{Remote: "192.0.2.1:5", Listener: "l", User: "made up"}, tt.named},
				{core.Identity{Remote: "127.0.0.1:5", Listener: "l"}, tt.own},
				{core.Identity{Remote: "[::1]:5", Listener: "l"}, tt.own},
			} {
				if _, err := known.Authenticate(auth.Credentials{Identity: who.Identity, Password: []byte(who.User)}); (err == nil) != who.want {
					t.Errorf("%q from %s: %v; may come in: %v", who.User, who.Remote, err, who.want)
				}
			}
			if tt.mqtt && tt.security == "" && (tt.stranger || tt.named) {
				t.Error("a listener may be open to strangers though nobody has spelled that out")
			}
		})
	}
}
