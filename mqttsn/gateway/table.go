package gateway

import (
	"hash/maphash"

	"dormouse/mqttsn/index"
	"dormouse/mqttsn/limit"
	"dormouse/mqttsn/transport"
)

// A table finds a shard's seats by the source of a datagram, and by their slot
// in the wheel.
type table struct {
	bySource index.Index
	slots    []*seat // nil: free
	free     []int32
	seed     maphash.Seed
}

func newTable() table { return table{seed: maphash.MakeSeed()} }

// hash condenses a source.
func (b *table) hash(peer transport.Peer, node []byte) uint32 {
	peer = peer.Key()
	h := limit.HashAddr(maphash.Bytes(b.seed, node), peer.Addr.Addr())
	h = limit.Mix(h ^ uint64(peer.Addr.Port()))
	return uint32(limit.Mix(h ^ uint64(peer.Conn)<<32 ^ uint64(peer.Local)))
}

// find returns the seat at a source, or nil. Its node may alias a datagram.
func (b *table) find(peer transport.Peer, node []byte) *seat {
	for slot := range b.bySource.At(b.hash(peer, node)) {
		if t := b.slots[slot]; t.peer.Key() == peer.Key() && t.node == string(node) {
			return t
		}
	}
	return nil
}

// bind gives t, which has a slot but no address, that of from. Nobody else may
// have it.
func (b *table) bind(t *seat, from source) {
	t.be(from)
	b.bySource.Add(b.hash(t.peer, []byte(t.node)), t.slot)
}

// unbind takes t's address away, if it has one.
func (b *table) unbind(t *seat) {
	if !t.bound() {
		return
	}
	b.bySource.Drop(b.hash(t.peer, []byte(t.node)), t.slot)
	t.be(source{})
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
