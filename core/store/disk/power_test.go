package disk_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// A wreck is what may be left of a disk when the power goes before one of its
// operations.
type wreck struct {
	before string
	mem    *vfs.MemFS
}

// wrecksOf returns a file system on mem that adds to wrecks, before each of its
// operations, what may be left of mem then: any of what was not synced, and
// with a removal nothing but that.
func wrecksOf(mem *vfs.MemFS, wrecks *[]wreck) vfs.FS {
	mu := new(sync.Mutex)
	dice := rng(1)
	return errorfs.Wrap(reuser{mem, mu}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		before := fmt.Sprint(op.Kind, " ", op.Path)
		for range 3 {
			*wrecks = append(*wrecks, wreck{before, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: dice})})
		}
		if op.Kind == errorfs.OpRemove {
			left := mem.CrashClone(vfs.CrashCloneCfg{})
			if left.Remove(op.Path) == nil { // else it was not synced
				*wrecks = append(*wrecks, wreck{before + ", which comes first", left})
			}
		}
		return nil
	}))
}

// A reuser is a file system of which no clone is made, under mu, while it
// reuses a file: vfs.MemFS would wait for itself.
type reuser struct {
	vfs.FS
	mu *sync.Mutex
}

func (r reuser) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.FS.ReuseForWrite(from, to, c)
}

// TestPowerGoesAtEachOperation: while a store is opened, written to, flushed,
// compacted and closed. Changes of the directory reach the disk in any order.
func TestPowerGoesAtEachOperation(t *testing.T) {
	mem := vfs.NewCrashableMem()
	write := func(s *disk.Store, id string) {
		if err := keeps(s, &store.Session{ClientID: id, Edge: strings.Repeat("edge", 512)}); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, "data", disk.Options{FS: mem})
	write(s, "before")
	s.Close()

	var wrecks []wreck
	s = open(t, "data", disk.Options{FS: wrecksOf(mem, &wrecks), MemTable: 8 << 10})
	for i := 0; s.Stats().Flushes < 4 || s.Stats().Compactions == 0; i++ {
		if i == 1000 {
			t.Fatalf("2 MiB make %d flushes and %d compactions", s.Stats().Flushes, s.Stats().Compactions)
		}
		write(s, fmt.Sprint("since", i))
	}
	s.Close()
	for _, w := range wrecks {
		s, err := disk.Open("data", disk.Options{FS: w.mem})
		if err != nil {
			t.Errorf("the power went before %s: %v", w.before, err)
			continue
		}
		had := false
		err = s.Load(func(f store.Fact) error {
			had = had || f.(*store.Session).ClientID == "before"
			return nil
		})
		if err != nil || !had {
			t.Errorf("the power went before %s: loaded with error %v; what was there still is: %v", w.before, err, had)
		}
		s.Close()
	}
}
