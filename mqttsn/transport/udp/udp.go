// Package udp is the plain UDP [transport.Transport]: several sockets that
// share one address, read and written in batches, and sockets of their own for
// multicast. It needs Linux.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/mmsg"
)

// Batch is how many datagrams one system call moves at most.
const Batch = mmsg.Batch

// Config describes an address to listen on.
type Config struct {
	// Address is the local address and port. Port 0 is any free one. [::] is
	// IPv4 as well. On a wildcard address a reply comes from that of the host's
	// addresses which the peer sent to.
	Address netip.AddrPort

	// Sockets is how many sockets share the address, each with a reader of its
	// own; the kernel spreads peers over them. 0 is one per core.
	Sockets int

	// ReceiveBuffer is what the kernel may hold for each socket, in octets. 0
	// leaves it to the kernel, and the kernel's own limit may be lower: see
	// Conn.ReceiveBuffer.
	ReceiveBuffer int

	// MaxDatagram is the length in octets of the longest datagram to receive,
	// 1 to 65535. Longer ones are dropped and counted.
	MaxDatagram int

	// Groups are multicast groups to hear, each on its port; port 0 is that of
	// Address.
	Groups []netip.AddrPort

	// Interfaces are the names of those to hear Groups on, and to send
	// multicast out of. None: heard on all that are up, and sent where the
	// route leads.
	Interfaces []string

	// HopLimit is how far multicast that we send travels, in hops, 0 to 255. 0
	// does not leave this host, and 1 not the network.
	HopLimit int

	// Broadcast is whether a datagram may go to all of a network. If not, such
	// are refused as other errors are, so that who forges a broadcast address
	// has nobody answered there.
	Broadcast bool
}

// Counters are what befell datagrams. They only grow.
type Counters struct {
	Received    atomic.Uint64
	Sent        atomic.Uint64
	TooLong     atomic.Uint64 // received, longer than MaxDatagram, and dropped
	ReadErrors  atomic.Uint64 // reads that the kernel refused; nothing stops for them
	WriteErrors atomic.Uint64 // datagrams that the kernel refused to send
	WriteWaits  atomic.Uint64 // times that it had no room for what is to be sent
}

// A Conn is an open local address.
type Conn struct {
	Counters Counters

	cfg     Config
	addr    netip.AddrPort
	sockets []*socket // of Address
	groups  []*socket // of Groups: read from, never written to
	links   []link
	locals  *locals
	zones   zones

	turn    atomic.Uint32 // which socket sends next
	readers sync.WaitGroup
}

var _ transport.Transport = (*Conn)(nil)

// Listen opens what c describes. If the port is taken the error wraps
// syscall.EADDRINUSE.
func Listen(c Config) (*Conn, error) {
	if c.MaxDatagram < 1 || c.MaxDatagram > 65535 {
		return nil, fmt.Errorf("udp: longest datagram of %d octets; it must be 1 to 65535", c.MaxDatagram)
	}
	if c.HopLimit < 0 || c.HopLimit > 255 {
		return nil, fmt.Errorf("udp: hop limit %d; it must be 0 to 255", c.HopLimit)
	}
	if c.Sockets == 0 {
		c.Sockets = runtime.GOMAXPROCS(0)
	}
	conn := &Conn{cfg: c}
	if err := conn.open(); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (c *Conn) open() error {
	links, err := linksOf(c.cfg.Interfaces, c.cfg.Address.Addr())
	if err != nil {
		return err
	}
	if len(c.cfg.Interfaces) > 0 {
		c.links = links
	}
	c.addr, err = claim(c.cfg.Address)
	if err != nil {
		return err
	}
	c.locals = newLocals(c.addr.Addr())
	for range c.cfg.Sockets {
		s, err := listen(c.addr, &c.cfg, &c.zones)
		if err != nil {
			return err
		}
		s.locals = c.locals
		c.sockets = append(c.sockets, s)
	}
	for _, g := range c.cfg.Groups {
		if g.Port() == 0 {
			g = netip.AddrPortFrom(g.Addr(), c.addr.Port())
		}
		joined, err := join(g, links, len(c.cfg.Interfaces) > 0, &c.cfg, &c.zones)
		c.groups = append(c.groups, joined...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Addr returns the address listened on, with the port that was free if
// Config.Address had none.
func (c *Conn) Addr() netip.AddrPort { return c.addr }

// ReceiveBuffer returns what the kernel granted each socket, in octets. It
// counts its own overhead, and so doubles what it was asked for.
func (c *Conn) ReceiveBuffer() (int, error) { return c.sockets[0].receiveBuffer() }

// Serve reads until ctx is cancelled or c is closed. What a reader has read it
// still passes on. Each socket calls sink from a goroutine of its own.
func (c *Conn) Serve(ctx context.Context, sink func(batch []transport.Datagram)) error {
	defer context.AfterFunc(ctx, func() {
		for _, s := range c.all() {
			s.stopReading()
		}
	})()
	for _, s := range c.all() {
		c.readers.Go(func() { s.serve(ctx, c.cfg.MaxDatagram, &c.Counters, sink) })
	}
	c.readers.Wait()
	return nil
}

func (c *Conn) all() []*socket {
	return append(c.sockets[:len(c.sockets):len(c.sockets)], c.groups...)
}

// Send sends each datagram, in order. What the kernel refuses is counted, and
// the rest is sent all the same. An address may be a group, or a
// broadcast address with Config.Broadcast. The error is net.ErrClosed once c is.
func (c *Conn) Send(batch []transport.Datagram) error {
	i := c.turn.Add(1) % uint32(len(c.sockets))
	return c.sockets[i].send(batch, c.links, &c.Counters)
}

// Close closes the sockets, and returns when every reader has passed on what
// it had read. It must not be called from sink.
func (c *Conn) Close() error {
	for _, s := range c.all() {
		s.stop()
	}
	c.readers.Wait()
	var errs []error
	for _, s := range c.all() {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// claim finds out whether a is free, by opening it for ourselves alone: a
// shared address would open beside another process's without a word.
func claim(a netip.AddrPort) (netip.AddrPort, error) {
	udp, err := net.ListenUDP(network(a.Addr()), net.UDPAddrFromAddrPort(a))
	if err != nil {
		return a, err
	}
	defer udp.Close()
	port := udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return netip.AddrPortFrom(a.Addr(), port), nil
}

// network is such that 0.0.0.0 means IPv4 alone and [::] both.
func network(a netip.Addr) string {
	if a.Is4() {
		return "udp4"
	}
	return "udp"
}
