package disk_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
	"dormouse/core/store/storetest"
)

func open(t testing.TB, dir string, o disk.Options) *disk.Store {
	t.Helper()
	s, err := disk.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A quota is a file system that says how much of it is free.
type quota struct {
	vfs.FS
	free atomic.Uint64
}

func (q *quota) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: q.free.Load(), TotalBytes: 1 << 30, UsedBytes: 1<<30 - q.free.Load()}, nil
}

// kind is a store on a disk that forgets, at a crash, so many of a hundred
// blocks that were not synced.
func kind(t testing.TB, keeps int, seed uint64) storetest.Kind {
	const room = 1 << 20
	rng := rng(seed)
	mem := vfs.NewCrashableMem()
	q := &quota{FS: mem}
	q.free.Store(room)
	return storetest.Kind{
		Open: func() store.Store {
			return open(t, "data", disk.Options{FS: q, DiskFreeMin: room})
		},
		Crash: func(s store.Store) {
			mem = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keeps, RNG: rng})
			s.Close()
			q = &quota{FS: mem}
			q.free.Store(room)
		},
		Fill: func(s store.Store, full bool) {
			q.free.Store(room)
			if full {
				q.free.Store(room - 1)
			}
			s.(*disk.Store).Look()
		},
	}
}

func TestDisk(t *testing.T) {
	storetest.Run(t, func() storetest.Kind { return kind(t, 0, 0) })
}

// TestPowerLoss: at 1,000 random instants the disk forgets what was not synced,
// all or some of it, so that the last write may be torn.
func TestPowerLoss(t *testing.T) {
	seed, times := uint64(0), 1000
	if testing.Short() {
		times = 200
	}
	storetest.Crashes(t, times, func() storetest.Kind {
		seed++
		return kind(t, []int{0, 0, 50, 90}[seed%4], seed)
	})
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

// TestNoCompactionDelaysAStart: none may begin before the store is loaded, and
// then it may.
func TestNoCompactionDelaysAStart(t *testing.T) {
	s := open(t, "data", disk.Options{FS: vfs.NewMem()})
	defer s.Close()
	if s.MayCompact() {
		t.Error("a compaction may begin before the store is loaded")
	}
	if err := s.Load(func(store.Fact) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if !s.MayCompact() {
		t.Error("no compaction may begin though the store is loaded")
	}
}
