package crash

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A moment is what pebble does when the power goes.
type moment string

const (
	anytime      moment = "at any time"
	inFlush      moment = "in a flush"
	inCompaction moment = "in a compaction"
	inRotation   moment = "in a change of the log"
	inManifest   moment = "in a change of the manifest"
)

// moments are those that can be aimed at.
var moments = []moment{inFlush, inCompaction, inRotation, inManifest}

// A fuse is a file system that loses the power, when it is told to or before an
// operation that was aimed at. What is done later is done to a disk that nobody
// looks at again.
type fuse struct {
	vfs.FS
	mem   *vfs.MemFS
	dice  *rand.Rand
	blown atomic.Bool // the power has gone
	once  sync.Once
	at    moment     // when it has gone
	after *vfs.MemFS // what is left then
	reuse sync.Mutex // while a file is reused, of which vfs.MemFS would make no clone but wait for itself

	mu   sync.Mutex
	aims moment // empty: at nothing
	left int    // operations until then
}

func newFuse(mem *vfs.MemFS, dice *rand.Rand) *fuse { return &fuse{FS: mem, mem: mem, dice: dice} }

// light has it blow before the operation of at that comes after n others.
func (f *fuse) light(at moment, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.aims, f.left = at, n
}

// spare has it not blow by itself any more, and reports whether it has.
func (f *fuse) spare() (blown bool) {
	f.light("", 0)
	return f.blown.Load()
}

// passes is told of an operation that is about to be done.
func (f *fuse) passes(at moment) {
	f.mu.Lock()
	hit := at != "" && at == f.aims && f.left == 0
	if at == f.aims {
		f.left--
	}
	f.mu.Unlock()
	if hit {
		f.cut(at)
	}
}

// cut takes the power away. Whoever sees that it is there yet has not waited for
// a sync that is later.
func (f *fuse) cut(at moment) {
	f.once.Do(func() {
		f.blown.Store(true)
		c := vfs.CrashCloneCfg{RNG: f.dice}
		if f.dice.IntN(2) == 0 {
			c.UnsyncedDataPercent = f.dice.IntN(100)
		}
		f.reuse.Lock()
		defer f.reuse.Unlock()
		f.at, f.after = at, f.mem.CrashClone(c)
	})
}

// blow sees that the power goes. It returns when it went, and what is left.
func (f *fuse) blow() (at moment, after *vfs.MemFS) {
	f.cut(anytime)
	return f.at, f.after
}

// what is the moment at which name is written, by whoever calls that c.
func what(name string, c vfs.DiskWriteCategory) moment {
	switch {
	case c == "pebble-memtable-flush":
		return inFlush
	case c == "pebble-compaction":
		return inCompaction
	case strings.HasSuffix(name, ".log"):
		return inRotation
	case strings.Contains(name, "MANIFEST"), strings.Contains(name, "marker.manifest"):
		return inManifest
	}
	return ""
}

func (f *fuse) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	at := what(name, c)
	f.passes(at)
	file, err := f.FS.Create(name, c)
	return &fused{file, f, at}, err
}

func (f *fuse) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.passes(inRotation)
	f.reuse.Lock()
	defer f.reuse.Unlock()
	file, err := f.FS.ReuseForWrite(from, to, c)
	return &fused{file, f, inRotation}, err
}

func (f *fuse) Rename(from, to string) error {
	f.passes(what(to, ""))
	return f.FS.Rename(from, to)
}

func (f *fuse) Remove(name string) error {
	f.passes(what(name, ""))
	return f.FS.Remove(name)
}

func (f *fuse) Unwrap() vfs.FS { return f.FS }

// A fused file is one of a fuse. Of a log only its beginning and its end count:
// whatever else is written to it is no change of logs.
type fused struct {
	vfs.File
	fuse *fuse
	at   moment
}

func (f *fused) passes() {
	if f.at != inRotation {
		f.fuse.passes(f.at)
	}
}

func (f *fused) Write(b []byte) (int, error) {
	f.passes()
	return f.File.Write(b)
}

func (f *fused) Sync() error {
	f.passes()
	return f.File.Sync()
}

func (f *fused) SyncData() error {
	f.passes()
	return f.File.SyncData()
}

func (f *fused) Close() error {
	f.fuse.passes(f.at)
	return f.File.Close()
}
