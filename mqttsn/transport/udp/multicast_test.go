package udp

import (
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"dormouse/mqttsn/transport"
)

// ipv6Link names an interface that routes IPv6 multicast. Linux gives the
// loopback interface no such route, so it is another one; with a hop limit of
// zero nothing leaves the host by it. Where there is none, root makes one.
func ipv6Link(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 {
			continue
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() == nil {
				return i.Name
			}
		}
	}
	return makeLink(t)
}

// makeLink makes a pair of interfaces that lead to each other, for one test.
func makeLink(t *testing.T) string {
	t.Helper()
	const name, other = "dormouse0", "dormouse1"
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("no interface has IPv6 and multicast, and none can be made: ip %v: %v: %s", args, err, out)
		}
	}
	ip("link", "add", name, "type", "veth", "peer", "name", other)
	t.Cleanup(func() { ip("link", "del", name) })
	ip("link", "set", other, "up")
	ip("link", "set", name, "up")
	ip("-6", "addr", "add", "fe80::1884/64", "dev", name, "nodad")
	return name
}

// TestMulticast: what is sent to a group arrives once, marked, beside unicast
// on the same port, which is not; and an answer finds the way back.
func TestMulticast(t *testing.T) {
	for _, tt := range []struct{ listen, group, sender string }{
		{"0.0.0.0:0", "239.255.18.84", "127.0.0.1:0"},
		{"127.0.0.1:0", "239.255.18.84", "127.0.0.1:0"},
		{"[::]:0", "239.255.18.84", "127.0.0.1:0"},
		{"[::]:0", "ff02::1884", "[::]:0"},
		{"[::]:0", "ff05::1884", "[::]:0"},
	} {
		t.Run(tt.listen+" in "+tt.group, func(t *testing.T) {
			group := netip.MustParseAddr(tt.group)
			links := []string{"lo"}
			if group.Is6() {
				links = []string{ipv6Link(t)}
			}
			c := config(tt.listen)
			c.Sockets = 2
			c.Interfaces = links
			c.Groups = []netip.AddrPort{netip.AddrPortFrom(group, 0)}
			conn, in := serve(t, c)

			c = config(tt.sender)
			c.Interfaces = links
			sender, answers := serve(t, c)
			ask := func(a netip.Addr, s string) transport.Datagram {
				t.Helper()
				to := transport.Peer{Addr: netip.AddrPortFrom(a, conn.Addr().Port())}
				if err := sender.Send([]transport.Datagram{{Peer: to, Buf: []byte(s)}}); err != nil {
					t.Fatal(err)
				}
				return receive(t, in)
			}
			d := ask(group, "searching")
			if string(d.Buf) != "searching" || !d.Multicast || d.Peer.Addr.Port() != sender.Addr().Port() {
				t.Errorf("got %q from %v, multicast: %v", d.Buf, d.Peer, d.Multicast)
			}
			if err := conn.Send([]transport.Datagram{{Peer: d.Peer, Buf: []byte("here")}}); err != nil {
				t.Fatal(err)
			}
			if d := receive(t, answers); string(d.Buf) != "here" || d.Peer.Addr.Port() != conn.Addr().Port() {
				t.Errorf("the answer is %q from %v", d.Buf, d.Peer)
			}
			loopback := netip.MustParseAddr("127.0.0.1")
			if d := ask(loopback, "you alone"); string(d.Buf) != "you alone" || d.Multicast {
				t.Errorf("got %q, multicast: %v; want the unicast datagram next", d.Buf, d.Multicast)
			}
		})
	}
}

// TestOtherGroups: a group that only another process has joined is not ours to
// hear.
func TestOtherGroups(t *testing.T) {
	c := config("0.0.0.0:0")
	conn, in := serve(t, c)
	port := conn.Addr().Port()

	theirs := config("127.0.0.1:0")
	theirs.Groups = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("239.255.18.85"), port)}
	sender, heard := serve(t, theirs)
	for _, a := range []string{"239.255.18.85", "127.0.0.1"} {
		d := transport.Datagram{Peer: transport.Peer{Addr: netip.AddrPortFrom(netip.MustParseAddr(a), port)}, Buf: []byte(a)}
		if err := sender.Send([]transport.Datagram{d}); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, heard)
	if d := receive(t, in); string(d.Buf) != "127.0.0.1" {
		t.Errorf("got %q, which was for a group we have not joined", d.Buf)
	}
}

// TestEveryInterface: without names, a group is heard wherever it can be, and
// what comes by one interface arrives once.
func TestEveryInterface(t *testing.T) {
	group := netip.MustParseAddr("239.255.18.86")
	c := config("127.0.0.1:0")
	c.Interfaces = nil
	c.Groups = []netip.AddrPort{netip.AddrPortFrom(group, 0)}
	conn, in := serve(t, c)
	sender, _ := serve(t, config("127.0.0.1:0"))
	for _, to := range []netip.Addr{group, conn.Addr().Addr()} {
		d := transport.Datagram{Peer: transport.Peer{Addr: netip.AddrPortFrom(to, conn.Addr().Port())}, Buf: []byte("x")}
		if err := sender.Send([]transport.Datagram{d}); err != nil {
			t.Fatal(err)
		}
		if d := receive(t, in); d.Multicast != to.IsMulticast() {
			t.Errorf("a datagram to %v arrived with multicast: %v", to, d.Multicast)
		}
	}
}

// TestHopLimit: an advertisement travels as far as it was told.
func TestHopLimit(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	group := &net.UDPAddr{IP: net.IPv4(239, 255, 18, 87)}
	hears, err := net.ListenMulticastUDP("udp4", lo, group)
	if err != nil {
		t.Fatal(err)
	}
	defer hears.Close()
	ttl := ipv4.NewPacketConn(hears)
	if err := ttl.SetControlMessage(ipv4.FlagTTL, true); err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{"127.0.0.1:0", "[::]:0"} {
		c := config(listen)
		c.HopLimit = 7
		sender, _ := serve(t, c)
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(group.IP.To4())), local(hears).Port())
		if err := sender.Send([]transport.Datagram{{Peer: transport.Peer{Addr: to}, Buf: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		hears.SetDeadline(time.Now().Add(patience))
		var b [10]byte
		if _, cm, _, err := ttl.ReadFrom(b[:]); err != nil || cm.TTL != 7 {
			t.Errorf("from %s: %v, %v; want a hop limit of 7", listen, cm, err)
		}
	}
}
