package gateway

import (
	"sync/atomic"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// This file is what a gateway does while more comes in than it can do. What
// tells is how long datagrams have waited for their shard:
//
//   - Up to tooLate nothing is refused, and beyond neither until patience is over:
//     a burst, or a pause of the whole machine, is over sooner.
//   - Then PUBLISH at QoS 0 and -1 is dropped until all else is on time again, and
//     nobody new may connect, who would bring more.
//   - What has waited for longer than hopeless is soon sent again. So that not all
//     is answered too late, a request is dropped then and its sensor repeats it. To
//     answer a PINGREQ twice, moreover, would be to send to a sleeper. To drop it
//     sooner would not help: more would come again.
//   - A CONNECT is dropped at half of that, so that who is connected gets done first:
//     who does not is going to connect again, too, and subscribe, and register.
//
// While the broker's store is behind, it is the same for QoS 0, for strangers, and
// for all that asks for something to be kept: it would be answered too late.
//
// Whatever ends an exchange is heard, and clients with a session, sleepers too,
// are turned away no sooner than all others.
const (
	tooLate  = 200 * time.Millisecond
	onTime   = tooLate / 4
	patience = time.Second
	hopeless = 4 * time.Second // well before T_RETRY, 10 s and more, is over

	// closed is for how long nobody new may connect once a shard was late: for
	// longer than it takes to be late again.
	closed = 3 * time.Second
)

// A strain is whether a shard keeps up. Its owner alone writes it.
type strain struct {
	late  clock.Time // since when datagrams have waited too long; zero: they have not
	sheds bool
	stale bool         // what is next has waited for longer than hopeless,
	tardy bool         // or half of that
	wait  atomic.Int64 // of the datagram that is next, in nanoseconds
}

// look has s take note of how long the next datagram has waited.
func (s *shard) look() {
	wait, g := s.waited(s.now), s.g
	s.strain.wait.Store(int64(wait))
	switch {
	case wait < onTime:
		s.late, s.sheds = 0, false
	case wait >= tooLate && s.late == 0:
		s.late = s.now
	}
	strained := clock.Time(g.strained.Load()) > s.now
	if s.late != 0 && (s.now.Sub(s.late) >= patience || strained) {
		s.sheds = true
	}
	if s.sheds {
		g.strained.Store(int64(s.now.Add(closed)))
	}
	s.stale, s.tardy = wait > hopeless, wait > hopeless/2
	s.sheds = s.sheds || g.behind.Load()
}

// SetBehind says whether the broker's store takes too long to answer.
func (g *Gateway) SetBehind(behind bool) { g.behind.Store(behind) }

// Strained reports whether more comes in than the gateway, or the store, can
// do, so that nobody new may connect.
func (g *Gateway) Strained(now clock.Time) bool {
	return g.behind.Load() || clock.Time(g.strained.Load()) > now
}

// keeps are the requests that ask for something to be kept. Clients repeat them
// until they are answered, 1.2 §6.13.
var keeps = [mqttsn.NumTypes]bool{
	mqttsn.TypeConnect: true, mqttsn.TypeRegister: true, mqttsn.TypePublish: true,
	mqttsn.TypeSubscribe: true, mqttsn.TypeUnsubscribe: true,
	mqttsn.TypeWilltopicupd: true, mqttsn.TypeWillmsgupd: true,
}

// shed drops p if it is to be, for others to be on time. A stranger's CONNECT is
// not: it is refused.
func (s *shard) shed(p mqttsn.Packet) bool {
	switch p := p.(type) {
	case *mqttsn.Publish:
		if p.QoS == mqttsn.QoSMinusOne || p.QoS == 0 {
			if s.sheds {
				s.drop(shedQoS0)
			}
			return s.sheds
		}
	case *mqttsn.Connect:
		if !s.g.broker.Knows(string(p.ClientID)) {
			return false
		}
	}
	waited := s.stale && repeated(p) || s.tardy && p.Type() == mqttsn.TypeConnect
	if waited || keeps[p.Type()] && s.g.behind.Load() {
		s.drop(shedLate)
		return true
	}
	return false
}

// repeated reports whether p is a request that comes again until it is answered.
// A farewell need not: who says it may be gone.
func repeated(p mqttsn.Packet) bool {
	d, parts := p.(*mqttsn.Disconnect)
	return keeps[p.Type()] || p.Type() == mqttsn.TypePingreq || parts && d.Duration > 0
}
