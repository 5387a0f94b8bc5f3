package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dormouse/mqttsn"
	"dormouse/mqttsn/transport/mmsg"
)

// A shard is the sockets of one fleet. They are in one epoll, which the
// runtime polls in turn: nobody waits in a system call.
type shard struct {
	net   *Network
	modes []Mode // by endpoint

	address, node *shared // nil: no endpoint needs it
	ports         []int32 // by endpoint: the file of its socket; 0: not open. nil: no endpoint has one
	dropped       []uint32
	host          netip.Addr // that ports are on

	epoll  *os.File
	fd     int // of epoll
	raw    syscall.RawConn
	ready  func(uintptr) bool // waits in epoll for events, kept lest it be made anew each time
	events [256]unix.EpollEvent
	n      int // events
	woken  atomic.Bool

	targets [2]mmsg.Name // in the clear, and secured
	to      [2]unix.Sockaddr
	is4     bool
	in      *mmsg.Messages
	batch   [Batch]Datagram

	shed    atomic.Uint64
	refused uint64 // by the kernel, on sending
	lost    uint64 // on receipt, of ports
	counted time.Time
	next    int // the port whose drops are counted next
}

// In place of an endpoint in an epoll event: the shared sockets.
const (
	isAddress int32 = -1 - iota
	isNode
)

func (n *Network) open(number int, modes []Mode, count [Node + 1]int) (_ *shard, err error) {
	s := &shard{net: n, modes: modes, in: mmsg.Reserve(n.cfg.MaxDatagram)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for i, to := range []netip.AddrPort{n.cfg.Target, n.cfg.Secured} {
		s.targets[i], _ = nameOf(to)
		s.to[i] = sockaddr(to)
	}
	s.is4 = n.cfg.Target.Addr().Is4()
	s.host = portHost(n.cfg.Target.Addr())
	if s.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return s, fmt.Errorf("epoll: %w", err)
	}
	if err = unix.SetNonblock(s.fd, true); err != nil {
		unix.Close(s.fd)
		return s, fmt.Errorf("epoll: %w", err)
	}
	s.epoll = os.NewFile(uintptr(s.fd), "epoll")
	if s.raw, err = s.epoll.SyscallConn(); err != nil {
		return s, err
	}
	s.ready = func(uintptr) bool { s.n = s.poll(); return s.n > 0 }
	if count[Address] > 0 {
		if s.address, err = n.newShared(number, Address); err != nil {
			return s, err
		}
		err = s.watch(s.address.fd, isAddress)
	}
	if count[Node] > 0 && err == nil {
		if s.node, err = n.newShared(number, Node); err != nil {
			return s, err
		}
		err = s.watch(s.node.fd, isNode)
	}
	if count[Port] > 0 {
		s.ports = make([]int32, len(modes))
		s.dropped = make([]uint32, len(modes))
	}
	return s, err
}

// portHost is the address that sockets of endpoints are bound to. On loopback
// it is one of many, each of which has all the ports.
func portHost(target netip.Addr) netip.Addr {
	switch {
	case target.Is4() && target.IsLoopback():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case target.Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func (s *shard) watch(fd int, what int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd), Pad: what}
	if err := unix.EpollCtl(s.fd, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

func (s *shard) send(batch []Datagram) error {
	for _, d := range batch {
		if d.Endpoint < 0 || int(d.Endpoint) >= len(s.modes) {
			return fmt.Errorf("endpoint %d of %d", d.Endpoint, len(s.modes))
		}
		switch s.modes[d.Endpoint].way() {
		case Address:
			s.put(s.address, d)
		case Node:
			s.put(s.node, d)
		case Port:
			if err := s.sendPort(d); err != nil {
				return err
			}
		}
	}
	for _, to := range [...]*shared{s.address, s.node} {
		if to != nil {
			s.refused += to.flush()
		}
	}
	return nil
}

func (s *shard) put(to *shared, d Datagram) {
	if to.put(d, &s.targets[s.target(d.Endpoint)], &s.net.pool); to.n == Batch {
		s.refused += to.flush()
	}
}

// target is which one an endpoint speaks to.
func (s *shard) target(e int32) int {
	if s.modes[e]&Secured != 0 {
		return 1
	}
	return 0
}

// from reports whether the i-th datagram that was read is of whom e speaks to.
func (s *shard) from(i int, e int32) bool {
	return same(&s.in.Name[i], &s.targets[s.target(e)], s.is4)
}

func (s *shard) sendPort(d Datagram) error {
	fd := int(s.ports[d.Endpoint])
	if fd == 0 {
		var err error
		if fd, err = s.openPort(d.Endpoint); err != nil {
			return err
		}
	}
	for {
		err := unix.Sendto(fd, d.Buf, unix.MSG_DONTWAIT, s.to[s.target(d.Endpoint)])
		switch {
		case err == nil:
			return nil
		case err == unix.EINTR, err == unix.EAGAIN && room(fd):
			continue
		}
		s.refused++
		return nil
	}
}

// openPort opens the socket of e, on a free port.
func (s *shard) openPort(e int32) (int, error) {
	fd, err := newSocket(netip.AddrPortFrom(s.host, 0))
	for errors.Is(err, unix.EADDRINUSE) && s.host.IsLoopback() && s.host.Is4() { // all ports of this one are taken
		s.host = s.host.Next()
		fd, err = newSocket(netip.AddrPortFrom(s.host, 0))
	}
	if errors.Is(err, unix.EMFILE) {
		err = fmt.Errorf("%w: raise the limit of open files (ulimit -n)", err)
	}
	if err != nil {
		return 0, fmt.Errorf("port of a device: %w", err)
	}
	s.ports[e] = int32(fd)
	return fd, s.watch(fd, e)
}

// poll asks epoll for events, without waiting.
func (s *shard) poll() int {
	for {
		n, err := unix.EpollWait(s.fd, s.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0)
	}
}

func (s *shard) wake() {
	s.woken.Store(true)
	s.epoll.SetReadDeadline(time.Unix(1, 0))
}

func (s *shard) receive(wait time.Duration, sink func([]Datagram)) error {
	now := time.Now()
	if now.Sub(s.counted) > time.Second/10 {
		s.count(now)
	}
	s.n = s.poll()
	if s.n == 0 && wait > 0 {
		if err := s.await(now.Add(wait)); err != nil {
			return err
		}
	}
	s.read(sink)
	return nil
}

// await waits for events until then.
func (s *shard) await(then time.Time) error {
	if err := s.epoll.SetReadDeadline(then); err != nil {
		return err
	}
	if s.woken.Swap(false) { // wake's deadline may have come before ours
		return nil
	}
	err := s.raw.Read(s.ready)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.woken.Store(false)
		return nil
	}
	return err
}

// turns is how many batches of a shared socket are read in one go.
const turns = 4

// read reads what the events tell of. What is left makes an event again.
func (s *shard) read(sink func([]Datagram)) {
	n := 0 // read from ports, and not passed on yet
	for _, e := range s.events[:s.n] {
		switch e.Pad {
		case isAddress:
			s.readShared(s.address, sink)
		case isNode:
			s.readShared(s.node, sink)
		}
	}
	for _, e := range s.events[:s.n] {
		if e.Pad < 0 {
			continue
		}
		if got, _ := s.in.Receive(int(e.Fd), n, 1); got == 0 {
			continue
		}
		b, whole := s.in.Octets(n)
		if !whole || !s.from(n, e.Pad) {
			s.net.strangers.Add(1)
			continue
		}
		s.batch[n] = Datagram{Endpoint: e.Pad, Buf: b}
		if n++; n == Batch {
			sink(s.batch[:n])
			n = 0
		}
	}
	if n > 0 {
		sink(s.batch[:n])
	}
}

func (s *shard) readShared(from *shared, sink func([]Datagram)) {
	for range turns {
		got, _ := s.in.Receive(from.fd, 0, Batch)
		n := 0
		for i := range got {
			b, whole := s.in.Octets(i)
			e := -1
			if whole {
				e, b = s.endpoint(from, i, b)
			}
			if e < 0 || !s.from(i, int32(e)) {
				s.net.strangers.Add(1)
				continue
			}
			s.batch[n] = Datagram{Endpoint: int32(e), Buf: b}
			n++
		}
		if n > 0 {
			sink(s.batch[:n])
		}
		if got < Batch {
			return
		}
	}
}

// endpoint returns who the i-th datagram that was read is for, or -1, and what
// it is once out of its envelope.
func (s *shard) endpoint(from *shared, i int, b []byte) (int, []byte) {
	var e uint32
	if from.mode == Node {
		env, inner, err := mqttsn.Unwrap(mqttsn.V12, b)
		if err != nil || len(env.Node) != 4 {
			return -1, nil
		}
		e, b = binary.BigEndian.Uint32(env.Node), inner
	} else if data := s.in.Control[i].Data(); s.in.Hdr[i].Controllen == 0 {
		return -1, nil
	} else if p := &s.net.pool; p.is4 {
		e = p.endpoint(data[8:12]) // ipi_addr
	} else {
		e = p.endpoint(data[:16])
	}
	if e >= uint32(len(s.modes)) || s.modes[e].way() != from.mode {
		return -1, nil
	}
	return int(e), b
}

// countPorts is how many sockets of endpoints are asked for their drops at
// once.
const countPorts = 512

// count brings shed up to date.
func (s *shard) count(now time.Time) {
	s.counted = now
	total := s.refused
	for _, f := range [...]*shared{s.address, s.node} {
		if f != nil {
			total += uint64(drops(f.fd))
		}
	}
	for range min(countPorts, len(s.ports)) {
		if fd := s.ports[s.next]; fd != 0 {
			d := drops(int(fd))
			s.lost += uint64(d - s.dropped[s.next])
			s.dropped[s.next] = d
		}
		s.next = (s.next + 1) % len(s.ports)
	}
	s.shed.Store(total + s.lost)
}

func (s *shard) close() error {
	for _, f := range [...]*shared{s.address, s.node} {
		if f != nil {
			unix.Close(f.fd)
		}
	}
	for _, fd := range s.ports {
		if fd != 0 {
			unix.Close(int(fd))
		}
	}
	if s.epoll == nil {
		return nil
	}
	return s.epoll.Close()
}
