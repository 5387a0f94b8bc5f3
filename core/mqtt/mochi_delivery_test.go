package mqtt

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What becomes of messages in mochi alone, by the numbers that its defects have
// in our list of them.

// TestM07_AcknowledgedBeforeRouted: no PUBACK until the message is with those
// who are to have it.
func TestM07_AcknowledgedBeforeRouted(t *testing.T) {
	onBoth(t, setup{}, `got Puback .*want Pingresp`, func(t testing.TB, w *twin) {
		sub, pub := w.connect(t, 4, "sub", stays), w.connect(t, 4, "pub", nil)
		sub.subscribe(1, "q")
		w.tell(hold)
		pub.publish("q", "x", 1, 7)
		await(t, "the message to be on its way", func() bool { return w.look().Stored == 1 })
		pub.ping() // and no PUBACK
		w.tell(release)
		pub.expect(packets.Puback)
		sub.expectMessage("q x 1 1")
	})
}

// TestM08_RefusedByTheStore: what cannot be stored is neither acknowledged nor
// delivered.
func TestM08_RefusedByTheStore(t *testing.T) {
	t.Parallel()
	for _, version := range []byte{4, 5} {
		for qos, kind := range map[byte]byte{1: packets.Puback, 2: packets.Pubrec} {
			t.Run(fmt.Sprintf("version %d QoS %d", version, qos), func(t *testing.T) {
				onBoth(t, setup{}, `got Pub..., want the end|Pub... 0x00`, func(t testing.TB, w *twin) {
					sub, pub := w.connect(t, 4, "sub", stays), w.connect(t, version, "pub", nil)
					sub.subscribe(2, "q", "mark")
					w.tell(fill)
					pub.publish("q", "lost", qos, 7)
					if version < 5 {
						pub.expectEnd()
					} else if code := pub.expect(kind).ReasonCode; code < packets.ErrUnspecifiedError.Code {
						t.Errorf("%s 0x%02x, want an error", packets.PacketNames[kind], code)
					}
					w.noneButMark(sub)
				})
			})
		}
	}
}

// TestM09_LossesAreCounted: of 20,000 acknowledged messages for a client that
// is not there, what does not come is counted.
func TestM09_LossesAreCounted(t *testing.T) {
	const all, bound = 20_000, 8192 // mochi's own
	onBoth(t, setup{Queue: bound}, `8192 are kept and 0 dropped`, func(t testing.TB, w *twin) {
		keep(t, w, all, bound)
	})
}

// TestM09_NothingIsLost: all of them come if there is to be room for them.
func TestM09_NothingIsLost(t *testing.T) {
	t.Parallel()
	const all = 20_000
	keep(t, startTwin(t, setup{Queue: all}), all, all)
}

// keep has so many messages come for a client that is away, and back for the
// newest of them.
func keep(t testing.TB, w *twin, all, kept int) {
	t.Helper()
	sub := w.connect(t, 4, "sub", stays)
	sub.subscribe(1, "q")
	sub.disconnect()
	w.connect(t, 4, "pub", nil).flood("q", all)
	if f := w.look(); f.Queued != kept || f.Dropped != all-kept {
		t.Fatalf("of %d acknowledged messages, %d are kept and %d dropped", all, f.Queued, f.Dropped)
	}
	sub = w.connect(t, 4, "sub", stays)
	for i := all - kept + 1; i <= all; i++ {
		pk := sub.expect(packets.Publish)
		if want := fmt.Sprint(i); string(pk.Payload) != want {
			t.Fatalf("got %s, want %s", pk.Payload, want)
		}
		sub.ack(packets.Puback, pk.PacketID)
	}
}

// stays is kept in the words of MQTT 3.1.1.
func stays(pk *packets.Packet) { pk.Connect.Clean = false }

// TestM11_AliasAndPermission: permission is asked of the topic that an alias
// stands for.
func TestM11_AliasAndPermission(t *testing.T) {
	onBoth(t, setup{MayPublish: []string{"allowed"}}, `PUBACK 0x87, want 0x00`, func(t testing.TB, w *twin) {
		sub, pub := w.connect(t, 4, "sub", nil), w.connect(t, 5, "pub", nil)
		sub.subscribe(0, "#")
		for _, tt := range []struct {
			alias uint16
			topic string
			want  byte
		}{{1, "allowed", 0}, {1, "", 0}, {2, "secret", 0x87}, {2, "", 0x87}, {1, "", 0}} {
			if code := pub.alias(tt.alias, tt.topic, "x"); code != tt.want {
				t.Fatalf("alias %d with %q: PUBACK 0x%02x, want 0x%02x", tt.alias, tt.topic, code, tt.want)
			}
			if tt.want == 0 {
				sub.expectMessage("allowed x 0 0")
			}
		}
	})
}

// TestM15_IdentifiersOfBothSides: a client's message does not take away ours
// under the same Packet Identifier.
func TestM15_IdentifiersOfBothSides(t *testing.T) {
	t.Parallel()
	for qos, kind := range map[byte]byte{1: packets.Puback, 2: packets.Pubrec} {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			onBoth(t, setup{}, `timeout|got Pubrec`, func(t testing.TB, w *twin) {
				sub, pub := w.connect(t, 4, "sub", stays), w.connect(t, 4, "pub", nil)
				sub.subscribe(1, "q")
				pub.publish("q", "important", 1, 7)
				pub.expect(packets.Puback)
				id := sub.expect(packets.Publish).PacketID
				sub.publish("other", "x", qos, id)
				sub.expect(kind)
				sub.Close()
				sub = w.connect(t, 4, "sub", stays)
				w.soon(sub)
				sub.expectMessage(fmt.Sprintf("q important 1 %d dup", id))
			})
		})
	}
}

// TestM16_OrderOfAbsence: what came while a client was away comes in order, and
// only what was sent before comes as a duplicate.
func TestM16_OrderOfAbsence(t *testing.T) {
	onBoth(t, setup{}, `got the message`, func(t testing.TB, w *twin) {
		const all, window = 200, 10
		narrow := func(pk *packets.Packet) { kept(pk); pk.Properties.ReceiveMaximum = window }
		sub := w.connect(t, 5, "sub", narrow)
		sub.subscribe(1, "q")
		sub.disconnect()
		w.connect(t, 4, "pub", nil).flood("q", all)
		sub = w.connect(t, 5, "sub", narrow)
		for i := 1; i <= window; i++ {
			sub.expectMessage(fmt.Sprintf("q %d 1 %d", i, i))
		}
		sub.Close()
		sub = w.connect(t, 5, "sub", narrow)
		for i := 1; i <= all; i++ {
			dup := ""
			if i <= window {
				dup = " dup"
			}
			sub.expectMessage(fmt.Sprintf("q %d 1 %d%s", i, i, dup))
			sub.ack(packets.Puback, uint16(i))
		}
	})
}

// TestM17_NarrowWindow: who takes two messages at a time gets all of them.
func TestM17_NarrowWindow(t *testing.T) {
	onBoth(t, setup{}, `timeout`, func(t testing.TB, w *twin) {
		const all = 20
		sub := w.connect(t, 5, "sub", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 2 })
		sub.subscribe(1, "q")
		w.connect(t, 4, "pub", nil).flood("q", all)
		w.soon(sub)
		for range all {
			sub.ack(packets.Puback, sub.expect(packets.Publish).PacketID)
		}
	})
}

// TestM18_StalledSubscriber: who reads nothing does not stop those who publish.
func TestM18_StalledSubscriber(t *testing.T) {
	onBoth(t, setup{}, `timeout`, func(t testing.TB, w *twin) {
		stalled, pub := w.connect(t, 4, "stalled", nil), w.connect(t, 4, "pub", nil)
		stalled.subscribe(1, "q")
		stalled.Conn.(*net.TCPConn).SetReadBuffer(4096)
		payload := strings.Repeat("x", 200<<10)
		w.soon(pub)
		for id := range uint16(100) { // 20 MB are more than the system buffers
			pub.publish("q", payload, 1, id+1)
			pub.expect(packets.Puback)
		}
	})
}

// TestM21_AliasOverConnections: what is sent again over another connection has
// a topic, and not an alias that the client has never heard of.
func TestM21_AliasOverConnections(t *testing.T) {
	onBoth(t, setup{}, `got the message " 2`, func(t testing.TB, w *twin) {
		aliases := func(pk *packets.Packet) { kept(pk); pk.Properties.TopicAliasMaximum = 10 }
		sub := w.connect(t, 5, "sub", aliases)
		sub.subscribe(1, "q")
		w.connect(t, 4, "pub", nil).flood("q", 2)
		first, second := sub.expect(packets.Publish).PacketID, sub.expect(packets.Publish).PacketID
		sub.ack(packets.Puback, first)
		sub.ping() // the acknowledgement has been read
		sub.Close()
		sub = w.connect(t, 5, "sub", aliases)
		sub.expectMessage(fmt.Sprintf("q 2 1 %d dup", second))
	})
}

// TestM22_InventedExpiry: what has no Message Expiry Interval gets none, so
// retained messages stay.
func TestM22_InventedExpiry(t *testing.T) {
	t.Parallel()
	for name, retained := range map[string]bool{"live": false, "retained": true} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{}, `expires in`, func(t testing.TB, w *twin) {
				sub, pub := w.connect(t, 5, "sub", nil), w.connect(t, 5, "pub", nil)
				publish := func() {
					pub.send(packets.Packet{
						FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: retained},
						TopicName:   "q", Payload: []byte("x"), PacketID: 1,
					})
					pub.expect(packets.Puback)
				}
				if retained {
					publish()
				}
				sub.subscribe(0, "q")
				if !retained {
					publish()
				}
				if n := sub.expect(packets.Publish).Properties.MessageExpiryInterval; n != 0 {
					t.Errorf("the message expires in %d s", n)
				}
			})
		})
	}
}
