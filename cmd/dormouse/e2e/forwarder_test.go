package e2e

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestForwarderWithTwoNodes: behind one address there are two sensors, each
// with its own session, and all that is for one is wrapped with its node id.
func TestForwarderWithTwoNodes(t *testing.T) {
	t.Parallel()
	b := start(t)
	forwarder := b.socket()
	one, two := forwarder.sensor(b, "one", "\x12\x34"), forwarder.sensor(b, "two", "\x0a\x00\x00\x07")
	one.connect(true)
	two.connect(true)
	one.subscribe("cmd/one", 1)
	two.subscribe("cmd/#", 1)
	c := b.mqtt3(t, "client", nil)
	c.subscribe("up/#", 1)

	one.publish(one.register("up/one"), "1", 1, false)
	want(t, c.receive(), message{"up/one", "1", 1, false})
	two.publish(two.register("up/two"), "2", 1, false)
	want(t, c.receive(), message{"up/two", "2", 1, false})
	c.publish("cmd/one", "x", 1, false)
	want(t, one.receive(), message{"cmd/one", "x", 1, false})
	want(t, two.receive(), message{"cmd/one", "x", 1, false})

	one.sleep(time.Hour)
	c.publish("cmd/one", "y", 1, false)
	want(t, two.receive(), message{"cmd/one", "y", 1, false})
	one.hearsNothing()
	if got := one.wake(); len(got) != 1 || got[0].payload != "y" {
		t.Errorf("the sleeping node woke to %v, want y", got)
	}
}

// TestB21NodeMovesBetweenForwarders: the forwarder through which a client
// connected last gets its mail, and the end of one node's session leaves its
// siblings up.
func TestB21NodeMovesBetweenForwarders(t *testing.T) {
	t.Parallel()
	b := start(t)
	east, west := b.socket(), b.socket()
	atEast, sibling := east.sensor(b, "mobile", "\x01"), east.sensor(b, "sibling", "\x02")
	atWest := west.sensor(b, "mobile", "\x09")
	for _, s := range []*sensor{atEast, sibling} {
		s.connect(false)
		s.subscribe("cmd", 1)
	}
	atEast.sleep(time.Hour)
	atWest.connect(false)
	b.publish(t, "cmd", "x", 1)
	want(t, atWest.receive(), message{"cmd", "x", 1, false})
	want(t, sibling.receive(), message{"cmd", "x", 1, false})
	atEast.hearsNothing()

	atWest.disconnect()
	b.publish(t, "cmd", "y", 1)
	want(t, sibling.receive(), message{"cmd", "y", 1, false})
	sibling.send(&mqttsn.Pingreq{})
	expect[*mqttsn.Pingresp](sibling)
}
