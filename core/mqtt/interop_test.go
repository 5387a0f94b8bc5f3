package mqtt

import (
	"fmt"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What Eclipse's interoperability suite states of a broker, where no other
// test here does.

// TestRetainedAtEachQoS: what is retained comes at the QoS and with the
// properties that it was published with, until an empty message clears it.
func TestRetainedAtEachQoS(t *testing.T) {
	t.Parallel()
	for _, version := range []byte{3, 4, 5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			b := start(t, nil)
			p := b.connect(t, version, "p", named(version))
			retain := func(payload string) {
				t.Helper()
				for qos := range byte(3) {
					p.send(packets.Packet{
						FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Retain: true}, PacketID: 1,
						TopicName: fmt.Sprint("r/", qos), Payload: []byte(payload),
						Properties: packets.Properties{User: []packets.UserProperty{{Key: "a", Val: "2"}, {Key: "c", Val: "3"}}},
					})
					switch qos {
					case 1:
						p.expect(packets.Puback)
					case 2:
						p.expect(packets.Pubrec)
						p.ack(packets.Pubrel, 1)
						p.expect(packets.Pubcomp)
					}
				}
			}
			retain("kept")
			p.subscribe(2, "r/+")
			got := make(map[string]bool)
			for range 3 {
				pk := p.expect(packets.Publish)
				if want := fmt.Sprint("r/", pk.FixedHeader.Qos); pk.TopicName != want || !pk.FixedHeader.Retain || string(pk.Payload) != "kept" {
					t.Errorf("%s comes at QoS %d, retained: %v", pk.TopicName, pk.FixedHeader.Qos, pk.FixedHeader.Retain)
				}
				if version == 5 && fmt.Sprint(pk.Properties.User) != "[{a 2} {c 3}]" {
					t.Errorf("the user properties of %s are %v", pk.TopicName, pk.Properties.User)
				}
				got[pk.TopicName] = true
			}
			if len(got) != 3 {
				t.Errorf("%v came, want each once", got)
			}
			p.disconnect()
			p = b.connect(t, version, "p", named(version))
			retain("")
			p.subscribe(2, "r/+")
			p.ping() // nothing came
			if n := b.core.Stats().Retained; n != 0 {
				t.Errorf("%d messages are retained, want none", n)
			}
		})
	}
}

// TestSecondConnectAndUnsubscribe: before MQTT 5 as well, a connection ends by
// a second CONNECT, and a filter that is left brings nothing more.
func TestSecondConnectAndUnsubscribe(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	for _, version := range []byte{3, 4} {
		p := b.connect(t, version, "p", named(version))
		p.subscribe(2, "a")
		p.subscribe(2, "b")
		p.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 5,
			Filters: packets.Subscriptions{{Filter: "a"}},
		})
		if ack := p.expect(packets.Unsuback); ack.PacketID != 5 || ack.FixedHeader.Remaining != 2 {
			t.Errorf("version %d: UNSUBACK of %d with %d octets, want of 5 with 2", version, ack.PacketID, ack.FixedHeader.Remaining)
		}
		p.publish("a", "left", 0, 0)
		p.publish("b", "still subscribed", 0, 0)
		p.expectMessage("b still subscribed 0 0")
		p.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Connect},
			Connect:     packets.ConnectParams{ProtocolName: []byte(protocolName(version)), ClientIdentifier: "p", Clean: true, Keepalive: 60},
		})
		p.expectEnd()
	}
	b.canary(t)
}

// TestExpiryByDisconnect: a client may have its session last longer, or end,
// when it leaves.
func TestExpiryByDisconnect(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	connect := func(expiry uint32, present bool) *peer {
		t.Helper()
		p, ack := b.tryConnect(t, 5, "p", func(pk *packets.Packet) {
			pk.Connect.Clean = false
			pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = expiry, true
		})
		if ack.SessionPresent != present {
			t.Errorf("Session Present is %v, want %v", ack.SessionPresent, present)
		}
		return p
	}
	leave := func(p *peer, expiry uint32) {
		p.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
			Properties:  packets.Properties{SessionExpiryInterval: expiry, SessionExpiryIntervalFlag: true},
		})
		p.expectEnd()
	}
	connect(0, false).disconnect()
	leave(connect(1, false), 60)
	b.core.Tick(time.Now().Add(30 * time.Second))
	leave(connect(1, true), 0)
	connect(1, false).disconnect()
}
