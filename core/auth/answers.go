package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// answersHalf is how many are kept in each half of answers: 4 MiB in all, or 64 if
// all of them are as long as they may be.
const answersHalf = 1 << 13

// An answerKey is a question's, which has a password in it: a MAC.
type answerKey [sha256.Size]byte

// answers are those that let somebody in, for a while. The oldest go when there are
// too many.
type answers struct {
	mu         sync.Mutex // guards what follows
	fresh, old map[answerKey]kept
}

// A kept answer is good until then.
type kept struct {
	answer
	until time.Time
}

func newAnswers() answers { return answers{fresh: make(map[answerKey]kept)} }

// find returns the answer to a question that was put before.
func (s *answers) find(key answerKey, now time.Time) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.fresh[key]
	if !ok {
		a, ok = s.old[key]
	}
	return a.answer, ok && now.Before(a.until)
}

func (s *answers) keep(key answerKey, a answer, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) >= answersHalf {
		s.fresh, s.old = make(map[answerKey]kept), s.fresh
	}
	s.fresh[key] = kept{a, until}
}
