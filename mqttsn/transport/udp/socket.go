package udp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/mmsg"
)

// A socket is one file descriptor. One goroutine reads it; any may write.
type socket struct {
	*quietConn
	is4       bool
	multicast bool    // it hears a group
	locals    *locals // nil: it has one address
	zones     *zones

	sending sync.Mutex
	out     mmsg.Messages // under sending
}

// newSocket takes udp over.
func newSocket(udp *net.UDPConn, family netip.Addr, z *zones) (*socket, error) {
	q, err := quiet(udp)
	if err != nil {
		return nil, err
	}
	return &socket{quietConn: q, is4: family.Is4(), zones: z}, nil
}

// listen opens one of the sockets that share a.
func listen(a netip.AddrPort, c *Config, z *zones) (*socket, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if ctl := raw.Control(func(fd uintptr) { err = share(int(fd), a.Addr(), c) }); ctl != nil {
			return ctl
		}
		return err
	}}
	conn, err := lc.ListenPacket(context.Background(), network(a.Addr()), a.String())
	if err != nil {
		return nil, err
	}
	return newSocket(conn.(*net.UDPConn), a.Addr(), z)
}

// share sets the options of a socket on Address. It hears no multicast: Linux
// would give it that of every group that any process has joined.
func share(fd int, family netip.Addr, c *Config) error {
	set := options{fd: fd}
	set.int(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	set.int(unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	set.int(unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, c.HopLimit)
	if family.Is6() {
		set.int(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
		set.int(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, c.HopLimit)
	}
	if !c.Broadcast { // package net allows it
		set.int(unix.SOL_SOCKET, unix.SO_BROADCAST, 0)
	}
	if c.Address.Addr().IsUnspecified() {
		set.tell(family)
	}
	set.receiveBuffer(c.ReceiveBuffer)
	return set.err
}

// options makes a socket what it shall be, step by step; the first failure
// sticks.
type options struct {
	fd  int
	err error
}

func (o *options) do(step func() error) {
	if o.err == nil {
		o.err = step()
	}
}

func (o *options) int(level, name, value int) {
	o.do(func() error { return unix.SetsockoptInt(o.fd, level, name, value) })
}

// receiveBuffer goes beyond the kernel's limit if we may.
func (o *options) receiveBuffer(n int) {
	if n > 0 && unix.SetsockoptInt(o.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n) != nil {
		o.int(unix.SOL_SOCKET, unix.SO_RCVBUF, n)
	}
}

func (s *socket) receiveBuffer() (n int, err error) {
	ctl := s.control(func(fd int) {
		n, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	return n, errors.Join(ctl, err)
}

// readAgain is how long a reader rests after an error, lest it spin.
const readAgain = 10 * time.Millisecond

// serve passes on what arrives until ctx is cancelled or the socket is closed.
// No error stops it before: on UDP they tell of single datagrams.
func (s *socket) serve(ctx context.Context, longest int, count *Counters, sink func([]transport.Datagram)) {
	in := mmsg.Reserve(longest + 1) // one octet more tells what is too long
	batch := make([]transport.Datagram, 0, Batch)
	take := func(fd int) bool {
		for ctx.Err() == nil {
			n, errno := in.Receive(fd, 0, Batch)
			if errno != 0 {
				return errno != unix.EAGAIN
			}
			batch = s.unpack(in, n, batch[:0], longest, count)
			if len(batch) > 0 {
				count.Received.Add(uint64(len(batch)))
				sink(batch)
			}
			if n < Batch {
				return false // of what comes now we are told
			}
		}
		return true
	}
	for ctx.Err() == nil {
		if err := s.read(take); errors.Is(err, net.ErrClosed) {
			return
		}
		s.rest(ctx, count)
	}
}

// unpack adds the first n messages of in to batch, but for what is too long.
func (s *socket) unpack(in *mmsg.Messages, n int, batch []transport.Datagram, longest int, count *Counters) []transport.Datagram {
	for i := range n {
		b, _ := in.Octets(i)
		if len(b) > longest {
			count.TooLong.Add(1)
			continue
		}
		batch = append(batch, transport.Datagram{Peer: s.peerOf(in, i), Buf: b, Multicast: s.multicast})
	}
	return batch
}

func (s *socket) rest(ctx context.Context, count *Counters) {
	if ctx.Err() != nil {
		return // it is the deadline that stopReading set
	}
	count.ReadErrors.Add(1)
	select {
	case <-ctx.Done():
	case <-time.After(readAgain):
	}
}

// peerOf is who sent the i-th message. It names an IPv4 peer alike on every
// socket.
func (s *socket) peerOf(in *mmsg.Messages, i int) transport.Peer {
	from, scope := in.Name[i].Addr()
	a := from.Addr().Unmap()
	if scope != 0 {
		a = a.WithZone(s.zones.name(scope))
	}
	p := transport.Peer{Addr: netip.AddrPortFrom(a, from.Port())}
	if s.locals != nil {
		p.Local = s.locals.at(in.OOB(i))
	}
	return p
}
