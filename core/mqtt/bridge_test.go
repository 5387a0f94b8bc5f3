package mqtt

import (
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// TestBridge: Mosquitto sets a bit of the protocol level when it bridges. What
// it publishes does not come back to it, and what is retained stays so on the
// way; to others nothing changes.
func TestBridge(t *testing.T) {
	for name, octets := range map[string]string{
		"3.1":   "10 14 | 0006 4d5149736470 83 02 003c | 0006 627269646765",
		"3.1.1": "10 12 | 0004 4d515454 84 02 003c | 0006 627269646765",
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			ann, bridge := b.connect(t, 4, "ann", nil), b.dial(t)
			bridge.version = 4
			bridge.raw(octets)
			if ack := bridge.expect(packets.Connack); ack.ReasonCode != 0 {
				t.Fatalf("CONNACK 0x%02x", ack.ReasonCode)
			}
			for _, p := range []*peer{ann, bridge} {
				p.subscribe(1, "a/#")
			}
			bridge.publish("a/its-own", "x", 1, 1)
			bridge.expect(packets.Puback)
			ann.expectMessage("a/its-own x 1 1")
			ann.send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: "a/state", Payload: []byte("on"),
			})
			bridge.expectMessage("a/state on 0 0 retain")
			ann.expectMessage("a/state on 0 0")
			if got := bridge.subscribe(1, "$share/bridges/b"); string(got) != "\x01" {
				t.Errorf("two bridges may share: SUBACK % x, want 01", got)
			}
			ann.publish("b", "x", 0, 0)
			bridge.expectMessage("b x 0 0")
		})
	}
}
