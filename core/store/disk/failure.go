package disk

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"
)

// Why a directory cannot be opened, but for what is damaged in it and what the
// system says.
var (
	ErrInUse    = errors.New("it is in use by another process")
	ErrExposed  = errors.New("others may read it")
	ErrNoStore  = errors.New("it is no store")
	ErrNotEmpty = errors.New("it is not empty") // and was to be
)

// A life is that of one opened store: it lasts until something fails that must
// not be tried again, such as an fsync, whose second success would mean
// nothing.
type life struct {
	once   sync.Once
	failed chan struct{} // closed when it is over
	err    error         // why; not to be read before
	told   func()        // is called then
}

func newLife() *life { return &life{failed: make(chan struct{})} }

// fail ends it. Only the first reason counts.
func (l *life) fail(err error) {
	l.once.Do(func() {
		l.err = fmt.Errorf("the store has failed and takes nothing more: %w", err)
		close(l.failed)
		if l.told != nil {
			l.told()
		}
	})
}

// Err is why it is over, or nil.
func (l *life) Err() error {
	select {
	case <-l.failed:
		return l.err
	default:
		return nil
	}
}

// guard does what pebble may not come back from, and returns at the latest
// when life is over.
func (l *life) guard(do func() error) error {
	result := make(chan error, 1)
	go func() { result <- do() }()
	select {
	case err := <-result:
		return cmp.Or(err, l.Err())
	case <-l.failed:
		return l.err
	}
}

// Failed is closed when the store has failed for good: it refuses every Write
// and answers every Sync with the reason, which is Err. Its owner should tell
// and exit 1.
func (s *Store) Failed() <-chan struct{} { return s.life.failed }

// Err is why the store has failed, or nil.
func (s *Store) Err() error { return s.life.Err() }

// A pebbleLog has pebble's troubles told, and its fatal ones end the life of
// the store rather than the process.
type pebbleLog struct {
	life *life
	log  zerolog.Logger
}

func (l pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Warn().Str("event", "store_trouble").Msgf(format, args...)
}

// Fatalf does not return, as pebble expects: its goroutine has nothing to do
// any more but to wait for the end of the process.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.life.fail(fmt.Errorf(format, args...))
	select {}
}

// listener ends the life at what pebble would try again: a flush or a
// compaction whose write or sync failed.
func (l pebbleLog) listener() *pebble.EventListener {
	e := &pebble.EventListener{
		BackgroundError: func(err error) {
			if !errors.Is(err, pebble.ErrCancelledCompaction) {
				l.life.fail(err)
			}
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			l.life.fail(fmt.Errorf("%s is damaged: %w", i.Path, i.Details))
		},
	}
	e.EnsureDefaults(l)
	return e
}
