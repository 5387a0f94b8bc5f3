// Package transport moves whole datagrams. It knows nothing of MQTT-SN.
package transport

import (
	"context"
	"net/netip"
)

// A Peer identifies the far end. It is comparable and is a map key as it is;
// never turn it into a string to look something up.
type Peer struct {
	Addr netip.AddrPort
	Conn uint32 // numbers DTLS associations, see Key; 0 for plain UDP

	// Local is the transport's number for that of its own addresses which the
	// far end knows: answers come from there. 0 if it has but one, or may choose.
	Local uint32
}

// Key is what tells p apart from others. An association is where it was last;
// its number alone stays the same.
func (p Peer) Key() Peer {
	if p.Conn != 0 {
		return Peer{Conn: p.Conn}
	}
	return p
}

// A Datagram is one received or outgoing datagram.
type Datagram struct {
	Peer Peer
	Buf  []byte

	// Multicast says that a received datagram was sent to a group, not to us
	// alone: whatever answers it must be sparing. It means nothing on sending.
	Multicast bool
}

// A Transport sends and receives datagrams on one local address.
type Transport interface {
	// Serve passes received datagrams to sink, in batches, until ctx is
	// cancelled, and then returns nil. The batch and its buffers are sink's
	// only until it returns. Several readers may call sink at once.
	Serve(ctx context.Context, sink func(batch []Datagram)) error

	// Send sends each datagram, in order, best effort. It does not retain
	// batch. An error concerns the transport as a whole, never one peer.
	// It is safe for concurrent use.
	Send(batch []Datagram) error
}

// Locals is what a Transport can do that numbers its own addresses, so that
// peers are found again after a restart.
type Locals interface {
	// LocalAddr returns the address that Peer.Local numbers n, if any.
	LocalAddr(n uint32) netip.Addr

	// LocalNumber returns the number of a. 0: it is none of this transport's.
	LocalNumber(a netip.Addr) uint32
}

// An Identity is whom a peer has proved to be.
type Identity struct {
	Proof Proof
	Name  string // empty, if it has proved nothing
}

// A Proof is how a peer has proved who it is. The numbers are stored.
type Proof uint8

const (
	Unproved      Proof = iota
	ByKey               // a pre-shared key: Name is its identity
	ByCertificate       // Name is in it
)

// Identities is what a Transport can do whose peers prove who they are.
type Identities interface {
	// Identity returns whom p has proved to be. It stays the same for as long
	// as its Conn means that peer, and proves nothing afterwards.
	Identity(p Peer) Identity
}

// Lasting is what a Transport can do that numbers connections which outlive
// the process, so that peers are found again after a restart.
type Lasting interface {
	// ConnID returns the lasting name of what Peer.Conn numbers n, if any.
	ConnID(n uint32) (id [8]byte, ok bool)

	// ConnPeer returns the peer of that name where it was last, if it is known.
	// It is to be called before Serve.
	ConnPeer(id [8]byte) (Peer, bool)
}
