//go:build !race

// The race detector allocates too.

package udp

import (
	"testing"

	"dormouse/mqttsn/transport"
)

// TestAllocs: neither to send nor to receive takes memory.
func TestAllocs(t *testing.T) {
	const size = 20
	c := config("127.0.0.1:0")
	from, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan int, Batch)
	go to.Serve(t.Context(), func(batch []transport.Datagram) { came <- len(batch) })
	defer to.Close()
	batch := make([]transport.Datagram, Batch)
	for i := range batch {
		batch[i] = transport.Datagram{Peer: transport.Peer{Addr: to.Addr()}, Buf: make([]byte, size)}
	}
	n := testing.AllocsPerRun(100, func() {
		if err := from.Send(batch); err != nil {
			t.Fatal(err)
		}
		for missing := len(batch); missing > 0; {
			missing -= <-came
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for a batch sent and received; want none", n)
	}
}
