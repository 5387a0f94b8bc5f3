package disk_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// A gate is a disk whose log is synced when it is let.
type gate struct {
	shut  atomic.Bool
	let   chan bool
	syncs atomic.Int32 // of the log
}

func (g *gate) over(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && len(op.Path) > 4 && op.Path[len(op.Path)-4:] == ".log" {
			g.syncs.Add(1)
			if g.shut.Load() {
				<-g.let
			}
		}
		return nil
	}))
}

// TestWritersShareASync: while a sync is under way nobody is held up, and all
// who come meanwhile share the next, answered in the order in which they came.
func TestWritersShareASync(t *testing.T) {
	const writers = 1000
	g := &gate{let: make(chan bool)}
	s := open(t, "data", disk.Options{FS: g.over(vfs.NewCrashableMem())})
	defer s.Close()
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	g.shut.Store(true)
	g.syncs.Store(0)
	answers := make(chan int, writers)
	for i := range writers {
		if err := s.Write(&store.Session{ClientID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		s.Sync(func(err error) {
			if err != nil {
				t.Error(err)
			}
			answers <- i
		})
	}
	if len(answers) > 0 {
		t.Errorf("%d are answered before a sync", len(answers))
	}
	g.shut.Store(false)
	close(g.let)
	var order []int
	for range writers {
		order = append(order, <-answers)
	}
	if !slices.IsSorted(order) {
		t.Errorf("answered in the order %v", order)
	}
	if n := g.syncs.Load(); n > 4 {
		t.Errorf("%d writers took %d syncs", writers, n)
	}
}

// TestFollowersCauseNoSync: who only follows is answered without a sync, and yet
// not ahead of who waits for one.
func TestFollowersCauseNoSync(t *testing.T) { synctest.Test(t, followers) }

func followers(t *testing.T) {
	g := &gate{let: make(chan bool)}
	s := open(t, "data", disk.Options{FS: g.over(vfs.NewMem())})
	defer s.Close()
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	g.syncs.Store(0)
	answers := make(chan string, 10)
	answer := func(who string) func(error) {
		return func(err error) {
			if err != nil {
				t.Error(err)
			}
			answers <- who
		}
	}
	write := func(who string) {
		if err := s.Write(&store.Session{ClientID: who}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		write("bob")
		s.Follow(answer("follows"))
		if got := <-answers; got != "follows" {
			t.Errorf("%s is answered", got)
		}
	}
	if n := g.syncs.Load(); n > 0 {
		t.Errorf("%d syncs that nobody wants", n)
	}
	g.shut.Store(true)
	write("eve")
	s.Sync(answer("first"))
	synctest.Wait() // it is under way
	s.Follow(answer("second"))
	write("tom")
	s.Sync(answer("third"))
	s.Follow(answer("last"))
	if len(answers) > 0 {
		t.Errorf("%s is answered before the sync", <-answers)
	}
	g.shut.Store(false)
	close(g.let)
	for _, want := range []string{"first", "second", "third", "last"} {
		if got := <-answers; got != want {
			t.Errorf("%s is answered in place of %s", got, want)
		}
	}
}

// TestNothingNewNeedsNoSync: who has written nothing is answered without one.
func TestNothingNewNeedsNoSync(t *testing.T) {
	g := new(gate)
	s := open(t, "data", disk.Options{FS: g.over(vfs.NewMem())})
	defer s.Close()
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	g.syncs.Store(0)
	for range 10 {
		if err := keeps(s); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.syncs.Load(); n != 0 {
		t.Errorf("%d syncs for nothing", n)
	}
}

// TestWhatNobodyAsksFor is durable a second later, or with SyncNever at least
// out of the process.
func TestWhatNobodyAsksFor(t *testing.T) {
	for _, mode := range []time.Duration{disk.SyncAlways, disk.SyncNever} {
		synctest.Test(t, func(t *testing.T) {
			g := new(gate)
			mem := vfs.NewCrashableMem()
			s := open(t, "data", disk.Options{FS: g.over(mem), Sync: mode})
			defer s.Close()
			if err := s.Write(&store.Session{ClientID: "ann"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			killed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng(1)})
			if !has(t, killed)["ann"] {
				t.Errorf("Sync %v: lost with the process", mode)
			}
			if mode == disk.SyncAlways && !has(t, mem)["ann"] {
				t.Error("lost with the power")
			}
			if n := g.syncs.Load(); mode == disk.SyncNever && n > 0 {
				t.Errorf("%d syncs that nobody wants", n)
			}
		})
	}
}

// TestSyncModes: without sync: always an answer comes before the sync, and with
// an interval the sync follows; at Close all is durable.
func TestSyncModes(t *testing.T) {
	for _, every := range []time.Duration{time.Millisecond, disk.SyncNever} {
		g := &gate{let: make(chan bool)}
		mem := vfs.NewCrashableMem()
		s := open(t, "data", disk.Options{FS: g.over(mem), Sync: every})
		g.shut.Store(true)
		if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
			t.Fatal(err)
		}
		if has(t, mem)["ann"] {
			t.Errorf("interval %v: durable before a sync", every)
		}
		g.shut.Store(false)
		close(g.let)
		if every > 0 {
			for !has(t, mem)["ann"] { // soon it is
			}
		} else if g.syncs.Load() > 0 {
			t.Errorf("synced though nobody wants it")
		}
		if err := keeps(s, &store.Session{ClientID: "bob"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if now := has(t, mem); !now["ann"] || !now["bob"] {
			t.Errorf("interval %v: after Close there are %v", every, now)
		}
	}
}

// TestCrowdSharesEachSync: of many who each wait for an answer and then come
// again, some at once and some two milliseconds later, all share a sync, not the
// ones and the others by turns. Who is alone is not kept waiting for others.
func TestCrowdSharesEachSync(t *testing.T) { synctest.Test(t, crowd) }

func crowd(t *testing.T) {
	const publishers, rounds, took = 100, 50, 2 * time.Millisecond
	var syncs atomic.Int32
	slow := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.HasSuffix(op.Path, ".log") {
			syncs.Add(1)
			time.Sleep(took)
		}
		return nil
	}))
	s := open(t, "data", disk.Options{FS: slow})
	defer s.Close()
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	publish := func(who string, rounds int, pause time.Duration) {
		for range rounds {
			time.Sleep(pause)
			if err := keeps(s, &store.Session{ClientID: who}); err != nil {
				t.Error(err)
			}
		}
	}
	syncs.Store(0)
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() { publish(fmt.Sprint(p), rounds, time.Duration(p%3)*time.Millisecond) })
	}
	all.Wait()
	if n := syncs.Load(); n > rounds*3/2 {
		t.Errorf("%d syncs for %d messages of each", n, rounds)
	}
	began := time.Now()
	time.Sleep(time.Second) // what the crowd has left
	publish("ann", rounds, 0)
	if d := time.Since(began) - time.Second; d > rounds*took*11/10 {
		t.Errorf("%d messages of one alone took %v", rounds, d)
	}
}
