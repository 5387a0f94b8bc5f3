package e2e

import (
	"fmt"
	"testing"
)

// TestMQTTJS: Node's MQTT library over each transport, as 3.1.1 and as 5,
// publishes and subscribes at each QoS, has a retained status and a will, and in
// MQTT 5 abbreviates topics and brings properties through.
func TestMQTTJS(t *testing.T) {
	t.Parallel()
	for transport, address := range transports {
		for version, extra := range map[string]struct{ published, properties string }{
			"4": {published: "published, 0 by alias"},
			"5": {"published, 29 by alias", ` text/plain {"unit":"%","place":["attic","cellar"]}`},
		} {
			t.Run(transport+"/"+version, func(t *testing.T) {
				t.Parallel()
				b := start(t)
				script := func(name string, args ...string) *program {
					return spawn(t, "node", append([]string{"testdata/mqttjs/" + name, address(b), version}, args...)...)
				}
				status := func(payload string, retained bool) message {
					return message{"greenhouse/status", payload, 1, retained}
				}
				sub := script("subscribe.js", "greenhouse/#").subscribed("subscribe.js")
				s := b.sensor("sensor")
				s.connect(true)
				s.subscribe("greenhouse/status", 1)

				pub := script("publish.js")
				want(t, sub.receive(), status("online", false))
				want(t, s.receive(), status("online", false))
				wantInEachQoS(t, sub, 30, func(i int) message {
					return message{"greenhouse/climate", fmt.Sprintf(`{"number":%d,"temperature":21.5}`, i), i % 3, false}
				})
				want(t, sub.receive(), message{"greenhouse/note", "dry" + extra.properties, 2, false})
				if line := pub.line(); line != extra.published {
					t.Errorf("publish.js prints %q, want %q", line, extra.published)
				}
				want(t, script("subscribe.js", "greenhouse/status").subscribed("a late subscribe.js").receive(), status("online", true))

				pub.kill()
				want(t, sub.receive(), status("offline", false))
				want(t, s.receive(), status("offline", false))
			})
		}
	}
}
