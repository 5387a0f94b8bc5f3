package e2e

import (
	"fmt"
	"testing"
)

// python is Debian's: the tests' Paho is a package of its own.
const python = "/usr/bin/python3"

// TestPythonPaho: scripts as in a thousand tutorials publish readings in JSON,
// subscribe, have a retained status and a will, unmodified.
func TestPythonPaho(t *testing.T) {
	t.Parallel()
	for transport, address := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			script := func(name string, args ...string) *program {
				return spawn(t, python, append([]string{"-u", "testdata/python/" + name, portOf(t, address(b)), transport}, args...)...)
			}
			status := func(online bool, retained bool) message {
				return message{"greenhouse/status", fmt.Sprintf(`{"online": %t}`, online), 1, retained}
			}
			sub := script("loop_forever.py", "greenhouse/#").subscribed("loop_forever.py")
			s := b.sensor("sensor")
			s.connect(true)
			s.subscribe("greenhouse/status", 1)

			pub := script("loop_start.py")
			want(t, sub.receive(), status(true, false))
			want(t, s.receive(), status(true, false))
			wantInEachQoS(t, sub, 30, func(i int) message {
				return message{"greenhouse/climate",
					fmt.Sprintf(`{"sensor": "dht22", "number": %d, "temperature": 21.5, "unit": "\u00b0C"}`, i), i % 3, false}
			})
			if line := pub.line(); line != "published" {
				t.Errorf("loop_start.py prints %q, want published", line)
			}
			want(t, script("loop_forever.py", "greenhouse/status").subscribed("a late loop_forever.py").receive(), status(true, true))

			pub.kill()
			want(t, sub.receive(), status(false, false))
			want(t, s.receive(), status(false, false))
		})
	}
}
