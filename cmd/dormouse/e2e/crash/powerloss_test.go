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

// A powered engine is the store on disk, on a file system in memory that loses
// with the power what was not synced: all of it, or as the dice have it, block
// by block, so that the last write may be torn.
type powered struct {
	mem   *vfs.MemFS
	dice  *rand.Rand
	store *disk.Store
	gone  sync.WaitGroup // stores that are dead
}

func newPowered(seed uint64) *powered {
	return &powered{mem: vfs.NewCrashableMem(), dice: rand.New(rand.NewPCG(seed, 3000))}
}

func (p *powered) open() (store.Store, error) {
	s, err := disk.Open("data", disk.Options{FS: p.mem})
	p.store = s
	return s, err
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

func (p *powered) crash() {
	c := vfs.CrashCloneCfg{RNG: p.dice}
	if p.dice.IntN(2) == 0 {
		c.UnsyncedDataPercent = p.dice.IntN(100)
	}
	p.mem = p.mem.CrashClone(c)
	dead := p.store
	p.gone.Go(func() { dead.Close() }) // whatever it still does, it does to the old disk
}

// TestNothingIsLostWithThePower: whenever the power goes, nobody misses what
// was acknowledged, or gets it twice.
func TestNothingIsLostWithThePower(t *testing.T) {
	t.Parallel()
	first, n := seedsToRun(*seeds)
	start := time.Now()
	runs(t, first, n, 6, func(seed uint64) engine { return newPowered(seed) }, func(seed uint64, wrong []string) { blame(t, seed, wrong) })
	t.Logf("%d worlds in %v", n, time.Since(start))
}
