package udp

import (
	"testing"

	"dormouse/mqttsn/transport"
)

// BenchmarkSendBatch sends a full batch over loopback to nobody who reads.
func BenchmarkSendBatch(b *testing.B) {
	c := config("127.0.0.1:0")
	conn, err := Listen(c)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	sink, err := Listen(c)
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	batch := make([]transport.Datagram, Batch)
	for i := range batch {
		batch[i] = transport.Datagram{Peer: transport.Peer{Addr: sink.Addr()}, Buf: make([]byte, 20)}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := conn.Send(batch); err != nil {
			b.Fatal(err)
		}
	}
}
