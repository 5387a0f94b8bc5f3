package udp

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Locals numbers the addresses of this host at which peers have reached a
// wildcard address, so that answers come from there: a peer that is connected
// hears no other, and neither does one behind a NAT. On an address of its own
// a Conn needs none of it; nil will do.
type locals struct {
	mu      sync.RWMutex
	numbers map[netip.Addr]uint32
	oobs    [][]byte // the control messages that send from each, by number less 1
}

// maxLocals bounds them: 127.0.0.0/8 is this host, too. From any other the
// kernel chooses what answers come from.
const maxLocals = 1024

func newLocals(listening netip.Addr) *locals {
	if !listening.IsUnspecified() {
		return nil
	}
	return &locals{numbers: make(map[netip.Addr]uint32)}
}

// tell has a socket tell where its datagrams came to.
func (o *options) tell(family netip.Addr) {
	o.int(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	if family.Is6() {
		o.int(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
}

// at returns the number of the address that a datagram with these control
// messages came to, or 0.
func (l *locals) at(oob []byte) uint32 {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		var a netip.Addr
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			a = netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst: ours, also if it came by broadcast
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			a = netip.AddrFrom16([16]byte(data[:16]))
		}
		if a.IsValid() && !a.Is4In6() { // IPv4 comes with a message of its own
			return l.number(a)
		}
		oob = rest
	}
	return 0
}

func (l *locals) number(a netip.Addr) uint32 {
	if a.IsUnspecified() || a.IsLinkLocalUnicast() { // of the latter, the peer's zone decides
		return 0
	}
	l.mu.RLock()
	n, known := l.numbers[a]
	l.mu.RUnlock()
	if known {
		return n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, known = l.numbers[a]; known || len(l.oobs) == maxLocals {
		return n
	}
	if a.Is4() {
		l.oobs = append(l.oobs, (&ipv4.ControlMessage{Src: a.AsSlice()}).Marshal())
	} else {
		l.oobs = append(l.oobs, (&ipv6.ControlMessage{Src: a.AsSlice()}).Marshal())
	}
	l.numbers[a] = uint32(len(l.oobs))
	return l.numbers[a]
}

// from returns the control message that sends from the address of a number.
func (l *locals) from(n uint32) []byte {
	if l == nil || n == 0 {
		return nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.oobs[n-1]
}

// LocalAddr returns the address of this host that Peer.Local numbers n, if any.
func (c *Conn) LocalAddr(n uint32) netip.Addr {
	l := c.locals
	if l == nil {
		return netip.Addr{}
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for a, number := range l.numbers {
		if number == n {
			return a
		}
	}
	return netip.Addr{}
}

// LocalNumber returns the number of an address that peers knew us by before a
// restart, or 0: this host does not have it any more, or the Conn has but one.
func (c *Conn) LocalNumber(a netip.Addr) uint32 {
	l := c.locals
	if l == nil {
		return 0
	}
	l.mu.RLock()
	n, known := l.numbers[a]
	l.mu.RUnlock()
	if known || !isOurs(a) {
		return n
	}
	return l.number(a)
}

// isOurs reports whether a is an address of this host: one that can be bound.
func isOurs(a netip.Addr) bool {
	p, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return false
	}
	return p.Close() == nil
}
