package crash

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// memTable is so small that a world has it flushed, and the files that come of
// it compacted, in each of its lives.
const memTable = 4 << 10

// A powered engine is the store on disk, on a file system in memory that loses
// with the power what was not synced: all of it, or as the dice have it, block
// by block, so that the last write may be torn.
type powered struct {
	mem   *vfs.MemFS
	dice  *rand.Rand
	fuse  *fuse
	store *disk.Store // nil: there is none open
	lives int
	saw   *sights
}

// sights are what was under way when the power went.
type sights struct {
	mu                   sync.Mutex
	cuts                 map[moment]int
	opening              int // of them, while a store was opened
	flushes, compactions uint64
}

func newPowered(seed uint64, saw *sights) *powered {
	return &powered{mem: vfs.NewCrashableMem(), dice: rand.New(rand.NewPCG(seed, 3000)), saw: saw}
}

// open opens the store. At times the power goes meanwhile, and it opens what is left.
func (p *powered) open() (store.Store, error) {
	for {
		p.fuse = newFuse(p.mem, rand.New(rand.NewPCG(p.dice.Uint64(), 0)))
		if p.lives++; p.lives > 1 && p.dice.IntN(3) == 0 {
			p.aim()
		}
		s, err := disk.Open("data", disk.Options{FS: p.fuse, MemTable: memTable})
		if err != nil {
			return nil, err
		}
		p.store = s
		if !p.fuse.spare() {
			return aboutToDie{s, p.fuse}, nil
		}
		p.saw.mu.Lock()
		p.saw.opening++
		p.saw.mu.Unlock()
		p.crash()
	}
}

// turn gives the disk its time: what was asked is answered, most of the time.
func (p *powered) turn() {
	if p.dice.IntN(4) == 0 {
		return
	}
	done := make(chan struct{})
	p.store.Sync(func(error) { close(done) })
	<-done
}

func (p *powered) aim()       { p.fuse.light(moments[p.dice.IntN(len(moments))], p.dice.IntN(8)) }
func (p *powered) gone() bool { return p.store != nil && p.fuse.blown.Load() }

func (p *powered) crash() {
	at, after := p.fuse.blow()
	p.mem = after
	s := p.store.Stats()
	p.saw.mu.Lock()
	p.saw.cuts[at]++
	p.saw.flushes += s.Flushes
	p.saw.compactions += s.Compactions
	p.saw.mu.Unlock()
	go p.store.Close() // whatever it still does, it does to the old disk
	p.store = nil
}

// An aboutToDie store says nothing any more once the power has gone.
type aboutToDie struct {
	*disk.Store
	fuse *fuse
}

func (s aboutToDie) Sync(then func(error))   { s.Store.Sync(s.alive(then)) }
func (s aboutToDie) Follow(then func(error)) { s.Store.Follow(s.alive(then)) }

// alive calls then if the power has not gone.
func (s aboutToDie) alive(then func(error)) func(error) {
	return func(err error) {
		if !s.fuse.blown.Load() {
			then(err)
		}
	}
}

// TestNothingIsLostWithThePower: whenever the power goes, nobody misses what
// was acknowledged, or gets it twice.
func TestNothingIsLostWithThePower(t *testing.T) {
	t.Parallel()
	first, n := seedsToRun(*seeds)
	saw := &sights{cuts: make(map[moment]int)}
	start := time.Now()
	runs(t, first, n, 6, func(seed uint64) engine { return newPowered(seed, saw) }, func(seed uint64, wrong []string) { blame(t, seed, wrong) })
	t.Logf("%d worlds in %v; the power went at %v, %d times while a store was opened; %d flushes, %d compactions",
		n, time.Since(start), saw.cuts, saw.opening, saw.flushes, saw.compactions)
	for _, at := range moments {
		if n > 20 && saw.cuts[at] == 0 {
			t.Errorf("the power went %v, never %s", saw.cuts, at)
		}
	}
}
