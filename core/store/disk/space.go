package disk

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
)

const (
	// lookEvery is how often the free space of the disk is looked up, and
	// lookAfter after how many octets it is whatever the time.
	lookEvery = 100 * time.Millisecond
	lookAfter = 1 << 20
)

// space knows whether the disk has room.
type space struct {
	fs    vfs.FS // without space's own
	dir   string
	min   uint64 // octets to leave free
	most  uint64 // octets that the store may take; zero: any number
	used  func() uint64
	full  atomic.Bool
	over  atomic.Bool   // the store takes more than it may
	stuck atomic.Int32  // how many writes have found no room and wait for it
	avail atomic.Uint64 // octets that were free when last looked at
	since atomic.Int64  // octets written since

	patient atomic.Bool // a write that finds no room waits for it
	once    sync.Once
	ended   chan struct{} // nobody waits any more
}

func newSpace(fs vfs.FS, dir string, min uint64) *space {
	return &space{fs: fs, dir: dir, min: min, ended: make(chan struct{})}
}

// end has nobody wait.
func (f *space) end() { f.once.Do(func() { close(f.ended) }) }

// refusal is what Write answers when it is full.
func (f *space) refusal() error {
	if f.stuck.Load() > 0 {
		return fmt.Errorf("%w: no space left on the disk of %s", store.ErrFull, f.dir)
	}
	if f.over.Load() {
		return fmt.Errorf("%w: %s has grown beyond the %d octets that it may take", store.ErrFull, f.dir, f.most)
	}
	return fmt.Errorf("%w: the disk of %s has %d octets free, of which %d are to stay so", store.ErrFull, f.dir, f.avail.Load(), f.min)
}

// look sees whether there is room.
func (f *space) look() {
	f.since.Store(0)
	low := false
	if u, err := f.fs.GetDiskUsage(f.dir); err == nil {
		f.avail.Store(u.AvailBytes)
		low = u.AvailBytes < f.min
	}
	f.over.Store(f.most > 0 && f.patient.Load() && f.used() > f.most)
	f.full.Store(low || f.over.Load() || f.stuck.Load() > 0)
}

// wrote looks again after much was written.
func (f *space) wrote(octets int) {
	if f.since.Add(int64(octets)) > lookAfter {
		f.look()
	}
}

// wait is called by a write that found no room, before it tries again. It
// reports false when there is no more time for that.
func (f *space) wait() bool {
	if !f.patient.Load() {
		return false
	}
	f.stuck.Add(1)
	f.full.Store(true)
	defer f.stuck.Add(-1)
	select {
	case <-time.After(lookEvery):
		return true
	case <-f.ended:
		return false
	}
}
