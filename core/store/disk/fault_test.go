package disk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// has is the client ids in a store whose disk is what is left of mem after the
// power went.
func has(t *testing.T, mem *vfs.MemFS) map[string]bool {
	t.Helper()
	s := open(t, "data", disk.Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	defer s.Close()
	ids := make(map[string]bool)
	if err := s.Load(func(f store.Fact) error { ids[f.(*store.Session).ClientID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestFaultAtEachOperation: whichever operation of the disk fails, once or from
// then on, nothing that was acknowledged is lost, and whoever is not
// acknowledged is told, as is the owner.
func TestFaultAtEachOperation(t *testing.T) {
	for _, forGood := range []bool{false, true} {
		for n := int32(0); ; n++ {
			var count atomic.Int32
			var hit atomic.Bool
			mem := vfs.NewCrashableMem()
			faults := errorfs.InjectorFunc(func(op errorfs.Op) error {
				i := count.Add(1) - 1
				if i < n || i > n && !forGood {
					return nil
				}
				if i == n {
					hit.Store(true)
				}
				return errorfs.ErrInjected
			})
			acked := map[string]bool{}
			for life := range 3 {
				lives(t, fmt.Sprintf("operation %d, for good %v, life %d", n, forGood, life), errorfs.Wrap(mem, faults), life, acked)
				mem = mem.CrashClone(vfs.CrashCloneCfg{})
			}
			now := has(t, mem)
			for id := range acked {
				if !now[id] {
					t.Fatalf("operation %d, for good %v: %q was acknowledged and is gone", n, forGood, id)
				}
			}
			if !hit.Load() {
				break
			}
		}
	}
}

// TestDirectoryAboveIsNotToBeRead: one may have a directory where one may not
// look around.
func TestDirectoryAboveIsNotToBeRead(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("srv/data", 0o700); err != nil {
		t.Fatal(err)
	}
	closed := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpOpenDir && op.Path == "srv" {
			return fs.ErrPermission
		}
		return nil
	})
	for range 2 { // new, and begun
		s := open(t, "srv/data", disk.Options{FS: errorfs.Wrap(mem, closed)})
		if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// lives opens a store, writes, notes what is acknowledged, and closes.
func lives(t *testing.T, where string, fs vfs.FS, life int, acked map[string]bool) {
	t.Helper()
	s, err := disk.Open("data", disk.Options{FS: fs})
	if err != nil {
		return // it says so
	}
	if err := s.Load(func(store.Fact) error { return nil }); err != nil && !errors.Is(err, errorfs.ErrInjected) {
		t.Errorf("%s: Load: %v", where, err)
	}
	for i := range 4 {
		id := fmt.Sprint(life, i)
		if err := keeps(s, &store.Session{ClientID: id}); err == nil {
			acked[id] = true
			continue
		} else if !strings.Contains(err.Error(), "injected") {
			t.Errorf("%s: %v", where, err)
		}
		<-s.Failed()
		if s.Write(&store.Ended{ClientID: id}) == nil || keeps(s) == nil {
			t.Errorf("%s: goes on after a failure", where)
		}
	}
	if err := s.Close(); err == nil && s.Err() != nil {
		t.Errorf("%s: closed as if nothing had been", where)
	}
}

// TestFailedSyncIsForGood: an fsync that fails is not tried again, all who wait
// are told in order, and the owner with the reason.
func TestFailedSyncIsForGood(t *testing.T) {
	for _, why := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		t.Run(why.Error(), func(t *testing.T) { failedSync(t, why) })
	}
}

// failedSync has a sync fail. That may be for want of room, where a file system
// takes what it has no room for.
func failedSync(t *testing.T, why syscall.Errno) {
	says := func(err error) bool { return err != nil && strings.Contains(err.Error(), why.Error()) }
	var broken, tried atomic.Int32
	mem := vfs.NewCrashableMem()
	s := open(t, "data", disk.Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() == 0 || op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
			return nil
		}
		if tried.Add(1) > 1 {
			t.Errorf("%s is synced after a sync had failed", op.Path)
		}
		return &os.PathError{Op: "sync", Path: op.Path, Err: why}
	}))})
	if err := keeps(s, &store.Session{ClientID: "before"}); err != nil {
		t.Fatal(err)
	}
	broken.Store(1)
	const askers = 5
	answers := make(chan error, askers)
	for i := range askers {
		s.Write(&store.Session{ClientID: fmt.Sprint(i)})
		s.Sync(func(err error) { answers <- err })
	}
	for range askers {
		if err := <-answers; !says(err) {
			t.Errorf("answered %v", err)
		}
	}
	<-s.Failed()
	if err := s.Err(); !says(err) || !strings.Contains(err.Error(), ".log") {
		t.Errorf("the reason is %v", err)
	}
	if err := s.Write(&store.Ended{}); !says(err) {
		t.Errorf("Write: %v", err)
	}
	if err := s.Close(); !says(err) {
		t.Errorf("Close: %v", err)
	}
	if now := has(t, mem); len(now) != 1 || !now["before"] {
		t.Errorf("afterwards there are %v", now)
	}
}

// TestNoSpaceLeft: what finds no room waits and is not acknowledged, more is
// refused, what lets go is not; all goes on when there is room.
func TestNoSpaceLeft(t *testing.T) {
	var none atomic.Bool
	var tries atomic.Int32 // of a write to the log that finds no room
	var s *disk.Store
	mem := vfs.NewCrashableMem()
	s = open(t, "data", disk.Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if none.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			if strings.HasSuffix(op.Path, ".log") && tries.Add(1) > 1 {
				if s.Look(); s.Full() == nil {
					t.Error("not full while a write that found no room is tried again")
				}
			}
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		return nil
	}))})
	if err := keeps(s, &store.Session{ClientID: "ann"}, &store.Session{ClientID: "bob"}); err != nil {
		t.Fatal(err)
	}
	none.Store(true)
	waits := make(chan error, 1)
	if err := s.Write(&store.Session{ClientID: "eve"}); err != nil {
		t.Fatal(err)
	}
	s.Sync(func(err error) { waits <- err })
	more := &store.Session{ClientID: "tom"}
	for s.Write() != nil || !errors.Is(s.Write(more, &store.Ended{ClientID: "tom"}), store.ErrFull) {
		runtime.Gosched() // until it has found out
	}
	if err := s.Write(&store.Ended{ClientID: "bob"}); err != nil {
		t.Errorf("to let go is refused: %v", err)
	}
	for tries.Load() < 3 {
		runtime.Gosched()
	}
	followed := make(chan error, 1)
	s.Follow(func(err error) { followed <- err })
	if len(followed) == 0 || <-followed != nil {
		t.Error("what needs no room waits for it")
	}
	if len(waits) > 0 {
		t.Fatalf("without room answered %v", <-waits)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	none.Store(false)
	if err := <-waits; err != nil {
		t.Errorf("with room again answered %v", err)
	}
	for s.Write(more) != nil {
		runtime.Gosched() // until it has found out
	}
	if err := keeps(s); err != nil {
		t.Fatal(err)
	}
	if now := has(t, mem); len(now) != 3 || !now["ann"] || !now["eve"] || !now["tom"] {
		t.Errorf("afterwards there are %v", now)
	}
	tries.Store(0)
	none.Store(true)
	s.Write(&store.Session{ClientID: "last"})
	s.Sync(func(err error) { waits <- err })
	for s.Write(more) == nil {
		runtime.Gosched()
	}
	if err := s.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close without room: %v", err)
	}
	if err := <-waits; !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("at Close answered %v", err)
	}
}
