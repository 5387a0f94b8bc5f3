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
	min   uint64        // octets to leave free
	most  uint64        // octets that the store may take; zero: any number
	used  func() uint64 // what it takes
	waits func() int    // octets that are still to be written
	full  atomic.Bool
	low   atomic.Bool   // less is free
	over  atomic.Bool   // the store takes more than it may
	stuck atomic.Int32  // how many writes have found no room and wait for it
	avail atomic.Uint64 // octets that were free when last looked at
	since atomic.Int64  // octets written since
	taken atomic.Uint64 // octets that the store took then

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
	if f.most > 0 && !f.low.Load() {
		return fmt.Errorf("%w: %s has grown beyond the %d octets that it may take", store.ErrFull, f.dir, f.most)
	}
	return fmt.Errorf("%w: the disk of %s has %d octets free, of which %d are to stay so", store.ErrFull, f.dir, f.avail.Load(), f.min)
}

// look sees whether there is room.
func (f *space) look() {
	before := f.since.Load()
	if u, err := f.fs.GetDiskUsage(f.dir); err == nil {
		f.avail.Store(u.AvailBytes)
		f.low.Store(u.AvailBytes < f.min)
	}
	if f.most > 0 && f.patient.Load() {
		f.taken.Store(f.used())
	}
	f.since.Add(-before)
	f.over.Store(f.patient.Load() && f.exceeds(f.waits()))
	f.full.Store(f.low.Load() || f.over.Load() || f.stuck.Load() > 0)
}

// admits reports whether what is to be written has room, given how many octets
// wait to be written then.
func (f *space) admits(waiting int) bool {
	if f.exceeds(waiting) {
		f.over.Store(true)
		f.full.Store(true)
	}
	return !f.full.Load()
}

// exceeds reports whether the store takes more than it may once so many octets
// more are written. Once it does, that is so until some are free again.
func (f *space) exceeds(more int) bool {
	most := f.most
	if f.over.Load() {
		most -= most / 16
	}
	return f.most > 0 && f.taken.Load()+uint64(f.since.Load())+uint64(more) > most
}

// mayLook looks again after much was written.
func (f *space) mayLook() {
	if f.since.Load() > lookAfter {
		f.look()
	}
}

// wait is called by a write that found no room, before it tries again. It
// reports false when there is no more time for that.
func (f *space) wait() bool {
	if !f.patient.Load() {
		return false
	}
	f.full.Store(true)
	select {
	case <-time.After(lookEvery):
		return true
	case <-f.ended:
		return false
	}
}
