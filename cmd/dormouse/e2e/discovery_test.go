package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestHomeAssistantDiscovery: 10,000 retained topics with half a kilobyte of JSON
// each, and who subscribes to them gets every one once, unaltered and marked as
// retained; then what is live, in a home where sensors publish.
func TestHomeAssistantDiscovery(t *testing.T) {
	t.Parallel()
	const nodes, objects = 500, 20
	b := start(t)
	bridge := b.mqtt3(t, "zigbee2mqtt", nil)
	published := make(map[string]string, nodes*objects)
	for node := range nodes {
		for object := range objects {
			topic := fmt.Sprintf("homeassistant/sensor/node%d/object%d/config", node, object)
			published[topic] = discovery(node, object)
			bridge.Publish(topic, 1, true, published[topic])
		}
	}
	bridge.await("UNSUBSCRIBE", bridge.Unsubscribe(fence)) // all before it has been taken in

	home := b.mosquittoSub(t, "homeassistant/#", 1)
	for range nodes * objects {
		m := home.receive()
		if !m.retained || m.qos != 1 || published[m.topic] != m.payload {
			t.Fatalf("received %v, want what was published, retained and once", m)
		}
		delete(published, m.topic)
	}
	s := b.sensor("node500")
	s.connect(true)
	config := s.register("homeassistant/sensor/node500/object0/config")
	s.publish(config, discovery(500, 0), 1, true)
	want(t, home.receive(), message{"homeassistant/sensor/node500/object0/config", discovery(500, 0), 1, false})
}

// discovery is what announces an entity.
func discovery(node, object int) string {
	config, err := json.Marshal(map[string]any{
		"name":                fmt.Sprintf("Temperature %d", object),
		"unique_id":           fmt.Sprintf("0x%016x_temperature_%d", node, object),
		"state_topic":         fmt.Sprintf("zigbee2mqtt/node%d", node),
		"value_template":      "{{ value_json.temperature }}",
		"unit_of_measurement": "°C",
		"device_class":        "temperature",
		"availability":        []map[string]string{{"topic": "zigbee2mqtt/bridge/state"}},
		"device": map[string]any{
			"identifiers": []string{fmt.Sprintf("zigbee2mqtt_0x%016x", node)}, "manufacturer": "Acme", "model": strings.Repeat("T", 120),
		},
	})
	if err != nil {
		panic(err) // there is nothing in it that JSON has not
	}
	return string(config)
}

// TestTelegraf: hosts report their figures in line protocol, and a dashboard
// sees those of one kind from all of them.
func TestTelegraf(t *testing.T) {
	t.Parallel()
	b := start(t)
	dashboard := b.mosquittoSub(t, "telegraf/+/cpu", 0)
	var hosts []*client5
	for host := range 10 {
		hosts = append(hosts, b.mqtt5(t, fmt.Sprintf("Telegraf-Output-%d", host), nil))
	}
	for second := range 20 {
		for i, host := range hosts {
			name := fmt.Sprintf("host%d", i)
			for _, kind := range []string{"mem", "cpu"} {
				line := fmt.Sprintf("%s,host=%s usage_idle=98.5 %d000000000", kind, name, second)
				host.publish("telegraf/"+name+"/"+kind, line, 0, false)
			}
			want(t, dashboard.receive(), message{topic: "telegraf/" + name + "/cpu",
				payload: fmt.Sprintf("cpu,host=%s usage_idle=98.5 %d000000000", name, second)})
		}
	}
}
