package mqtt

import (
	"bufio"
	"io"
	"runtime"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// BenchmarkPublish is QoS 1 from one client to one subscriber, 32 at a time:
// PUBLISH, PUBACK, PUBLISH, PUBACK.
func BenchmarkPublish(b *testing.B) {
	br := start(b, nil)
	sub, pub := br.connect(b, 4, "sub", nil), br.connect(b, 4, "pub", nil)
	sub.subscribe(1, "q")
	const window = 32
	var burst []byte
	for id := range uint16(window) {
		burst = append(burst, pub.encode(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
			TopicName:   "q", Payload: make([]byte, 20), PacketID: id + 1,
		})...)
	}
	received := make(chan struct{}, 1)
	go func() {
		in, acks := bufio.NewReader(sub), []byte(nil)
		delivery := make([]byte, 2+3+2+20)
		for n := 1; ; n++ {
			if _, err := io.ReadFull(in, delivery); err != nil {
				return
			}
			acks = append(acks, 0x40, 2, delivery[5], delivery[6])
			if n%window == 0 {
				sub.Write(acks)
				acks = acks[:0]
				received <- struct{}{}
			}
		}
	}()
	acks := make([]byte, 4*window)
	b.ReportAllocs()
	for b.Loop() {
		pub.Write(burst)
		if _, err := io.ReadFull(pub.in, acks); err != nil {
			b.Fatal(err)
		}
		<-received
	}
	b.ReportMetric(float64(b.N)*window/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/window, "ns/msg")
}

// BenchmarkConnected is the memory of a client, heap and stacks, that is connected and silent,
// the 5 KB of the test's own end included.
func BenchmarkConnected(b *testing.B) {
	br := start(b, nil)
	const clients = 500
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range clients { // whatever b.N says: one address may have no more than 1000
		br.connect(b, 5, "", nil)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/clients, "heapB/client")
	b.ReportMetric(float64(after.StackInuse-before.StackInuse)/clients, "stackB/client")
}
