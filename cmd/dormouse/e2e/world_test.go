package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestMixedWorld is a greenhouse in which everything of this package talks at
// once: a valve that sleeps, a bridged Mosquitto, MQTT.js over WebSocket,
// Python, both Paho libraries in Go, and Mosquitto's tools. None of them
// notices what the others are.
func TestMixedWorld(t *testing.T) {
	t.Parallel()
	b := start(t, knowing(passwords(t, "gardener", "secret")))
	valve := b.sensor("valve")
	valve.connectWithWill(false, time.Minute, message{"greenhouse/valve", `"lost"`, 1, true})
	valve.subscribe("greenhouse/command/+", 1)
	report := valve.register("greenhouse/valve")
	valve.sleep(time.Hour)

	states := b.mosquittoSub(t, "$SYS/broker/connection/+/state", 1)
	there, _ := mosquitto(t, "connection dormouse", "address "+b.tcp.String(), "topic greenhouse/# both 2", "remote_clientid town")
	states.receive() // the bridge is up
	paho3, paho5 := b.mqtt3(t, "Paho 3", nil), b.mqtt5(t, "Paho 5", nil)
	paho3.subscribe("greenhouse/#", 2)
	paho5.subscribe("greenhouse/#", 2)
	listeners := map[string]interface{ receive() message }{
		"MQTT.js": spawn(t, "node", "testdata/mqttjs/subscribe.js", b.ws, "5", "greenhouse/#").subscribed("MQTT.js"),
		"Python": spawn(t, python, "-u", "testdata/python/loop_forever.py", port(b.tcp), "tcp", "gardener", "secret", "greenhouse/#").
			subscribed("Python"),
		"mosquitto_sub":                 b.mosquittoSub(t, "greenhouse/#", 2),
		"mosquitto_sub over the bridge": mosquittoSub(t, there, "greenhouse/#", 2),
		"Paho 3":                        paho3,
		"Paho 5":                        paho5,
	}
	heard := func(m message) {
		t.Helper()
		for name, l := range listeners {
			if got := l.receive(); got != m {
				t.Errorf("%s receives %v, want %v", name, got, m)
			}
		}
	}

	// Everyone has a wish; the valve hears them all when it wakes, in order.
	var wishes []message
	for i, wish := range []func(topic, payload string){
		func(topic, payload string) { mosquittoPub(t, there, topic, payload, 2) },
		func(topic, payload string) { b.mosquittoPub(t, topic, payload, 2) },
		func(topic, payload string) { paho3.publish(topic, payload, 2, false) },
		func(topic, payload string) { paho5.publish(topic, payload, 2, false) },
	} {
		m := message{fmt.Sprint("greenhouse/command/", i%2), fmt.Sprint(i), 2, false}
		wish(m.topic, m.payload)
		heard(m)
		m.qos = 1
		wishes = append(wishes, m)
	}
	valve.hearsNothing()
	if got := valve.wake(); !slices.Equal(got, wishes) {
		t.Errorf("the valve wakes to %v, want %v", got, wishes)
	}

	// It reports, and dies.
	valve.connectFor(false, 2*time.Second)
	valve.publish(report, "2", 1, false)
	heard(message{"greenhouse/valve", "2", 1, false})
	heard(message{"greenhouse/valve", `"lost"`, 1, false})
}
