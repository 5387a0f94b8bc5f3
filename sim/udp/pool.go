package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ErrNoAddresses is that devices cannot have addresses of their own, as the
// network is.
var ErrNoAddresses = errors.New("no addresses for the devices")

// A pool numbers the addresses of a prefix.
type pool struct {
	base  [16]byte // IPv4 in its first four octets
	is4   bool
	from  netip.Prefix
	first uint32 // the host number of endpoint 0
	size  uint64 // how many endpoints there can be
	err   error  // why there is none
}

// loopback leaves its first addresses to whoever listens there.
var (
	loopback      = netip.MustParsePrefix("127.0.0.0/8")
	loopbackFirst = uint32(256)
)

// newPool returns the addresses of p to reach target from. If p is not given
// and the target is not on IPv4 loopback there are none, which matters only
// when one is asked for.
func newPool(p netip.Prefix, target netip.Addr) (pool, error) {
	first := uint32(1)
	if !p.IsValid() {
		if !target.Is4() || !target.IsLoopback() {
			return pool{err: fmt.Errorf("%w: %v is not on 127.0.0.0/8, so they need a prefix "+
				"that is routed to this host (ip route add local PREFIX dev lo), or to be told apart by port or node id", ErrNoAddresses, target)}, nil
		}
		p = loopback
	}
	p = p.Masked()
	if p == loopback {
		first = loopbackFirst
	}
	if p.Addr().Is4() != target.Is4() {
		return pool{}, fmt.Errorf("prefix %v and target %v: one is IPv4 and the other IPv6", p, target)
	}
	bits := min(p.Addr().BitLen()-p.Bits(), 32)
	if bits < 2 {
		return pool{}, fmt.Errorf("prefix %v holds no addresses to choose from", p)
	}
	a := pool{is4: target.Is4(), from: p, first: first, size: 1<<bits - uint64(first) - 1}
	copy(a.base[:], p.Addr().AsSlice())
	return a, nil
}

// check reports whether n endpoints fit.
func (p *pool) check(n int) error {
	if p.err != nil {
		return p.err
	}
	if uint64(n) > p.size {
		return fmt.Errorf("%w: %d are too many, there are %d", ErrNoAddresses, n, p.size)
	}
	return nil
}

// routed reports whether what is sent to its addresses comes here, by sending
// something to the first. It goes no further than the next router.
func (p *pool) routed() error {
	s, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	defer s.Close()
	first := make([]byte, p.from.Addr().BitLen()/8)
	p.put(first, 0)
	to, _ := netip.AddrFromSlice(first)
	if p.is4 {
		err = ipv4.NewConn(s).SetTTL(1)
	} else {
		err = ipv6.NewConn(s).SetHopLimit(1)
	}
	if err != nil {
		return err
	}
	_, err = s.WriteToUDPAddrPort(first, netip.AddrPortFrom(to, uint16(s.LocalAddr().(*net.UDPAddr).Port)))
	if err == nil {
		s.SetReadDeadline(time.Now().Add(patience * time.Millisecond)) // it has come already, if it comes
		_, _, err = s.ReadFromUDPAddrPort(first)
	}
	if err != nil {
		return fmt.Errorf("%w: %v does not lead to this host (ip route add local %v dev lo)", ErrNoAddresses, p.from, p.from)
	}
	return nil
}

// host returns where the octets are that endpoints differ in.
func (p *pool) host(a []byte) []byte {
	if p.is4 {
		return a[:4]
	}
	return a[12:16]
}

// put writes the address of e to a, of 4 or 16 octets.
func (p *pool) put(a []byte, e int32) {
	base := p.base[:len(a)]
	copy(a, base)
	binary.BigEndian.PutUint32(p.host(a), binary.BigEndian.Uint32(p.host(base))+p.first+uint32(e))
}

// endpoint returns whose address a is. It may be that of none: the caller
// knows how many there are.
func (p *pool) endpoint(a []byte) uint32 {
	return binary.BigEndian.Uint32(p.host(a)) - binary.BigEndian.Uint32(p.host(p.base[:len(a)])) - p.first
}
