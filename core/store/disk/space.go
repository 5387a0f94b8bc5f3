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

	// probeSize is how many octets must fit, of a disk that was full, before
	// what did not is tried again.
	probeSize = 1 << 20
	probeFile = "probe"
)

// space knows whether the disk has room.
type space struct {
	fs    vfs.FS // without space's own
	dir   string
	min   uint64 // octets to leave free
	full  atomic.Bool
	stuck atomic.Bool   // a write has found no room and waits for it
	avail atomic.Uint64 // octets that were free when last looked at
	since atomic.Int64  // octets written since

	patient atomic.Bool // a write that finds no room waits for it
	once    sync.Once
	ended   chan struct{} // nobody waits any more
}

func newSpace(fs vfs.FS, dir string, min uint64) *space {
	return &space{fs: fs, dir: dir, min: min, ended: make(chan struct{})}
}

// wrapped is the file system whose writes wait where there is no room: pebble
// gives up at one that fails.
func (f *space) wrapped() vfs.FS { return vfs.OnDiskFull(f.fs, f.wait) }

// end has nobody wait.
func (f *space) end() { f.once.Do(func() { close(f.ended) }) }

// refusal is what Write answers when it is full.
func (f *space) refusal() error {
	if f.stuck.Load() {
		return fmt.Errorf("%w: no space left on the disk of %s", store.ErrFull, f.dir)
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
	f.full.Store(low || f.stuck.Load())
}

// wrote looks again after much was written.
func (f *space) wrote(octets int) {
	if f.since.Add(int64(octets)) > lookAfter {
		f.look()
	}
}

// wait is called by a write that found no room. It returns when there is some.
func (f *space) wait() {
	if !f.patient.Load() {
		return
	}
	f.stuck.Store(true)
	f.full.Store(true)
	defer f.look()
	defer f.stuck.Store(false)
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for !f.fits() {
		select {
		case <-again.C:
		case <-f.ended:
			return
		}
	}
}

// fits tries whether there is room.
func (f *space) fits() bool {
	name := f.fs.PathJoin(f.dir, probeFile)
	p, err := f.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return false
	}
	_, err = p.Write(make([]byte, probeSize))
	if e := p.Close(); err == nil {
		err = e
	}
	if e := f.fs.Remove(name); err == nil {
		err = e
	}
	return err == nil
}

// watch looks at the disk now and then, until end. While it is full, reclaim is
// called when something was let go.
func (f *space) watch(reclaim func()) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.ended:
			return
		case <-tick.C:
		}
		f.look()
		if f.full.Load() && !f.stuck.Load() {
			reclaim()
		}
	}
}
