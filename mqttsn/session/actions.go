package session

import "dormouse/mqttsn"

// Actions is what a call asks of its caller, in order: first Ask, then the
// datagrams. The caller owns it and reuses it after Reset; in the steady state
// nothing in it allocates.
type Actions struct {
	Ask    []Request // to the broker; their slices are valid until Reset
	Events []Event   // worth counting
	Gone   Reason    // not zero: the session is over and may be forgotten

	arena []byte // the datagrams, one after another
	ends  []int  // where each of them ends in arena
	state []byte // what AskSave requests point into

	spare []*work // for sessions that get busy

	packet struct { // what is being encoded
		publish  mqttsn.Publish
		register mqttsn.Register
		pubrel   mqttsn.Pubrel
		v12      words12
	}
}

// Datagrams yields the datagrams for the peer, in order. They are valid until Reset.
func (a *Actions) Datagrams(yield func([]byte) bool) {
	start := 0
	for _, end := range a.ends {
		if !yield(a.arena[start:end:end]) {
			return
		}
		start = end
	}
}

// Reset empties a, keeping its memory.
func (a *Actions) Reset() {
	clear(a.Ask) // let go of payloads
	a.Ask, a.Events, a.Gone = a.Ask[:0], a.Events[:0], 0
	a.arena, a.ends, a.state = a.arena[:0], a.ends[:0], a.state[:0]
}

// ask appends a request to the broker.
func (a *Actions) ask(r Request) { a.Ask = append(a.Ask, r) }

// count notes that e happened.
func (a *Actions) count(e Event) { a.Events = append(a.Events, e) }

// send appends the datagram for p. A packet that cannot be written is counted
// and not sent: the session checks lengths before it comes to that.
func (a *Actions) send(v mqttsn.Version, p mqttsn.Packet) {
	b, err := mqttsn.Append(a.arena, v, p)
	if err != nil {
		a.count(Oversize)
		return
	}
	a.arena = b
	a.ends = append(a.ends, len(b))
}
