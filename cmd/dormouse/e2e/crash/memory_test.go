package crash

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dormouse/core/store"
)

var (
	seed  = flag.Uint64("crash.seed", 0, "the only seed to run")
	seeds = flag.Int("crash.seeds", 300, "how many seeds to run in virtual time")
)

// seedsToRun are the seeds of this run.
func seedsToRun(n int) (first uint64, count int) {
	if *seed != 0 {
		return *seed, 1
	}
	return 1, n
}

// A forgetful engine is a store.Memory behind a disk that takes its time: what
// was written is in its cache, and in a crash only the beginning of that
// survives. It is as good as a disk that does not reorder can be.
type forgetful struct {
	disk    *store.Memory
	dice    *rand.Rand
	cheats  cheat
	dead    *bool // the life that writes is over
	cache   [][]store.Fact
	waiting []wait
	last    []store.Fact // cheats with it
}

type wait struct {
	behind int // how many of the cache must be durable
	then   func(error)
}

func newForgetful(seed uint64, c cheat) *forgetful {
	return &forgetful{disk: store.NewMemory(), dice: rand.New(rand.NewPCG(seed, 2000)), cheats: c}
}

func (f *forgetful) open() (store.Store, error) {
	f.dead = new(bool)
	return &oneLife{f, f.dead}, nil
}

// turn makes what waits durable, most of the time.
func (f *forgetful) turn() {
	if len(f.waiting) > 0 && f.dice.IntN(3) > 0 {
		f.flush(f.waiting[f.dice.IntN(len(f.waiting))].behind)
	}
}

// flush makes n writes durable and says so.
func (f *forgetful) flush(n int) {
	for _, facts := range f.cache[:n] {
		f.keep(facts)
	}
	f.cache = f.cache[n:]
	var due []wait
	for i := range f.waiting {
		if f.waiting[i].behind -= n; f.waiting[i].behind <= 0 {
			due = append(due, f.waiting[i])
		}
	}
	f.waiting = f.waiting[len(due):]
	for _, d := range due {
		d.then(nil)
	}
}

func (f *forgetful) aim()       {}
func (f *forgetful) gone() bool { return false }

func (f *forgetful) keep(facts []store.Fact) {
	if f.cheats == losesTheLast {
		facts, f.last = f.last, facts
	}
	f.disk.Write(facts...)
}

func (f *forgetful) crash() {
	*f.dead = true
	f.waiting = nil
	for _, facts := range f.cache[:f.dice.IntN(len(f.cache)+1)] {
		f.keep(facts)
	}
	f.cache, f.last = nil, nil
}

// A oneLife is the store of one life.
type oneLife struct {
	*forgetful
	over *bool
}

func (l *oneLife) Write(facts ...store.Fact) error {
	if *l.over {
		return nil
	}
	facts = l.twist(slices.Clone(facts))
	for i, f := range facts {
		if p, ok := f.(*store.Published); ok {
			facts[i] = &store.Published{Seq: p.Seq, Message: p.Message, Receivers: slices.Values(slices.Collect(p.Receivers))}
		}
	}
	l.cache = append(l.cache, facts)
	return nil
}

func (l *oneLife) Sync(then func(error)) {
	switch {
	case *l.over:
	case l.cheats == answersEarly, len(l.waiting) == 0 && len(l.cache) == 0:
		then(nil)
	default:
		l.waiting = append(l.waiting, wait{len(l.cache), then})
	}
}

func (l *oneLife) Follow(then func(error))                 { l.Sync(then) }
func (l *oneLife) Load(visit func(store.Fact) error) error { return l.disk.Load(visit) }
func (l *oneLife) Close() error                            { return nil }

// A cheat is how a store breaks its promise.
type cheat int

const (
	honest cheat = iota
	answersEarly
	forgetsMessages
	forgetsAccepted
	forgetsInFlight
	losesTheLast
)

// twist is what a cheat keeps of facts.
func (l *oneLife) twist(facts []store.Fact) []store.Fact {
	return slices.DeleteFunc(facts, func(f store.Fact) bool {
		switch f.(type) {
		case *store.Published:
			return l.cheats == forgetsMessages && l.dice.IntN(1000) == 0
		case *store.Accepted:
			return l.cheats == forgetsAccepted
		case *store.Taken, *store.Received:
			return l.cheats == forgetsInFlight
		}
		return false
	})
}

// TestNothingIsLostInMemory: with a store that keeps its promise, and no more
// than that, clients notice nothing of crashes.
func TestNothingIsLostInMemory(t *testing.T) {
	t.Parallel()
	first, n := seedsToRun(*seeds)
	runs(t, first, n, 6, func(seed uint64) engine { return newForgetful(seed, honest) }, func(seed uint64, wrong []string) {
		blame(t, seed, wrong)
	})
}

// TestClockIsSet: back or forward by an hour, while the broker runs and while it
// is down. Sleepers neither are lost by it nor live for ever.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	first, n := seedsToRun(*seeds)
	for i := range uint64(n) {
		w, err := newWorld(first+i, newForgetful(first+i, honest))
		if err != nil {
			t.Fatal(err)
		}
		w.jumps = true
		if wrong := w.live(4); len(wrong) > 0 {
			blame(t, first+i, wrong)
		}
	}
}

// blame shows some of what was wrong, and how to see it again.
func blame(t testing.TB, seed uint64, wrong []string) {
	t.Errorf("%d things are wrong; to see them again: -crash.seed=%d\n%s", len(wrong), seed, strings.Join(wrong[:min(8, len(wrong))], "\n"))
}
