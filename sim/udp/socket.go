package udp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"dormouse/mqttsn"
	"dormouse/mqttsn/transport/mmsg"
)

// newSocket opens a UDP socket of the target's family on a.
func newSocket(a netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET
	if a.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open a socket: %w", err)
	}
	if err = unix.Bind(fd, sockaddr(a)); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("bind %v: %w", a, err)
	}
	return fd, nil
}

// A shared socket is that of all endpoints of mode Address, or of mode Node.
type shared struct {
	fd   int
	mode Mode
	out  mmsg.Messages
	n    int // messages of out that wait to be sent

	node [Batch][8]byte // the envelopes of out
	id   [4]byte        // a node's, while it is written
}

// newShared opens the socket of a shard's endpoints of mode m.
func (n *Network) newShared(number int, m Mode) (*shared, error) {
	is4 := n.cfg.Target.Addr().Is4()
	any, port := netip.IPv6Unspecified(), uint16(0)
	if is4 {
		any = netip.IPv4Unspecified()
	}
	if m == Address && n.cfg.Port != 0 {
		port = n.cfg.Port + uint16(number)
	}
	fd, err := newSocket(netip.AddrPortFrom(any, port))
	if err != nil {
		return nil, err
	}
	s := &shared{fd: fd, mode: m}
	if err := s.prepare(n, is4); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("socket of the devices: %w", err)
	}
	return s, nil
}

func (s *shared) prepare(n *Network, is4 bool) error {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n.cfg.ReceiveBuffer) != nil {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n.cfg.ReceiveBuffer); err != nil {
			return err
		}
	}
	if s.mode == Address {
		if err := tell(s.fd, is4); err != nil {
			return err
		}
	}
	_, length := nameOf(n.cfg.Target)
	for i := range s.out.Hdr {
		h := &s.out.Hdr[i]
		h.Name, h.Namelen = &s.out.Name[i][0], length
		h.Iov = &s.out.Iov[i][0]
		if s.mode == Node {
			s.out.Iov[i][0].Base = &s.node[i][0]
			h.SetIovlen(2)
			continue
		}
		h.SetIovlen(1)
		c := &s.out.Control[i]
		h.Control = (*byte)(unsafe.Pointer(c))
		if is4 {
			h.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
			c.Header().Level, c.Header().Type = unix.IPPROTO_IP, unix.IP_PKTINFO
			c.Header().SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		} else {
			h.SetControllen(unix.CmsgSpace(unix.SizeofInet6Pktinfo))
			c.Header().Level, c.Header().Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
			c.Header().SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
		}
	}
	return nil
}

// tell has a socket say where its datagrams came to. IPv4 lets it send from an
// address that is ours by a route alone, IPv6 has to be asked.
func tell(fd int, is4 bool) error {
	if is4 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// put makes d the next message to send.
func (s *shared) put(d Datagram, to *mmsg.Name, p *pool) {
	i := s.n
	s.n++
	s.out.Name[i] = *to
	iov := &s.out.Iov[i][0]
	if s.mode == Node {
		binary.BigEndian.PutUint32(s.id[:], uint32(d.Endpoint))
		// An envelope with an id of four octets is never refused.
		b, _ := mqttsn.Wrap(s.node[i][:0], mqttsn.V12, mqttsn.Envelope{Node: s.id[:]})
		iov.SetLen(len(b))
		iov = &s.out.Iov[i][1]
	} else if data := s.out.Control[i].Data(); p.is4 {
		p.put(data[4:8], d.Endpoint) // ipi_spec_dst
	} else {
		p.put(data[:16], d.Endpoint)
	}
	iov.Base = unsafe.SliceData(d.Buf)
	iov.SetLen(len(d.Buf))
}

// flush sends what waits, and returns how many the kernel refused.
func (s *shared) flush() (refused uint64) {
	for i := 0; i < s.n; {
		sent, errno := s.out.Send(s.fd, i, s.n)
		i += sent
		if errno == 0 || errno == unix.EAGAIN && room(s.fd) {
			continue
		}
		refused++
		i++
	}
	s.n = 0
	return refused
}

// patience is how many milliseconds a full socket may take to have room again.
const patience = 100

// room waits until fd can send again.
func room(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, patience)
	return n > 0 || err == unix.EINTR
}
