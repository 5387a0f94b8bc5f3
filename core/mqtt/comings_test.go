//go:build linux

package mqtt

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// An ending is how a hasty client ends.
type ending int

const (
	byDisconnect ending = iota
	byFIN
	byRST
	midPacket
	endings
)

// A haste is a client that says all at once, CONNECT included.
type haste struct {
	id     string
	topic  string
	each   int // messages
	ending ending
	*rand.Rand
}

// run says all in whatever pieces, and stays until the broker hangs up unless it
// ends by RST.
func (h *haste) run(t testing.TB, b *broker) {
	p := b.dial(t)
	defer p.Close()
	p.version = 4
	socket := p.Conn.(*net.TCPConn)
	for said := h.speech(p); len(said) > 0; {
		n := min(len(said), 1+h.IntN(8000))
		p.Write(said[:n])
		said = said[n:]
	}
	if h.ending == byRST {
		socket.SetLinger(0)
		return
	}
	socket.CloseWrite()
	for {
		if _, err := p.next(); err != nil {
			p.mustBeOver(err)
			return
		}
	}
}

func (h *haste) speech(p *peer) []byte {
	said := p.encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), ClientIdentifier: h.id, Clean: true, Keepalive: uint16(60 * h.IntN(2)),
		},
	})
	for n := range h.each {
		said = append(said, p.encode(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: byte(h.IntN(2))},
			TopicName:   h.topic, PacketID: uint16(n + 1),
			Payload: fmt.Appendf(nil, "%d%*s", n, h.IntN(2000), ""),
		})...)
	}
	switch h.ending {
	case byDisconnect:
		said = append(said, packets.Disconnect<<4, 0)
	case midPacket:
		said = said[:len(said)-h.IntN(len(said))]
	}
	return said
}

// TestComingsAndGoings: clients that say all at once, in whatever pieces, and end
// in whatever way, while others take them over: none loses what it has sent
// before a FIN, or its order, and nothing of them stays behind, be it a
// goroutine, a descriptor or their name with a lookout.
func TestComingsAndGoings(t *testing.T) {
	const workers, rounds, each = 16, 40, 20
	b := start(t, func(co *core.Options, o *Options) {
		co.Queue.Messages, co.Queue.Bytes = 1<<20, 1<<30
		o.ReceiveMaximum = 4
	})
	sub := b.connect(t, 4, "sub", nil)
	sub.subscribe(0, "whole/#")
	goroutines, files := runtime.NumGoroutine(), openFiles(t)

	heard := make(chan map[string]int) // topics, and how many messages came in order
	go func() {
		in := make(map[string]int)
		for {
			pk, err := sub.next()
			if err != nil || pk.TopicName == "whole/end" {
				heard <- in
				return
			}
			var n int
			if fmt.Sscan(string(pk.Payload), &n); n == in[pk.TopicName] {
				in[pk.TopicName]++
			}
		}
	}()
	var all sync.WaitGroup
	sent := make([][]string, workers) // topics of which nothing may be lost
	for w := range workers {
		r := rand.New(rand.NewPCG(1, uint64(w)))
		all.Go(func() {
			for i := range rounds {
				h := &haste{fmt.Sprintf("%d-%d", w, i), "some", each, ending(r.IntN(int(endings))), r}
				switch {
				case r.IntN(4) == 0:
					h.id = strconv.Itoa(r.IntN(4)) // another's, who is ended
				case h.ending == byDisconnect || h.ending == byFIN:
					h.topic = "whole/" + h.id
					sent[w] = append(sent[w], h.topic)
				}
				h.run(t, b)
			}
		})
	}
	all.Wait()
	last := b.connect(t, 4, "last", nil)
	last.publish("whole/end", "", 0, 0)
	last.disconnect()
	in := <-heard
	for _, topics := range sent {
		for _, topic := range topics {
			if n := in[topic]; n != each {
				t.Errorf("%s: %d messages came in order, want %d", topic, n, each)
			}
		}
	}
	await(t, "all to be gone", func() bool { return b.server.Stats().Connections == 1 && watched(b) == 1 })
	await(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	await(t, "files to be closed", func() bool { return openFiles(t) <= files })
}

func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// watched is how many connections the lookouts know.
func watched(b *broker) (n int) {
	for _, l := range b.server.lookouts {
		l.mu.Lock()
		n += len(l.conns)
		l.mu.Unlock()
	}
	return n
}
