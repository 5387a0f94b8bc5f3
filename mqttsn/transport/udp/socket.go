package udp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"dormouse/mqttsn/transport"
)

// A socket is one file descriptor. One goroutine reads it; any may write.
type socket struct {
	udp       *net.UDPConn
	batch     batcher
	multicast bool    // it hears a group
	locals    *locals // nil: it has one address

	mu  sync.Mutex
	out [Batch]message // under mu
	ms  [Batch]ipv4.Message
}

// A batcher is an ipv4 or ipv6 PacketConn: their Messages are the same type.
type batcher interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

func newSocket(udp *net.UDPConn, family netip.Addr) *socket {
	s := &socket{udp: udp}
	if family.Is4() {
		s.batch = ipv4.NewPacketConn(udp)
	} else {
		s.batch = ipv6.NewPacketConn(udp)
	}
	return s
}

// listen opens one of the sockets that share a.
func listen(a netip.AddrPort, c *Config) (*socket, error) {
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
	return newSocket(conn.(*net.UDPConn), a.Addr()), nil
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
	raw, err := s.udp.SyscallConn()
	if err != nil {
		return 0, err
	}
	ctl := raw.Control(func(fd uintptr) {
		n, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	return n, errors.Join(ctl, err)
}

// readAgain is how long a reader rests after an error, lest it spin.
const readAgain = 10 * time.Millisecond

func (s *socket) stopReading() { s.udp.SetReadDeadline(time.Unix(1, 0)) }

// read passes on what arrives until ctx is cancelled or the socket is closed.
// No error stops it before: on UDP they tell of single datagrams.
func (s *socket) read(ctx context.Context, longest int, count *Counters, sink func([]transport.Datagram)) {
	s.udp.SetReadDeadline(time.Time{})
	size := longest + 1 // one octet more tells what is too long
	arena := make([]byte, Batch*size)
	ms := make([]ipv4.Message, Batch)
	for i := range ms {
		ms[i].Buffers = [][]byte{arena[i*size : (i+1)*size]}
		if s.locals != nil {
			ms[i].OOB = make([]byte, oobLength)
		}
	}
	batch := make([]transport.Datagram, 0, Batch)
	for ctx.Err() == nil {
		n, err := s.batch.ReadBatch(ms, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.rest(ctx, count)
			continue
		}
		batch = batch[:0]
		for i := range ms[:n] {
			if ms[i].N > longest {
				count.TooLong.Add(1)
				continue
			}
			batch = append(batch, transport.Datagram{
				Peer:      s.peerOf(&ms[i]),
				Buf:       ms[i].Buffers[0][:ms[i].N],
				Multicast: s.multicast,
			})
		}
		if len(batch) > 0 {
			count.Received.Add(uint64(len(batch)))
			sink(batch)
		}
	}
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

// peerOf names an IPv4 peer alike on every socket.
func (s *socket) peerOf(m *ipv4.Message) transport.Peer {
	a := m.Addr.(*net.UDPAddr).AddrPort()
	p := transport.Peer{Addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}
	if s.locals != nil {
		p.Local = s.locals.at(m.OOB[:m.NN])
	}
	return p
}
