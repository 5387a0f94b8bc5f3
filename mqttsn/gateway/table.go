package gateway

import "dormouse/mqttsn/transport"

// A table finds a shard's seats by the source of a datagram, and by their slot
// in the wheel.
type table struct {
	direct  map[transport.Peer]*seat
	wrapped map[transport.Peer]map[string]*seat // by forwarder and node
	slots   []*seat                             // nil: free
	free    []int32
}

func newTable() table {
	return table{
		direct:  make(map[transport.Peer]*seat),
		wrapped: make(map[transport.Peer]map[string]*seat),
	}
}

// find returns the seat at a source, or nil. Its node may alias a datagram.
func (b *table) find(peer transport.Peer, node []byte) *seat {
	if len(node) == 0 {
		return b.direct[peer]
	}
	return b.wrapped[peer][string(node)]
}

// bind gives t, which has no address, that of from. Nobody else may have it.
func (b *table) bind(t *seat, from source) {
	t.source = from
	if from.node == "" {
		b.direct[from.peer] = t
		return
	}
	nodes := b.wrapped[from.peer]
	if nodes == nil {
		nodes = make(map[string]*seat)
		b.wrapped[from.peer] = nodes
	}
	nodes[from.node] = t
}

// unbind takes t's address away, if it has one.
func (b *table) unbind(t *seat) {
	if !t.bound() {
		return
	}
	if t.node == "" {
		delete(b.direct, t.peer)
	} else {
		delete(b.wrapped[t.peer], t.node)
		if len(b.wrapped[t.peer]) == 0 {
			delete(b.wrapped, t.peer)
		}
	}
	t.source = source{}
}

func (t *seat) bound() bool { return t.peer.Addr.IsValid() }

// enter gives t a slot.
func (b *table) enter(t *seat) {
	if n := len(b.free); n > 0 {
		t.slot = b.free[n-1]
		b.free = b.free[:n-1]
		b.slots[t.slot] = t
		return
	}
	t.slot = int32(len(b.slots))
	b.slots = append(b.slots, t)
}

// leave takes t's slot away.
func (b *table) leave(t *seat) {
	b.slots[t.slot] = nil
	b.free = append(b.free, t.slot)
}
