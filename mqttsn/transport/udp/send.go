package udp

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"

	"dormouse/mqttsn/transport"
)

// A message is the memory behind one outgoing ipv4.Message.
type message struct {
	addr   net.UDPAddr
	ip     [16]byte
	buffer [1][]byte
}

// send sends batch over s, and multicast once over each of links, if any.
func (s *socket) send(batch []transport.Datagram, links []link, count *Counters) error {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	m := &s.out[i]
	to := d.Peer.Addr.Addr()
	m.ip = to.As16() // on any socket, an IPv4 address within IPv6 is written as IPv4
	m.addr = net.UDPAddr{IP: m.ip[:], Port: int(d.Peer.Addr.Port()), Zone: to.Zone()}
	m.buffer[0] = d.Buf
	s.ms[i] = ipv4.Message{Buffers: m.buffer[:], Addr: &m.addr, OOB: oob}
}

// flush writes the first n messages. One that the kernel refuses does not
// keep the others.
func (s *socket) flush(n int, count *Counters) error {
	for ms := s.ms[:n]; len(ms) > 0; {
		sent, err := s.batch.WriteBatch(ms, 0)
		if errors.Is(err, net.ErrClosed) {
			return net.ErrClosed
		}
		sent = max(sent, 0)
		count.Sent.Add(uint64(sent))
		ms = ms[sent:]
		if err != nil || sent == 0 {
			count.WriteErrors.Add(1)
			ms = ms[1:]
		}
	}
	return nil
}

// forget lets go of the caller's buffers.
func (s *socket) forget() {
	for i := range s.out {
		s.out[i].buffer[0] = nil
	}
}

// outOf is the control message that sends multicast to a out of l.
func (l link) outOf(a netip.Addr) []byte {
	if a.Is4() {
		return l.oob4
	}
	return l.oob6
}
