package disk

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"dormouse/core/store"
)

// A turn is what the committer does at once.
type turn struct {
	facts []store.Fact
	size  int    // octets that facts took in the queue
	upTo  uint64 // which Sync may be answered afterwards
	asked uint64 // how many Syncs and Follows that are
	sync  bool
	push  bool // to the system at least
}

const (
	// dirtyFor is how long what nobody asked for stays unsynced, or with
	// SyncNever in the process.
	dirtyFor = time.Second

	// crowd is how many who wait at once are likely to come again at once, and
	// maxGather bounds how long they are waited for.
	crowd     = 8
	maxGather = 4 * time.Millisecond

	// logBlock is how many octets pebble gathers before it writes to its log
	// what it is not to sync.
	logBlock = 32 << 10
)

// commit is the committer: it takes all that waits, again and again, until the
// store is closed or has failed.
func (s *Store) commit() {
	defer close(s.committed)
	for {
		t, more := s.nextTurn()
		if !more {
			return
		}
		began := time.Now()
		if err := s.take(t); err != nil {
			s.life.fail(err)
			return
		}
		d := time.Since(began)
		s.took(t, d)
		s.markFirst(t)
		s.finish(t)
		s.free.mayLook()
		s.gather(d)
	}
}

// gather waits for those who are expected after a turn that took d. With 100
// sensors a turn is 93 messages instead of 54, there are half as many again in
// a second, and each takes 0.77 of the CPU time.
func (s *Store) gather(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awaits() {
		late := time.AfterFunc(min(4*d, maxGather), s.expectNobody)
		defer late.Stop()
	}
	for s.awaits() && !s.closing && s.life.Err() == nil {
		s.committer.Wait()
	}
	s.expected = 0
}

// expect notes after t, if it has answered many, that most of them publish the
// next message at once, and are to share one sync with those who came meanwhile,
// rather than the ones and the others by turns. The caller holds mu.
func (s *Store) expect(t turn) {
	if t.sync && t.asked > crowd {
		s.expected = s.asked - s.taken + t.asked*15/16
	}
}

func (s *Store) expectNobody() {
	s.mu.Lock()
	s.expected = 0
	s.mu.Unlock()
	s.committer.Signal()
}

// awaits reports whether the committer waits for more than have come. The caller
// holds mu.
func (s *Store) awaits() bool { return s.asked-s.taken < s.expected }

// nextTurn waits for work. more is false when there will be none.
func (s *Store) nextTurn() (t turn, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		wanted := s.wanted > s.taken
		changed := s.dirty || len(s.queue) > 0
		switch {
		case s.life.Err() != nil, s.closing && !wanted && !changed:
			s.idle = s.closing
			s.answerer.Signal()
			return turn{}, false
		case wanted, s.closing, s.due && len(s.queue) > 0, s.over && changed:
			t = turn{facts: s.queue, size: s.queued, upTo: s.asked, asked: s.asked - s.taken}
			t.push = s.over && s.o.Sync == SyncNever
			t.sync = changed && (wanted && s.o.Sync == SyncAlways || s.over && !t.push || s.closing)
			s.queue, s.queued, s.due, s.over = nil, 0, false, false
			s.taken, s.working, s.committing = s.asked, true, t.size
			return t, true
		}
		s.due, s.over = false, false
		s.committer.Wait()
	}
}

// take does t.
func (s *Store) take(t turn) error {
	err := s.apply(t)
	if err == nil && t.push {
		err = s.db.LogData(make([]byte, logBlock), pebble.NoSync)
	}
	return err
}

// apply writes the facts of t as one batch.
func (s *Store) apply(t turn) error {
	o := pebble.NoSync
	if t.sync {
		o = pebble.Sync
	}
	if len(t.facts) > 0 {
		if err := s.learn(); err != nil {
			return err
		}
		w := writer{state: &s.state, db: s.db, batch: s.db.NewBatch()}
		defer func() { w.batch.Close() }()
		if err := w.writeAll(t.facts); err != nil {
			return err
		}
		if w.batch.Empty() && !t.sync {
			return nil
		}
		s.turn++
		w.put(append(w.key[:0], aTurn), func(b []byte) []byte { return appendTurn(b, s.turn) })
		return s.db.Apply(w.batch, o)
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
	s.durable, s.working, s.committing = t.upTo, false, 0
	s.expect(t)
	s.follow()
	s.free.since.Add(int64(t.size))
	if t.sync {
		s.synced = s.turn
	}
	was := s.dirty && !t.push
	s.dirty = !t.sync && !t.push && (was || len(t.facts) > 0)
	if s.dirty && !was {
		after := s.o.Sync
		if after <= 0 {
			after = dirtyFor
		}
		time.AfterFunc(after, s.dirtyEnough)
	}
	s.answerer.Signal()
}

// follow lets what has only to follow be answered, if all that it follows may
// be. The caller holds mu.
func (s *Store) follow() {
	if !s.working && s.wanted <= s.durable {
		s.taken, s.durable = s.asked, s.asked
	}
}

func (s *Store) dirtyEnough() {
	s.mu.Lock()
	s.over = true
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
