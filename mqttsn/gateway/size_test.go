package gateway

import (
	"runtime"
	"testing"
	"unsafe"

	"dormouse/core"
)

// TestSeatIsSmall: there are a million of them, with their sessions, and the
// size is such that the allocator wastes nothing of its room.
func TestSeatIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(seat{}); n > 224 {
		t.Errorf("a seat has %d octets, 224 at most are promised", n)
	}
}

// sleeperOctets is what one of so many sleeping sensors costs in memory, the
// broker's share included: each has a client id of 20 octets, a kept session,
// one subscription and one topic id.
func sleeperOctets(t testing.TB, sensors int) int {
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what a finalizer held
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	broker := core.New(core.DefaultOptions())
	g := bare(t, broker)
	empty := heap()
	g.putToSleep(sensors)
	each := (heap() - empty) / sensors
	if n := g.shards[0].count.states[3].Load(); n == 0 || g.seats.Load() != int64(sensors) {
		t.Fatalf("%d sensors, %d of them asleep on the first shard", g.seats.Load(), n)
	}
	runtime.KeepAlive(broker)
	return each
}
