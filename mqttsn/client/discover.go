package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A Discoverer looks for gateways. Start from [DefaultDiscoverer].
type Discoverer struct {
	Finder FinderConfig

	// Interface is where to look with multicast, such as "eth0". Empty: where
	// the routing table has it.
	Interface string

	// HopLimit is how many routers multicast crosses, 0 to 255. Default 1: it
	// stays on the link.
	HopLimit int

	// Linger is how long to go on listening after the first gateway. Default 0.
	Linger time.Duration
}

// DefaultDiscoverer returns the defaults.
func DefaultDiscoverer() Discoverer {
	return Discoverer{Finder: DefaultFinderConfig(), HopLimit: 1}
}

// A Found is a gateway that was found.
type Found struct {
	ID      uint8
	Address netip.AddrPort
}

// Discover returns the address of the first gateway that answers or advertises
// in group, with the defaults, for [Dial]. It looks until ctx is done, and
// begins after up to 5 s, as 1.2 §6.1 wants, lest all look at once that get
// power at once.
func Discover(ctx context.Context, group string) (address string, err error) {
	found, err := DefaultDiscoverer().Discover(ctx, group)
	if err != nil {
		return "", err
	}
	return found[0].Address.String(), nil
}

// Discover returns the gateways that answer or advertise in group, at least
// one. Group is an address and port: of multicast, such as "239.255.18.84:1884"
// or "[ff02::1884%eth0]:1884"; of broadcast, such as "255.255.255.255:1884";
// or of one host, to ask whether there is a gateway.
//
// What gateways say to the group is heard too, unless a process of another
// user on this machine hears the group alone; what they say to us is in any
// case. Radius means nothing to UDP: see HopLimit.
func (d Discoverer) Discover(ctx context.Context, group string) ([]Found, error) {
	if err := d.Finder.Validate(); err != nil {
		return nil, err
	}
	d.Finder.Silent = true // we are gone before we could be of use
	to, err := net.ResolveUDPAddr("udp", group)
	if err != nil {
		return nil, err
	}
	sockets, err := d.sockets(to)
	if err != nil {
		return nil, fmt.Errorf("looking for a gateway in %s: %w", group, err)
	}
	heard := make(chan datagram)
	ctx, cancel := context.WithCancel(ctx)
	readers := make(chan struct{})
	for _, s := range sockets {
		go func() {
			hear(ctx, s, heard)
			readers <- struct{}{}
		}()
	}
	defer func() {
		cancel()
		for _, s := range sockets {
			s.Close()
		}
		for range sockets {
			<-readers
		}
	}()
	return d.run(ctx, sockets[0], to, heard)
}

// run drives a Finder until it has found what is wanted.
func (d Discoverer) run(ctx context.Context, socket net.PacketConn, to net.Addr, heard <-chan datagram) ([]Found, error) {
	f := NewFinder(&d.Finder, rand.Uint64())
	f.Search(clock.Now())
	zones := map[string]netip.AddrPort{} // addresses as they came: on the wire they have no zones
	enough := make(<-chan time.Time)
	var decoder mqttsn.Decoder
	var out Actions
	for {
		timer := time.NewTimer(f.Deadline().Sub(clock.Now()))
		if f.Deadline() == 0 {
			timer.Stop()
		}
		select {
		case <-timer.C:
		case g := <-heard:
			if p, err := decoder.Decode(mqttsn.V12, g.octets); err == nil {
				from := appendAddress(nil, g.from)
				zones[string(from)] = g.from
				f.Handle(clock.Now(), from, p, &out)
			}
		case <-enough:
			return foundBy(f, zones), nil
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("no gateway was heard of: %w", ctx.Err())
		}
		timer.Stop()
		out.Reset()
		f.Tick(clock.Now(), &out)
		for b := range out.Datagrams {
			if _, err := socket.WriteTo(b, to); err != nil {
				return nil, err
			}
		}
		switch found := foundBy(f, zones); {
		case len(found) == 0:
		case d.Linger == 0:
			return found, nil
		case cap(enough) == 0:
			enough = time.After(d.Linger)
		}
	}
}

// foundBy returns what f knows, as far as it can be dialled.
func foundBy(f *Finder, zones map[string]netip.AddrPort) (found []Found) {
	for _, g := range f.Gateways() {
		a, ok := zones[string(g.Address)]
		if !ok {
			a, ok = parseAddress(g.Address)
		}
		if ok {
			found = append(found, Found{g.ID, a})
		}
	}
	return found
}

// A datagram is one that was heard.
type datagram struct {
	from   netip.AddrPort
	octets []byte
}

// hear hands on what comes until ctx is done and the socket is closed.
func hear(ctx context.Context, socket net.PacketConn, heard chan<- datagram) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := socket.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		peer, ok := from.(*net.UDPAddr)
		if err != nil || !ok {
			continue
		}
		a := peer.AddrPort()
		g := datagram{netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), append([]byte(nil), buf[:n]...)}
		select {
		case heard <- g:
		case <-ctx.Done():
		}
	}
}

// sockets opens one to ask with, to which gateways answer, and, for multicast,
// one that hears what they say to all.
func (d Discoverer) sockets(to *net.UDPAddr) ([]net.PacketConn, error) {
	network := "udp6"
	if to.IP.To4() != nil {
		network = "udp4"
	}
	if !to.IP.IsMulticast() {
		asking, err := net.ListenPacket(network, ":0")
		return []net.PacketConn{asking}, err
	}
	link, err := d.link(to)
	if err != nil {
		return nil, err
	}
	asking, err := askingSocket(network, link, d.HopLimit)
	if err != nil {
		return nil, err
	}
	hearing, err := hearingSocket(to, link)
	if err != nil {
		return []net.PacketConn{asking}, nil // gateways answer to the other, if they do
	}
	return []net.PacketConn{asking, hearing}, nil
}

// link returns the interface to look on, or nil.
func (d Discoverer) link(to *net.UDPAddr) (*net.Interface, error) {
	name := d.Interface
	if name == "" {
		name = to.Zone
	}
	if name == "" {
		return nil, nil
	}
	return net.InterfaceByName(name)
}

// appendAddress appends an address as GwAdd has it over IP: 4 or 16 octets, and
// 2 of the port.
func appendAddress(b []byte, a netip.AddrPort) []byte {
	b = append(b, a.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// parseAddress reads a GwAdd. 1.2 §5.3.5 puts its length before it; the figure
// of §5.4.3, and the clients that send it, do not.
func parseAddress(b []byte) (netip.AddrPort, bool) {
	if len(b) == 7 && b[0] == 6 || len(b) == 19 && b[0] == 18 {
		b = b[1:]
	}
	if len(b) != 6 && len(b) != 18 {
		return netip.AddrPort{}, false
	}
	host, _ := netip.AddrFromSlice(b[:len(b)-2])
	port := binary.BigEndian.Uint16(b[len(b)-2:])
	return netip.AddrPortFrom(host.Unmap(), port), port != 0
}
