package e2e

import (
	"fmt"
	"testing"
)

// python is Debian's: the tests' Paho is a package of its own.
const python = "/usr/bin/python3"

// TestPythonPaho: scripts as in a thousand tutorials publish readings in JSON,
// subscribe, have a password, a retained status and a will, unmodified.
func TestPythonPaho(t *testing.T) {
	t.Parallel()
	for transport, address := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			b := start(t, knowing(passwords(t, "gardener", "secret")))
			script := func(name string, args ...string) *program {
				return spawn(t, python, append([]string{"-u", "testdata/python/" + name, portOf(t, address(b)), transport}, args...)...)
			}
			login := []string{"gardener", "secret"}
			status := func(online bool, retained bool) message {
				return message{"greenhouse/status", fmt.Sprintf(`{"online": %t}`, online), 1, retained}
			}
			sub := script("loop_forever.py", append(login, "greenhouse/#")...).subscribed("loop_forever.py")
			s := b.sensor("sensor")
			s.connect(true)
			s.subscribe("greenhouse/status", 1)

			pub := script("loop_start.py", login...)
			want(t, sub.receive(), status(true, false))
			want(t, s.receive(), status(true, false))
			wantInEachQoS(t, sub, 30, func(i int) message {
				return message{"greenhouse/climate",
					fmt.Sprintf(`{"sensor": "dht22", "number": %d, "temperature": 21.5, "unit": "\u00b0C"}`, i), i % 3, false}
			})
			if line := pub.line(); line != "published" {
				t.Errorf("loop_start.py prints %q, want published", line)
			}
			want(t, script("loop_forever.py", append(login, "greenhouse/status")...).subscribed("a late loop_forever.py").receive(), status(true, true))

			stranger := script("loop_forever.py", "gardener", "guessed", "#")
			if line := stranger.line(); line != "Connected with result code 4" {
				t.Errorf("with a wrong password loop_forever.py prints %q, want result code 4", line)
			}

			pub.kill()
			want(t, sub.receive(), status(false, false))
			want(t, s.receive(), status(false, false))
		})
	}
}
