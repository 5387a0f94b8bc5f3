package mqtt

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// everyLookout connects clients to all lookouts that there are.
func (b *broker) everyLookout(t testing.TB) (all []*peer) {
	for i := range 2 * runtime.GOMAXPROCS(0) {
		all = append(all, b.connect(t, 4, fmt.Sprint("other-", i), nil))
	}
	return all
}

// TestLastWords: a client whose last message and whose end come at once is gone
// at once, and its will is published.
func TestLastWords(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	heir := b.connect(t, 4, "heir", nil)
	heir.subscribe(0, "#")
	for range 30 {
		p := b.connect(t, 4, "p", func(pk *packets.Packet) {
			pk.Connect.Keepalive = 0
			pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "will", []byte("gone")
		})
		p.publish("words", "last", 0, 0)
		p.Conn.(*net.TCPConn).CloseWrite()
		heir.expectMessage("words last 0 0")
		heir.expectMessage("will gone 0 0")
	}
}

// TestStoreHoldsNobodyElseUp: who has asked for so much that nothing more of it
// is read, until the store has answered, is the only one to wait.
func TestStoreHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	d := new(disk)
	b := start(t, func(co *core.Options, o *Options) { co.Store, o.ReceiveMaximum = d, 4 })
	others := b.everyLookout(t)
	p := b.connect(t, 4, "p", nil)
	d.hold()
	defer d.release()
	const messages = 200
	for id := range uint16(messages) {
		p.publish("q", "x", 1, id+1)
	}
	await(t, "the client to have all that it may", func() bool { return d.waiting() == 4 })
	for _, other := range others {
		other.ping()
	}
	d.release()
	p.expectAcks(t, messages)
	p.ping()
}

// TestWorkHoldsNobodyElseUp: what a client has sent together and takes long is
// only for itself to wait for.
func TestWorkHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	free := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(free) })
	b := start(t, func(co *core.Options, _ *Options) {
		co.Authorize = func(_ core.Identity, a core.Access) bool {
			switch a.Topic {
			case "long":
				time.Sleep(2 * turnMost)
			case "longer":
				<-free
			}
			return true
		}
	})
	defer goOn()
	others := b.everyLookout(t)
	p := b.connect(t, 4, "p", nil)
	var both []byte
	for i, topic := range []string{"long", "longer"} {
		both = append(both, p.encode(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
			TopicName:   topic, PacketID: uint16(i + 1),
		})...)
	}
	p.Write(both)
	for _, other := range others {
		other.ping()
	}
	goOn()
	p.expectAcks(t, 2)
	p.ping()
}

// TestManyAtOnce: who has sent something while others were read is read, too,
// however many they are.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	free := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(free) })
	var held atomic.Int32
	b := start(t, func(co *core.Options, _ *Options) {
		co.Authorize = func(core.Identity, core.Access) bool {
			held.Add(1)
			<-free
			return true
		}
	})
	defer goOn()
	others := b.everyLookout(t)
	var many []*peer
	for i := range 100 * runtime.GOMAXPROCS(0) {
		many = append(many, b.connect(t, 4, fmt.Sprint("many-", i), nil))
	}
	for _, p := range others {
		p.publish("q", "", 0, 0)
	}
	await(t, "all lookouts to be held", func() bool {
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		return int(held.Load()) >= len(b.server.lookouts)
	})
	for _, p := range many {
		p.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	}
	goOn()
	for _, p := range many {
		p.expect(packets.Pingresp)
	}
}

// TestPieces: it does not matter in which pieces packets come, nor what comes
// from others in between.
func TestPieces(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	type pair struct {
		pub, sub *peer
		octets   []byte
	}
	var pairs []*pair
	sizes := []int{1, 3000, 5000, 2, 100_000, 4085, 4086, 4087, 1}
	for _, name := range []string{"a", "b"} {
		p := &pair{pub: b.connect(t, 4, "pub-"+name, nil), sub: b.connect(t, 4, "sub-"+name, nil)}
		p.sub.subscribe(0, name)
		for _, size := range sizes {
			p.octets = append(p.octets, p.pub.encode(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish},
				TopicName:   name, Payload: bytes.Repeat([]byte(name), size),
			})...)
		}
		pairs = append(pairs, p)
	}
	for _, most := range []int{11, 1000, 4096, 5000, 1 << 20} {
		for from := 0; from < len(pairs[0].octets); from += most {
			for _, p := range pairs {
				p.pub.Write(p.octets[from:min(from+most, len(p.octets))])
			}
		}
		for _, p := range pairs {
			for _, size := range sizes {
				pk := p.sub.expect(packets.Publish)
				if want := bytes.Repeat([]byte(pk.TopicName), size); !bytes.Equal(pk.Payload, want) {
					t.Fatalf("in pieces of %d: got %d octets that are not the %d sent", most, len(pk.Payload), size)
				}
			}
		}
	}
}

// TestTrickleIsSilence: a packet is what keeps a client alive, and not an octet
// of one now and then [MQTT-3.1.2-22].
func TestTrickleIsSilence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		rate PublishRate // who has one is read by a goroutine of its own
	}{{"read with others", PublishRate{}}, {"read alone", PublishRate{Messages: 1000}}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, func(_ *core.Options, o *Options) {
				o.MaxKeepalive, o.PublishRate = time.Second, tt.rate
			})
			heir := b.connect(t, 4, "heir", func(pk *packets.Packet) { pk.Connect.Keepalive = 0 })
			heir.subscribe(0, "#")
			p := b.connect(t, 5, "p", nil)
			p.publish("q", "a packet", 0, 0)
			heir.expectMessage("q a packet 0 0")
			slow := p.encode(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish},
				TopicName:   "q", Payload: make([]byte, 60),
			})
			go func() { // for twice as long as the client may be silent
				for _, octet := range slow {
					p.Write([]byte{octet})
					time.Sleep(50 * time.Millisecond)
				}
			}()
			if code := p.expectEnd(); code != packets.ErrKeepAliveTimeout.Code {
				t.Errorf("DISCONNECT 0x%02x, want 0x8d", code)
			}
			heir.ping() // and no message
		})
	}
}

// TestPanicEndsOneOfManyReadFor: what brings down whoever reads for many ends
// only the connection that it came from.
func TestPanicEndsOneOfManyReadFor(t *testing.T) {
	t.Parallel()
	b := start(t, func(co *core.Options, _ *Options) {
		co.Authorize = func(_ core.Identity, a core.Access) bool {
			if a.Topic == "boom" {
				panic("boom")
			}
			return true
		}
	})
	others := b.everyLookout(t)
	for i := range 2 * runtime.GOMAXPROCS(0) {
		p := b.connect(t, 5, fmt.Sprint("p-", i), nil)
		p.publish("boom", "", 0, 0)
		if code := p.expectEnd(); code != packets.ErrImplementationSpecificError.Code {
			t.Errorf("DISCONNECT 0x%02x, want 0x83", code)
		}
	}
	if n := b.server.panics.Swap(0); n != uint64(2*runtime.GOMAXPROCS(0)) {
		t.Errorf("%d panics are counted", n)
	}
	for _, other := range others {
		other.ping()
	}
	b.canary(t)
}
