package disk

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"dormouse/core/store"
)

// A turn is what the committer does at once.
type turn struct {
	facts []store.Fact
	size  int    // octets that facts took in the queue
	upTo  uint64 // which Sync may be answered afterwards
	sync  bool
}

// commit is the committer: it takes all that waits, again and again, until the
// store is closed or has failed.
func (s *Store) commit() {
	defer close(s.committed)
	defer func() { // pebble panics where it cannot write its log
		if p := recover(); p != nil {
			s.life.fail(fmt.Errorf("cannot write: %v", p))
		}
	}()
	for {
		t, more := s.nextTurn()
		if !more {
			return
		}
		if err := s.take(t); err != nil {
			s.life.fail(err)
			return
		}
		s.finish(t)
		s.free.wrote(t.size)
	}
}

// nextTurn waits for work. more is false when there will be none.
func (s *Store) nextTurn() (t turn, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		wanted := s.asked > s.taken
		changed := s.dirty || len(s.queue) > 0
		switch {
		case s.life.Err() != nil, s.closing && !wanted && !changed:
			s.idle = s.closing
			s.answerer.Signal()
			return turn{}, false
		case wanted, s.closing, s.due && len(s.queue) > 0, s.flush && changed:
			t = turn{facts: s.queue, size: s.queued, upTo: s.asked}
			t.sync = changed && (wanted && s.o.Sync == SyncAlways || s.flush || s.closing)
			s.queue, s.queued, s.due, s.flush = nil, 0, false, false
			s.taken, s.working = s.asked, true
			return t, true
		}
		s.due, s.flush = false, false
		s.committer.Wait()
	}
}

// take writes the facts of t as one batch.
func (s *Store) take(t turn) error {
	o := pebble.NoSync
	if t.sync {
		o = pebble.Sync
	}
	if len(t.facts) > 0 {
		if err := s.learn(); err != nil {
			return err
		}
		b := s.db.NewIndexedBatch()
		defer b.Close()
		w := writer{state: &s.state, batch: b}
		for _, f := range t.facts {
			w.write(f)
		}
		if w.err != nil {
			return w.err
		}
		if !b.Empty() {
			return s.db.Apply(b, o)
		}
	}
	if !t.sync {
		return nil
	}
	return s.db.LogData(nil, o)
}

// finish lets the Syncs of t be answered.
func (s *Store) finish(t turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable, s.working = t.upTo, false
	was := s.dirty
	s.dirty = !t.sync && (was || len(t.facts) > 0)
	if s.dirty && !was && s.o.Sync > 0 {
		time.AfterFunc(s.o.Sync, s.intervalOver)
	}
	s.answerer.Signal()
}

func (s *Store) intervalOver() {
	s.mu.Lock()
	s.flush = true
	s.mu.Unlock()
	s.committer.Signal()
}

// answer is the answerer: it calls in order what waits for an answer, until
// all has one and the committer has ended.
func (s *Store) answer() {
	defer close(s.allSaid)
	for {
		then, err, more := s.nextAnswers()
		if !more {
			return
		}
		for _, f := range then {
			f(err)
		}
		s.mu.Lock()
		s.answered += uint64(len(then))
		s.mu.Unlock()
	}
}

// nextAnswers waits for Syncs that may be answered, all of them with err. more
// is false when there will be none.
func (s *Store) nextAnswers() (then []func(error), err error, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		n := s.durable - s.answered
		switch failed := s.life.Err(); {
		case n > 0:
			then, s.waiting = s.waiting[:n:n], s.waiting[n:]
			return then, nil, true
		case failed != nil && len(s.waiting) > 0:
			then, s.waiting = s.waiting, nil
			s.durable += uint64(len(then))
			return then, failed, true
		case failed != nil && s.closing, s.idle:
			s.idle = true
			return nil, nil, false
		}
		s.answerer.Wait()
	}
}
