// Package udp carries the datagrams of a fleet to a gateway over real UDP: from
// an address, a port or a node id for each device, with few sockets and in
// batches. It needs Linux.
package udp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Mode is how a gateway tells an endpoint from the others of its shard.
type Mode uint8

// The modes.
const (
	// Address gives each endpoint an IP address. A shard has one socket for all
	// of them, which sends from whichever address it is told.
	Address Mode = iota

	// Port gives each endpoint a socket, and so a port. Sockets are opened when
	// their endpoint first sends.
	Port

	// Node has all endpoints behind one forwarder, 1.2 §5.5: one socket, and a
	// wireless node id of four octets for each.
	Node

	// Secured, added to Address or Port, has the endpoint speak to
	// Config.Secured.
	Secured Mode = 1 << 7
)

// way is m without Secured.
func (m Mode) way() Mode { return m &^ Secured }

// A Datagram is one datagram of an endpoint or to it.
type Datagram struct {
	Endpoint int32 // from 0, in its shard
	Buf      []byte
}

// Config says where a fleet's datagrams go.
type Config struct {
	// Target is the gateway's address and port, IPv4 or IPv6.
	Target netip.AddrPort

	// Secured is where that speaks DTLS: on the same address, or one of the same
	// family. It is needed only for endpoints that are.
	Secured netip.AddrPort

	// Anywhere lets Target be an address that is not Allowed.
	Anywhere bool

	// Prefix is where the addresses of Address come from. Without one it is
	// 127.0.0.0/8, which reaches targets on loopback alone. Any other has to be
	// routed to this host, as by
	//
	//	ip -6 route add local fd00:5e45::/64 dev lo
	Prefix netip.Prefix

	// Port is the source port of Address in the first shard; those that follow
	// are the next shards'. Zero: any free ones.
	Port uint16

	// ReceiveBuffer is what the kernel may hold for each shared socket, in
	// octets. Zero: 64 MiB, or the most that it allows.
	ReceiveBuffer int

	// MaxDatagram is the length of the longest datagram to receive, up to
	// 65,535 octets, which it is if zero.
	MaxDatagram int
}

// A Network is the sockets of all shards. A shard is used by one goroutine,
// but for Wake and Shed.
type Network struct {
	cfg  Config
	pool pool

	mu     sync.Mutex // guards what follows against Attach and Close
	shards []*shard
	ports  int // endpoints of mode Port, of all shards
	closed bool

	strangers atomic.Uint64
}

// Open checks c. Sockets are opened by Attach.
func Open(c Config) (*Network, error) {
	if !c.Target.IsValid() || c.Target.Port() == 0 {
		return nil, fmt.Errorf("target %v: it must be an address and a port", c.Target)
	}
	c.Target = netip.AddrPortFrom(c.Target.Addr().Unmap(), c.Target.Port())
	if !c.Secured.IsValid() {
		c.Secured = c.Target
	}
	c.Secured = netip.AddrPortFrom(c.Secured.Addr().Unmap(), c.Secured.Port())
	if c.Secured.Addr().Is4() != c.Target.Addr().Is4() {
		return nil, fmt.Errorf("targets %v and %v: one is IPv4 and the other IPv6", c.Target, c.Secured)
	}
	for _, a := range []netip.Addr{c.Target.Addr(), c.Secured.Addr()} {
		if err := Allowed(a); err != nil && !c.Anywhere {
			return nil, err
		}
	}
	if c.MaxDatagram == 0 {
		c.MaxDatagram = 65535
	}
	if c.MaxDatagram < 1 || c.MaxDatagram > 65535 {
		return nil, fmt.Errorf("longest datagram of %d octets; it must be 1 to 65535", c.MaxDatagram)
	}
	if c.ReceiveBuffer == 0 {
		c.ReceiveBuffer = 64 << 20
	}
	p, err := newPool(c.Prefix, c.Target.Addr())
	if err != nil {
		return nil, err
	}
	return &Network{cfg: c, pool: p}, nil
}

// Target is where datagrams go.
func (n *Network) Target() netip.AddrPort { return n.cfg.Target }

// Secured is where those of endpoints go that are secured.
func (n *Network) Secured() netip.AddrPort { return n.cfg.Secured }

// Attach makes ready for the endpoints of a shard, which are len(modes) and
// have these modes. Shards are attached in the order of their numbers.
func (n *Network) Attach(number int, modes []Mode) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errClosed
	}
	if number != len(n.shards) {
		return fmt.Errorf("shard %d attached after %d others", number, len(n.shards))
	}
	var count [Node + 1]int
	for _, m := range modes {
		count[m.way()]++
	}
	if err := makeRoom(n.ports + count[Port]); err != nil {
		return err
	}
	if count[Address] > 0 {
		if err := n.pool.check(len(modes)); err != nil {
			return err
		}
		if err := n.pool.routed(); err != nil {
			return err
		}
	}
	n.ports += count[Port]
	s, err := n.open(number, modes, count)
	if err != nil {
		return err
	}
	n.shards = append(n.shards, s)
	return nil
}

// Send sends each datagram, in order, best effort: what the kernel refuses
// counts as Shed. It retains nothing of batch. The error is one of opening an
// endpoint's socket; what is left of the batch is not sent then.
func (n *Network) Send(shard int, batch []Datagram) error {
	return n.shards[shard].send(batch)
}

// Receive passes what has arrived to sink, in batches that are sink's until it
// returns. If nothing has, it waits for something, but no longer than wait and
// until Wake is called. It reads a few batches at most before it returns, so
// that the caller can do something else in between.
func (n *Network) Receive(shard int, wait time.Duration, sink func(batch []Datagram)) error {
	return n.shards[shard].receive(wait, sink)
}

// Wake has a Receive that waits return, or the next one if none does. Any
// goroutine may call it.
func (n *Network) Wake(shard int) { n.shards[shard].wake() }

// Shed returns how many datagrams of a shard the kernel has dropped or
// refused, as of the last Receive that counted them, which one does every
// tenth of a second. Any goroutine may call it.
func (n *Network) Shed(shard int) uint64 { return n.shards[shard].shed.Load() }

// Strangers returns how many datagrams came from elsewhere than the target, or
// for no endpoint. They are dropped.
func (n *Network) Strangers() uint64 { return n.strangers.Load() }

// Close closes all sockets. No shard may be in use.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	var errs []error
	for _, s := range n.shards {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
