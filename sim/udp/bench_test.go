package udp

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkEcho has 10,000 devices say something and hear it back, in bursts of
// 256. "cpu-ns/op" is what it costs this side, and not the echo.
func BenchmarkEcho(b *testing.B) {
	for mode, name := range []string{"address", "port", "node"} {
		b.Run(name, func(b *testing.B) {
			g := newGateway(b, "127.0.0.1:0")
			n := open(b, Config{Target: g.addr})
			const size = 10_000
			if err := n.Attach(0, modesOf(size, Mode(mode))); err != nil {
				b.Fatal(err)
			}
			batch := make([]Datagram, 256)
			for i := range batch {
				batch[i].Buf = []byte("a report of a sensor")
			}
			next, heard := 0, 0
			count := func(batch []Datagram) { heard += len(batch) }
			burst := func() {
				for i := range batch {
					batch[i].Endpoint = int32(next)
					next = (next + 1) % size
				}
				if err := n.Send(0, batch); err != nil {
					b.Fatal(err)
				}
				for want := heard + len(batch); heard < want; {
					before := heard
					if err := n.Receive(0, time.Second, count); err != nil {
						b.Fatal(err)
					}
					if heard == before {
						b.Fatal("an echo was lost")
					}
				}
			}
			for range 2 * size / len(batch) { // all sockets are open
				burst()
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ReportAllocs()
			before, said := threadTime(b), 0
			for b.Loop() {
				if said++; said%len(batch) == 0 {
					burst()
				}
			}
			b.ReportMetric(float64(threadTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// threadTime is the CPU time of this thread.
func threadTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
