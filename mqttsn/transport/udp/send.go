package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"dormouse/mqttsn/transport"
)

// send sends batch over s, and multicast once over each of links, if any.
func (s *socket) send(batch []transport.Datagram, links []link, count *Counters) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	defer s.forget()
	n := 0
	put := func(d transport.Datagram, oob []byte) error {
		s.put(n, d, oob)
		if n++; n < Batch {
			return nil
		}
		n = 0
		return s.flush(Batch, count)
	}
	for _, d := range batch {
		if len(d.Buf) == 0 || !d.Peer.Addr.IsValid() {
			count.WriteErrors.Add(1)
			continue
		}
		if to := d.Peer.Addr.Addr(); len(links) > 0 && to.IsMulticast() {
			for _, l := range links {
				if err := put(d, l.outOf(to)); err != nil {
					return err
				}
			}
			continue
		}
		if err := put(d, s.locals.from(d.Peer.Local)); err != nil {
			return err
		}
	}
	return s.flush(n, count)
}

// put makes d the i-th message to write.
func (s *socket) put(i int, d transport.Datagram, oob []byte) {
	h := &s.out.Hdr[i]
	h.Name, h.Namelen = &s.out.Name[i][0], s.putName(i, d.Peer.Addr)
	h.Iov = &s.out.Iov[i][0]
	h.SetIovlen(1)
	h.Iov.Base = unsafe.SliceData(d.Buf)
	h.Iov.SetLen(len(d.Buf))
	h.Control = unsafe.SliceData(oob)
	h.SetControllen(len(oob))
}

// putName writes where the i-th message goes to. A socket of IPv6 knows an
// address of IPv4 as one of IPv6.
func (s *socket) putName(i int, to netip.AddrPort) (length uint32) {
	a := to.Addr()
	if a.Is4() && !s.is4 {
		to = netip.AddrPortFrom(netip.AddrFrom16(a.As16()), to.Port())
	}
	return s.out.Name[i].Put(to, s.zones.number(a))
}

// flush writes the first n messages. One that the kernel refuses does not
// keep the others.
func (s *socket) flush(n int, count *Counters) error {
	for i := 0; i < n; {
		var sent int
		var errno unix.Errno
		err := s.write(func(fd int) bool {
			sent, errno = s.out.Send(fd, i, n)
			if errno == unix.EAGAIN {
				count.WriteWaits.Add(1)
			}
			return errno != unix.EAGAIN
		})
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		count.Sent.Add(uint64(sent))
		i += sent
		if errno != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			count.WriteErrors.Add(1)
			i++
		}
	}
	return nil
}

// forget lets go of the caller's buffers.
func (s *socket) forget() {
	for i := range s.out.Iov {
		s.out.Iov[i][0].Base = nil
	}
}

// outOf is the control message that sends multicast to a out of l.
func (l link) outOf(a netip.Addr) []byte {
	if a.Is4() {
		return l.oob4
	}
	return l.oob6
}
