package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"dormouse/mqttsn"
)

const testGroup = "239.255.18.86"

// A beacon answers who looks for a gateway.
type beacon struct {
	net.PacketConn
	port uint16
}

// newBeacon listens in testGroup on the loopback interface, or on 127.0.0.1
// alone, and answers as answer says.
func newBeacon(t *testing.T, multicast bool, answer func(b *beacon, asker net.Addr)) *beacon {
	t.Helper()
	b := &beacon{}
	var err error
	if multicast {
		lo, loErr := net.InterfaceByName("lo")
		if loErr != nil {
			t.Fatal(loErr)
		}
		b.port = freePort(t)
		b.PacketConn, err = hearingSocket(&net.UDPAddr{IP: net.ParseIP(testGroup), Port: int(b.port)}, lo)
	} else {
		b.PacketConn, err = net.ListenPacket("udp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	b.port = b.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 256)
		for {
			n, from, err := b.ReadFrom(buf)
			if err != nil {
				return
			}
			if p, err := mqttsn.Decode(mqttsn.V12, buf[:n]); err == nil && p.Type() == mqttsn.TypeSearchgw {
				answer(b, from)
			}
		}
	}()
	t.Cleanup(func() {
		b.Close()
		<-done
	})
	return b
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	s, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// from sends packets from a socket of its own, on the loopback interface, and
// returns its port.
func from(t *testing.T, to net.Addr, packets ...mqttsn.Packet) uint16 {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Error(err)
		return 0
	}
	s, err := askingSocket("udp4", lo, 1)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer s.Close()
	for _, p := range packets {
		b, _ := mqttsn.Append(nil, mqttsn.V12, p)
		if _, err := s.WriteTo(b, to); err != nil {
			t.Error(err)
		}
	}
	return s.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func atOnce() Discoverer {
	d := DefaultDiscoverer()
	d.Finder.SearchDelay = 0
	d.Finder.Interval = 100 * time.Millisecond
	d.Interface = "lo"
	return d
}

// TestDiscover finds gateways that answer the asker, as ours does, or the
// whole group, as Paho's; and clients that answer for one.
func TestDiscover(t *testing.T) {
	group := func(b *beacon) net.Addr { return &net.UDPAddr{IP: net.ParseIP(testGroup), Port: int(b.port)} }
	elsewhere := netip.MustParseAddrPort("192.0.2.7:1886")
	for name, tt := range map[string]struct {
		multicast bool
		answer    func(b *beacon, asker net.Addr) uint16
	}{
		"unicast to one host": {false, func(_ *beacon, asker net.Addr) uint16 {
			return from(t, asker, &mqttsn.Gwinfo{GatewayID: 3})
		}},
		"multicast, answer to the asker": {true, func(_ *beacon, asker net.Addr) uint16 {
			return from(t, asker, &mqttsn.Connack{}, &mqttsn.Gwinfo{GatewayID: 3})
		}},
		"multicast, answer to all": {true, func(b *beacon, _ net.Addr) uint16 {
			return from(t, group(b), &mqttsn.Gwinfo{GatewayID: 3})
		}},
		"multicast, ADVERTISE": {true, func(b *beacon, _ net.Addr) uint16 {
			return from(t, group(b), &mqttsn.Advertise{GatewayID: 3, Duration: time.Hour})
		}},
		"multicast, a client answers": {true, func(b *beacon, _ net.Addr) uint16 {
			from(t, group(b), &mqttsn.Gwinfo{GatewayID: 9, Address: []byte("?")},
				&mqttsn.Gwinfo{GatewayID: 3, Address: appendAddress(nil, elsewhere)})
			return elsewhere.Port()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			port := make(chan uint16, 1)
			asked := false
			b := newBeacon(t, tt.multicast, func(b *beacon, asker net.Addr) {
				if asked { // not before it asks again
					select {
					case port <- tt.answer(b, asker):
					default:
					}
				}
				asked = true
			})
			host := "127.0.0.1"
			if tt.multicast {
				host = testGroup
			}
			to := netip.AddrPortFrom(netip.MustParseAddr(host), b.port)
			found, err := atOnce().Discover(t.Context(), to.String())
			if err != nil {
				t.Fatal(err)
			}
			if want := <-port; len(found) != 1 || found[0].ID != 3 || found[0].Address.Port() != want || tt.multicast && want != elsewhere.Port() && !found[0].Address.Addr().IsLoopback() {
				t.Errorf("found %v, want gateway 3 at port %d", found, want)
			}
		})
	}
}

// TestDiscoverLingers for more gateways than the first.
func TestDiscoverLingers(t *testing.T) {
	b := newBeacon(t, false, func(b *beacon, asker net.Addr) {
		for id := range byte(3) {
			from(t, asker, &mqttsn.Gwinfo{GatewayID: id})
		}
	})
	d := atOnce()
	d.Linger = time.Second
	found, err := d.Discover(t.Context(), b.LocalAddr().String())
	if err != nil || len(found) != 3 {
		t.Errorf("found %v, %v", found, err)
	}
}

// TestNothingToDiscover ends with ctx.
func TestNothingToDiscover(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBeacon(t, false, func(*beacon, net.Addr) { cancel() })
	if _, err := atOnce().Discover(ctx, b.LocalAddr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	d := atOnce()
	d.Interface = "none"
	if _, err := d.Discover(t.Context(), testGroup+":1884"); err == nil {
		t.Error("it looks on an interface that does not exist")
	}
	d.Finder.Missed = 0
	if _, err := d.Discover(t.Context(), testGroup+":1884"); err == nil {
		t.Error("it looks with a configuration that is not valid")
	}
	if _, err := Discover(t.Context(), "nonsense"); err == nil {
		t.Error("it looks nowhere")
	}
}

// TestGatewayOnALink keeps the zone that its address came with, for there is
// no reaching it without.
func TestGatewayOnALink(t *testing.T) {
	at := netip.MustParseAddrPort("[fe80::1%eth0]:1884")
	wire := appendAddress(nil, at)
	e := newEther(t, 1, nil).hears(string(wire), &mqttsn.Gwinfo{GatewayID: 1})
	if found := foundBy(e.f, map[string]netip.AddrPort{string(wire): at}); len(found) != 1 || found[0].Address != at {
		t.Errorf("found %v, want %v", found, at)
	}
}

func TestGatewayAddress(t *testing.T) {
	for _, tt := range []struct {
		wire, want string
	}{
		{"\xc0\x00\x02\x07\x07\x5c", "192.0.2.7:1884"},
		{"\x06\xc0\x00\x02\x07\x07\x5c", "192.0.2.7:1884"}, // with its length
		{"\xfe\x80" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x07\x5c", "[fe80::1]:1884"},
		{"\x12\xfe\x80" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x07\x5c", "[fe80::1]:1884"},
		{"\xc0\x00\x02\x07", ""},
		{"\xc0\x00\x02\x07\x00\x00", ""},
		{"", ""},
	} {
		a, ok := parseAddress([]byte(tt.wire))
		if got := a.String(); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%x is %v, %v; want %s", tt.wire, a, ok, tt.want)
		}
		if b := appendAddress(nil, a); ok && len(tt.wire)%2 == 0 && string(b) != tt.wire {
			t.Errorf("%v is written %x, want %x", a, b, tt.wire)
		}
	}
}
