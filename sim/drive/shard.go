package drive

import (
	"context"
	"sync/atomic"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/sim"
	"dormouse/sim/udp"
)

// A shard is a fleet by the wall clock, owned by one goroutine but for its
// inbox.
type shard struct {
	wall   *wall
	number int
	fleet  fleet
	in     inbox
	taken  inbox // what was in it
	out    outbox
	late   atomic.Int64  // the most that the fleet was, as a duration
	ended  chan struct{} // closed when its goroutine has ended

	// The functions that are handed around, made once.
	carry func(sim.Endpoint, []byte) bool
	bring func([]udp.Datagram)
	print func(*sim.Publication) bool
	shake func(*sim.Handshake) bool
}

func newShard(w *wall, number int, f fleet) *shard {
	s := &shard{wall: w, number: number, fleet: f, ended: make(chan struct{})}
	s.carry = s.send
	s.bring = s.receive
	s.shake = func(h *sim.Handshake) bool {
		w.host.begin(s, h)
		return true
	}
	s.print = func(p *sim.Publication) bool {
		w.press.post(s, p)
		return true
	}
	return s
}

// modes is how the endpoints of s are told apart.
func (s *shard) modes() []udp.Mode {
	modes := make([]udp.Mode, s.fleet.Endpoints())
	for e := range modes {
		switch s.fleet.Addressing(sim.Endpoint(e)) {
		case sim.OwnPort:
			modes[e] = udp.Port
		case sim.Forwarder:
			modes[e] = udp.Node
		default:
			modes[e] = udp.Address
		}
		if s.fleet.Secured(sim.Endpoint(e)) {
			modes[e] |= udp.Secured
		}
	}
	return modes
}

const (
	longest = 50 * time.Millisecond // without a look at the fleet
	chunk   = 4 * udp.Batch         // datagrams sent before those that came are read
)

// run drives the fleet until ctx is cancelled. It never sends so much that it
// cannot read in between: answers to a burst come while it lasts.
func (s *shard) run(ctx context.Context) error {
	defer close(s.ended)
	for ctx.Err() == nil {
		now := clock.Now()
		s.empty(now)
		if now >= s.wall.start {
			s.turn(now)
		}
		wait := s.idle(clock.Now())
		if err := s.out.send(s.wall.net, s.number, chunk); err != nil {
			return err
		}
		if err := s.wall.net.Receive(s.number, wait, s.bring); err != nil {
			return err
		}
	}
	return nil
}

// turn has done what is due.
func (s *shard) turn(now clock.Time) {
	if next := s.fleet.Next(); next.Reached(now) {
		s.late.Store(max(s.late.Load(), int64(now.Sub(next))))
		s.fleet.Step(now)
	}
	s.fleet.Handshakes(s.shake)
	s.fleet.Datagrams(s.carry)
	s.fleet.Publications(s.print)
}

// idle is how long there is nothing to do.
func (s *shard) idle(now clock.Time) time.Duration {
	if now < s.wall.start {
		return min(s.wall.start.Sub(now), longest)
	}
	next := s.fleet.Next()
	switch {
	case s.out.len() > chunk, next.Reached(now):
		return 0
	case next == 0:
		return longest
	}
	return min(next.Sub(now), longest)
}

func (s *shard) send(e sim.Endpoint, b []byte) bool {
	if s.wall.down.Load() {
		return true
	}
	if s.wall.asked.Load() == 0 && asks(b) {
		s.wall.asked.CompareAndSwap(0, int64(clock.Now()))
	}
	s.out.add(e, b)
	return true
}

// asks reports whether b begins something that a gateway has to answer.
// Publishing at QoS -1, which may be all that a fleet does, is not; and of what
// is sealed only handshakes are, which who gets no answer does again.
func asks(b []byte) bool {
	if len(b) > 2 && record.ContentType(b[0]) == record.Handshake && b[1] == 0xfe {
		return true
	}
	p, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		return false
	}
	switch p.Type() {
	case mqttsn.TypeConnect, mqttsn.TypeSubscribe, mqttsn.TypePingreq, mqttsn.TypeRegister, mqttsn.TypeDisconnect:
		return true
	}
	return false
}

func (s *shard) receive(batch []udp.Datagram) {
	if !s.wall.word.Load() {
		s.wall.word.Store(true)
	}
	s.wall.asked.Store(0)
	if s.wall.down.Load() {
		return
	}
	now := clock.Now()
	for _, d := range batch {
		s.fleet.Receive(now, sim.Endpoint(d.Endpoint), d.Buf)
	}
}
