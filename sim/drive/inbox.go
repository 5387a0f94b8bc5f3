package drive

import (
	"sync"

	"dormouse/mqttsn/clock"
	"dormouse/sim"
)

// An inbox is what others have for the fleet of a shard.
type inbox struct {
	mu      sync.Mutex
	heard   heard
	at      []clock.Time // when each was heard
	answers []verdict
	orders  []func()
}

// A verdict is an answer and when it came.
type verdict struct {
	answer
	at clock.Time
}

func (b *inbox) empty() bool {
	return len(b.heard.messages) == 0 && len(b.answers) == 0 && len(b.orders) == 0
}

func (b *inbox) reset() {
	b.heard.reset()
	clear(b.answers)
	clear(b.orders)
	b.at, b.answers, b.orders = b.at[:0], b.answers[:0], b.orders[:0]
}

// post puts something into the inbox of s, unless the run is over.
func (s *shard) post(put func(*inbox)) {
	if s.wall.over.Load() {
		return
	}
	s.in.mu.Lock()
	first := s.in.empty()
	put(&s.in)
	s.in.mu.Unlock()
	if first {
		s.wall.net.Wake(s.number)
	}
}

func (s *shard) heard(now clock.Time, topic string, b []byte, retained bool) {
	s.post(func(in *inbox) {
		in.heard.add(topic, b, retained)
		in.at = append(in.at, now)
	})
}

func (s *shard) answered(now clock.Time, p *sim.Publication, err error) {
	s.post(func(in *inbox) { in.answers = append(in.answers, verdict{answer{p, err}, now}) })
}

// do has the goroutine of s do f, and waits until it has. It does not if the
// run is over.
func (s *shard) do(f func()) (done bool) {
	ready := make(chan struct{})
	s.post(func(in *inbox) { in.orders = append(in.orders, func() { f(); close(ready) }) })
	select {
	case <-ready:
		return true
	case <-s.ended:
		return false
	}
}

// empty hands what is in the inbox to the fleet.
func (s *shard) empty(now clock.Time) {
	s.in.mu.Lock()
	if s.in.empty() {
		s.in.mu.Unlock()
		return
	}
	s.taken.heard, s.in.heard = s.in.heard, s.taken.heard
	s.taken.at, s.in.at = s.in.at, s.taken.at
	s.taken.answers, s.in.answers = s.in.answers, s.taken.answers
	s.taken.orders, s.in.orders = s.in.orders, s.taken.orders
	s.in.mu.Unlock()

	for _, v := range s.taken.answers {
		s.fleet.Published(v.at, v.p, v.err)
	}
	for i, m := range s.taken.heard.messages {
		s.fleet.Heard(s.taken.at[i], m.topic, s.taken.heard.payload(m), m.retained)
	}
	for _, f := range s.taken.orders {
		f()
	}
	s.taken.reset()
}
