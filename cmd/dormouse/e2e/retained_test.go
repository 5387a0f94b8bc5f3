package e2e

import (
	"testing"

	"dormouse/mqttsn"
)

// TestRetainedUpward: a sensor's retained reading is there for every later
// client, until the sensor publishes an empty one.
func TestRetainedUpward(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	topic := s.register("attic/temperature")
	s.publish(topic, "21.5", 1, true)
	want(t, b.mosquittoSub(t, "attic/#", 1).receive(), message{"attic/temperature", "21.5", 1, true})
	for version, connect := range mqttVersions {
		c := connect(b, t, "late "+version)
		c.subscribe("attic/+", 2)
		want(t, c.receive(), message{"attic/temperature", "21.5", 1, true})
		s.publish(topic, "now", 0, false)
		want(t, c.receive(), message{"attic/temperature", "now", 0, false})
	}

	s.publish(topic, "", 1, true)
	later := b.mqtt3(t, "later", nil)
	later.subscribe("attic/#", 2)
	s.publish(topic, "fresh", 1, false)
	want(t, later.receive(), message{"attic/temperature", "fresh", 1, false})
}

// TestB14RetainedOnSubscribeByEachTopicKind: SUBSCRIBE by name, wildcard,
// pre-defined id and short name yields the retained message once, with the
// flag set; live messages have it clear.
func TestB14RetainedOnSubscribeByEachTopicKind(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.predefined=[{id: 7, topic: alarm}]")
	c := b.mqtt5(t, "client", nil)
	for _, tt := range []struct {
		topic string
		by    mqttsn.Topic
		named string // as the sensor sees it
	}{
		{"a/b", mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("a/b")}, "a/b"},
		{"c/d", mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("c/#")}, "c/d"},
		{"alarm", predefined(7), "predefined 7"},
		{"T1", short("T1"), "T1"},
	} {
		c.publish(tt.topic, "before", 1, true)
		s := b.sensor("sensor " + tt.topic)
		s.connect(true)
		if id := s.subscribeTo(tt.by, 1); id != 0 {
			s.topics[id] = tt.topic
		}
		want(t, s.receive(), message{tt.named, "before", 1, true})
		c.publish(tt.topic, "after", 1, true)
		want(t, s.receive(), message{tt.named, "after", 1, false})
		s.hearsNothing()
	}
}
