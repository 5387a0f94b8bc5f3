package memnet

import (
	"fmt"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

// A Direction is the way a datagram goes.
type Direction uint8

const (
	Up   Direction = 1 // from a peer to the gateway
	Down Direction = 2 // from the gateway to a peer
)

func (d Direction) String() string { return [...]string{"?", "up", "down"}[d] }

// A Fate is something that happens to a datagram.
type Fate uint8

const (
	Sent       Fate = iota // the sender's radio was on
	Duplicated             // there will be two of it
	Lost                   // this copy will not arrive
	HeldBack               // this copy is late, and may be overtaken
	Refused                // too many were under way: this copy will not arrive
	Arrived                // the receiver's radio had better be on
)

func (f Fate) String() string {
	return [...]string{"sent", "duplicated", "lost", "held back", "refused", "arrived"}[f]
}

// An Event is one thing that happened to one datagram.
type Event struct {
	At        clock.Time
	Direction Direction
	Fate      Fate
	Peer      transport.Peer
	Octets    []byte // shared: not to be changed
}

func (e Event) with(f Fate) Event {
	e.Fate = f
	return e
}

func (e Event) String() string {
	return fmt.Sprintf("%v %v %v %v %x", e.At.Sub(0), e.Peer.Addr, e.Direction, e.Fate, e.Octets)
}

func (n *Net) record(e Event) {
	if n.cfg.Observe != nil {
		n.cfg.Observe(e)
	}
	if len(n.trace) == n.cfg.Trace {
		n.truncated = true
		return
	}
	n.trace = append(n.trace, e)
}

// Trace returns what has happened so far, in order. It is not complete if it
// outgrew Config.Trace: the first events are kept.
func (n *Net) Trace() (events []Event, complete bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trace[:len(n.trace):len(n.trace)], !n.truncated
}
