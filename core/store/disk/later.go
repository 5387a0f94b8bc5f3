package disk

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// A later schedules compactions as pebble does on its own, but none before
// begin: until the store is loaded they would be in the way, and if opening it
// fails, pebble frees what a compaction that it has begun by then goes on using.
type later struct {
	// The one that looks for work only where work ends: there is no other
	// reason for it here, since the number allowed at once does not change.
	*pebble.ConcurrencyLimitScheduler
	begun atomic.Bool
}

func newLater() *later {
	return &later{ConcurrencyLimitScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
}

// TrySchedule implements [pebble.CompactionScheduler].
func (l *later) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !l.begun.Load() {
		return false, nil
	}
	return l.ConcurrencyLimitScheduler.TrySchedule()
}

// begin lets those run that were refused and those to come.
func (l *later) begin() {
	l.begun.Store(true)
	if ok, turn := l.TrySchedule(); ok {
		turn.Done() // at which it looks who waits
	}
}
