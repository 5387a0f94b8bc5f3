package gateway

import (
	"fmt"
	"testing"

	"dormouse/mqttsn/transport"
)

// TestInboxFull: a shard that cannot keep up loses the newest datagrams, and
// counts them; who brings them does not wait.
func TestInboxFull(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Shards = 1 })
	batch := make([]transport.Datagram, maxDatagrams+100)
	for i := range batch {
		batch[i] = transport.Datagram{Peer: stranger(i), Buf: []byte{2, 0x16}}
	}
	w.g.Receive(batch)
	w.wantCount("datagrams_dropped_total", "inbox_full", 100)
	w.g.Receive([]transport.Datagram{{Peer: stranger(1), Buf: make([]byte, maxOctets)}})
	w.wantCount("datagrams_dropped_total", "inbox_full", 101)
	w.g.Step(w.now)
	w.wantCount("datagrams_received_total", "", maxDatagrams)
}

// TestBurst: a shard has room for what fifty thousand sleepers send at one
// moment, and looks after others before it is through with that.
func TestBurst(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Shards = 1 })
	const sleepers = 50_000
	batch := make([]transport.Datagram, sleepers)
	for i := range batch {
		id := fmt.Sprintf("a-sensor-of-%011d", i)
		batch[i] = transport.Datagram{Peer: stranger(i), Buf: append([]byte{byte(2 + len(id)), 0x16}, id...)}
	}
	w.g.Receive(batch)
	w.wantCount("datagrams_dropped_total", "inbox_full", 0)
	w.g.shards[0].turn(w.now)
	if n := w.count("datagrams_received_total", ""); n == 0 || n > sleepers/10 {
		t.Errorf("one turn looks at %d datagrams", n)
	}
	w.g.Step(w.now)
	w.wantCount("datagrams_received_total", "", sleepers)
}
