package mqtt

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// TestHostile59StalledSubscriber: of two subscribers one reads nothing while
// 12 MB of its topic are published. The other gets everything and every publish
// is answered. What waits for the stalled one stays within its bound, and once
// it reads again it gets, in order, all that is not counted as dropped.
func TestHostile59StalledSubscriber(t *testing.T) {
	for qos := range byte(3) {
		t.Run(fmt.Sprintf("QoS%d", qos), func(t *testing.T) {
			const messages, burst, size, bound = 1536, 16, 8 << 10, 800 << 10
			b := start(t, func(co *core.Options, _ *Options) { co.Queue.Bytes = bound })
			stalled, reader := b.connect(t, 4, "stalled", kept), b.connect(t, 4, "reader", nil)
			stalled.Conn.(*net.TCPConn).SetReadBuffer(64 << 10) // what a socket takes is not stalled yet
			stalled.subscribe(qos, "q")
			reader.subscribe(qos, "q")
			sender := b.connect(t, 4, "sender", nil)
			goroutines := runtime.NumGoroutine()

			for n := 0; n < messages; n += burst {
				for i := n; i < n+burst; i++ {
					sender.publish("q", strconv.Itoa(i)+strings.Repeat(" ", size), max(qos, 1), uint16(i+1))
				}
				for range burst {
					sender.exchange(packets.Puback, packets.Pubcomp)
				}
				reader.expectNumbers(n, burst)
				if c, _ := b.core.Client("stalled"); c.WaitingBytes > bound {
					t.Fatalf("%d messages of %d octets wait for the stalled client", c.Waiting, c.WaitingBytes)
				}
			}
			if n := runtime.NumGoroutine(); n > goroutines+3 {
				t.Errorf("%d goroutines more than at rest for three clients", n-goroutines)
			}
			c, _ := b.core.Client("stalled")
			dropped := int(b.core.Stats().Dropped.Overflow)
			if dropped == 0 || c.Dropped != uint64(dropped) {
				t.Errorf("%d messages are counted as dropped, %d of them the stalled client's; want all, and some", dropped, c.Dropped)
			}

			last := -1
			for range messages - dropped {
				n := stalled.expectNumber()
				if n <= last {
					t.Fatalf("message %d comes after %d", n, last)
				}
				last = n
			}
			if last != messages-1 {
				t.Errorf("message %d is the last, want the newest", last)
			}
			stalled.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
			if pk := stalled.exchange(packets.Pingresp, packets.Publish); pk.FixedHeader.Type != packets.Pingresp {
				t.Error("one more message comes than is not counted as dropped")
			}
		})
	}
}

// expectNumbers takes n messages, numbered on from first.
func (p *peer) expectNumbers(first, n int) {
	p.t.Helper()
	for i := range n {
		if got := p.expectNumber(); got != first+i {
			p.t.Fatalf("message %d comes, want %d", got, first+i)
		}
	}
}

// expectNumber takes the next message and returns its number.
func (p *peer) expectNumber() int {
	p.t.Helper()
	pk := p.exchange(packets.Publish)
	n, err := strconv.Atoi(strings.TrimSpace(string(pk.Payload)))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// exchange plays a client's part in exchanges of QoS 1 and 2 until a packet of
// one of these types comes, which it returns.
func (p *peer) exchange(until ...byte) packets.Packet {
	p.t.Helper()
	for {
		pk, err := p.next()
		if err != nil {
			p.t.Fatal(err)
		}
		kind := pk.FixedHeader.Type
		switch {
		case kind == packets.Publish && pk.FixedHeader.Qos == 1:
			p.ack(packets.Puback, pk.PacketID)
		case kind == packets.Publish && pk.FixedHeader.Qos == 2:
			p.ack(packets.Pubrec, pk.PacketID)
		case kind == packets.Pubrec:
			p.ack(packets.Pubrel, pk.PacketID)
		case kind == packets.Pubrel:
			p.ack(packets.Pubcomp, pk.PacketID)
		}
		if slices.Contains(until, kind) {
			return pk
		}
	}
}

// TestIdleGoroutines: a client that is silent costs no goroutine, or one where
// there is no lookout.
func TestIdleGoroutines(t *testing.T) {
	b := start(t, nil)
	b.connect(t, 5, "first", nil)
	before := runtime.NumGoroutine()
	const clients = 100
	most := before + 2 // that may send for all
	if runtime.GOOS != "linux" {
		most += clients
	}
	for i := range clients {
		p := b.connect(t, byte(4+i%2), strconv.Itoa(i), nil)
		p.subscribe(1, "q")
		p.publish("q", "", 0, 0)
	}
	await(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= most })
}
