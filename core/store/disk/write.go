package disk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"dormouse/core/store"
)

const (
	// linger is how long facts for which nobody has called Sync stay out of
	// the log. Usually a Sync follows, and then one commit does for both.
	linger = time.Millisecond

	// maxQueued bounds in octets what waits for a disk that does not keep up.
	maxQueued = 64 << 20

	// factSize is what a fact takes in memory, about, before it says anything.
	factSize = 96
)

var (
	errClosed = errors.New("the store is closed")
	errBehind = fmt.Errorf("%w: the disk does not keep up, %d MiB wait for it", store.ErrFull, maxQueued>>20)
)

// Write takes facts. See store.Store. What needs no more room is not refused
// for want of it.
func (s *Store) Write(facts ...store.Fact) error {
	size, grows := 0, false
	for _, f := range facts {
		n, g := weigh(f)
		size += n
		grows = grows || g
	}
	facts = slices.Clone(facts)
	for i, f := range facts {
		if p, ok := f.(*store.Published); ok {
			facts[i] = &store.Published{Seq: p.Seq, Message: p.Message, Receivers: slices.Values(slices.Collect(p.Receivers)), Author: p.Author, Granted: p.Granted}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.life.Err() != nil:
		return s.life.Err()
	case s.closing:
		return errClosed
	case grows && !s.free.admits(s.queued+s.committing+size):
		s.refused.Add(1)
		return s.free.refusal()
	case grows && s.queued > maxQueued:
		s.tooFast.Add(1)
		return errBehind
	}
	if len(s.queue) == 0 && len(facts) > 0 {
		time.AfterFunc(linger, s.nobodyAsked)
	}
	s.queue = append(s.queue, facts...)
	s.queued += size
	return nil
}

// weigh is about how many octets of memory a fact takes while it waits, and
// whether it needs room on the disk. An Owed does not: it comes with what lets
// the same go elsewhere, or with a Session.
func weigh(f store.Fact) (size int, grows bool) {
	switch f := f.(type) {
	case *store.Published:
		clears := f.Message.Retain && len(f.Message.Payload) == 0
		return factSize + len(f.Message.Payload) + len(f.Message.Topic) + len(f.Author), !clears && !f.Granted
	case *store.Noted:
		return factSize + len(f.Name) + len(f.Value), f.Value != nil && !f.Granted
	case *store.Session:
		return factSize + len(f.Author) + len(f.Edge), !f.Granted
	case *store.Subscribed, *store.Accepted:
		return factSize, true
	}
	return factSize, false
}

// Sync has then called. See store.Store.
func (s *Store) Sync(then func(error)) {
	s.mu.Lock()
	switch {
	case s.idle:
		s.mu.Unlock()
		then(cmp.Or(s.life.Err(), errClosed))
		return
	case s.quiet():
		s.mu.Unlock()
		then(nil)
		return
	}
	s.asked++
	s.wanted = s.asked
	s.waiting = append(s.waiting, then)
	awaits := s.awaits()
	s.mu.Unlock()
	if !awaits {
		s.committer.Signal()
	}
	if s.life.Err() != nil {
		s.answerer.Signal()
	}
}

// Follow has then called. See store.Store.
func (s *Store) Follow(then func(error)) {
	s.mu.Lock()
	failed := s.life.Err()
	switch {
	case s.idle:
		s.mu.Unlock()
		then(cmp.Or(failed, errClosed))
		return
	case failed == nil && (s.asked == s.answered || s.free.stuck.Load() > 0):
		s.mu.Unlock()
		then(nil)
		return
	}
	s.asked++
	s.waiting = append(s.waiting, then)
	if failed == nil {
		s.follow()
	}
	s.mu.Unlock()
	s.answerer.Signal()
}

// quiet reports whether all that was written is as durable as it is to be
// before an answer, and nobody waits for one.
func (s *Store) quiet() bool {
	return s.life.Err() == nil && !s.working && len(s.queue) == 0 && s.asked == s.answered &&
		!(s.dirty && s.o.Sync == SyncAlways)
}

// nobodyAsked has the committer take what has waited long enough.
func (s *Store) nobodyAsked() {
	s.mu.Lock()
	s.due = true
	s.mu.Unlock()
	s.committer.Signal()
}
