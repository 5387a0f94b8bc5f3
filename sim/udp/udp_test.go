package udp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const devices = 2000

// TestModes has 2,000 devices in two shards, in each mode: the gateway sees as
// many peers, and each device hears what it said, and nothing else.
func TestModes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   Mode
		listen string
		prefix string
	}{
		{"address", Address, "127.0.0.1:0", ""},
		{"port", Port, "127.0.0.1:0", ""},
		{"node", Node, "127.0.0.1:0", ""},
		{"port on IPv6", Port, "[::1]:0", ""},
		{"node on IPv6", Node, "[::1]:0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, tt.listen)
			n := open(t, Config{Target: g.addr})
			for shard := range 2 {
				if err := n.Attach(shard, modesOf(devices/2, tt.mode)); err != nil {
					t.Fatal(err)
				}
				exchange(t, n, shard, upTo(devices/2))
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if len(g.peers) != devices {
				t.Errorf("the gateway saw %d peers, want %d", len(g.peers), devices)
			}
			for peer, said := range g.peers {
				if len(said) != 1 {
					t.Errorf("%s is %d devices", peer, len(said))
				}
			}
		})
	}
}

// TestRebinding has a device change its endpoint, as behind a NAT that forgot
// it: the gateway hears it from elsewhere, and reaches it there.
func TestRebinding(t *testing.T) {
	for mode, name := range []string{"address", "port", "node"} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, "127.0.0.1:0")
			n := open(t, Config{Target: g.addr})
			if err := n.Attach(0, modesOf(2, Mode(mode))); err != nil {
				t.Fatal(err)
			}
			exchange(t, n, 0, []int32{0})
			exchange(t, n, 0, []int32{1})
			g.mu.Lock()
			defer g.mu.Unlock()
			if len(g.peers) != 2 {
				t.Errorf("the gateway saw %d peers, want 2", len(g.peers))
			}
		})
	}
}

// TestMixed has groups of all modes in one shard.
func TestMixed(t *testing.T) {
	g := newGateway(t, "127.0.0.1:0")
	n := open(t, Config{Target: g.addr})
	modes := append(append(modesOf(100, Node), modesOf(100, Address)...), modesOf(100, Port)...)
	if err := n.Attach(0, modes); err != nil {
		t.Fatal(err)
	}
	exchange(t, n, 0, upTo(300))
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.peers) != 300 {
		t.Errorf("the gateway saw %d peers, want 300", len(g.peers))
	}
}

// TestStranger drops what does not come from the target.
func TestStranger(t *testing.T) {
	for _, tt := range []struct {
		name, target string
		mode         Mode
	}{
		{"address", "127.0.0.1:0", Address},
		{"port", "127.0.0.1:0", Port},
		{"port on IPv6", "[::1]:0", Port},
		{"node", "127.0.0.1:0", Node},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, stranger := listen(t, tt.target), listen(t, tt.target)
			n := open(t, Config{Target: addrOf(target)})
			if err := n.Attach(0, modesOf(1, tt.mode)); err != nil {
				t.Fatal(err)
			}
			if err := n.Send(0, []Datagram{{Buf: []byte("hello")}}); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			size, device, err := target.ReadFromUDPAddrPort(b)
			if err != nil {
				t.Fatal(err)
			}
			b = b[:size] // in its envelope, if it came in one
			if _, err := stranger.WriteToUDPAddrPort(b, device); err != nil {
				t.Fatal(err)
			}
			for n.Strangers() == 0 && t.Context().Err() == nil {
				err := n.Receive(0, time.Second, func(batch []Datagram) { t.Errorf("passed on %q", batch[0].Buf) })
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestNobody drops what comes to an address that no device has, and refuses
// to send from one.
func TestNobody(t *testing.T) {
	target := listen(t, "127.0.0.1:0")
	n := open(t, Config{Target: addrOf(target), Port: freePort(t)})
	if err := n.Attach(0, []Mode{Address, Node}); err != nil {
		t.Fatal(err)
	}
	for i, to := range []string{"127.0.1.1", "127.0.1.2", "127.0.0.255"} {
		a := netip.AddrPortFrom(netip.MustParseAddr(to), n.cfg.Port)
		if _, err := target.WriteToUDPAddrPort([]byte("hello"), a); err != nil {
			t.Fatal(err)
		}
		for n.Strangers() <= uint64(i) && t.Context().Err() == nil {
			err := n.Receive(0, time.Second, func(batch []Datagram) { t.Errorf("%s is endpoint %d", to, batch[0].Endpoint) })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range []int32{-1, 2} {
		if err := n.Send(0, []Datagram{{Endpoint: e}}); err == nil {
			t.Errorf("endpoint %d of 2 sent something", e)
		}
	}
}

// TestWake ends a wait from another goroutine, also one that has not begun.
func TestWake(t *testing.T) {
	g := newGateway(t, "127.0.0.1:0")
	n := open(t, Config{Target: g.addr})
	if err := n.Attach(0, modesOf(1, Address)); err != nil {
		t.Fatal(err)
	}
	nothing := func([]Datagram) { t.Error("something came") }
	for i := range 100 {
		woken := make(chan struct{})
		go func() {
			n.Wake(0)
			close(woken)
		}()
		if i%2 == 0 {
			<-woken // before the wait
		}
		if err := n.Receive(0, time.Hour, nothing); err != nil {
			t.Fatal(err)
		}
		<-woken
		if i%2 == 1 { // it may have come after a wait that ended by itself
			n.shards[0].woken.Store(false)
		}
	}
}

// TestShed counts what the kernel drops because nobody reads.
func TestShed(t *testing.T) {
	for mode, name := range []string{"address", "port", "node"} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, "127.0.0.1:0")
			n := open(t, Config{Target: g.addr, ReceiveBuffer: 1}) // the kernel's least
			if err := n.Attach(0, modesOf(1, Mode(mode))); err != nil {
				t.Fatal(err)
			}
			const said = 2000
			for i := 0; i < said; i += 100 {
				batch := make([]Datagram, 100)
				for i := range batch {
					batch[i].Buf = []byte("hello")
				}
				if err := n.Send(0, batch); err != nil {
					t.Fatal(err)
				}
				g.await(i + 100) // its answers are dropped one by one
			}
			got := 0
			for before := -1; got != before; {
				before = got
				if err := n.Receive(0, 0, func(batch []Datagram) { got += len(batch) }); err != nil {
					t.Fatal(err)
				}
			}
			n.shards[0].count(time.Now())
			if shed := n.Shed(0); shed == 0 || got+int(shed) != said {
				t.Errorf("got %d of %d, and %d were shed", got, said, shed)
			}
		})
	}
}

// TestRefused sends what the kernel takes, and counts what it does not.
func TestRefused(t *testing.T) {
	for mode, name := range []string{"address", "port", "node"} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, "127.0.0.1:0")
			n := open(t, Config{Target: g.addr})
			if err := n.Attach(0, modesOf(1, Mode(mode))); err != nil {
				t.Fatal(err)
			}
			short, long := Datagram{Buf: []byte("hello")}, Datagram{Buf: make([]byte, 70_000)}
			if err := n.Send(0, []Datagram{short, long, short}); err != nil {
				t.Fatal(err)
			}
			g.await(2)
			n.shards[0].count(time.Now())
			if shed := n.Shed(0); shed != 1 {
				t.Errorf("%d were shed, want 1", shed)
			}
		})
	}
}

// TestTooManySockets says how many are needed, and how many there may be.
func TestTooManySockets(t *testing.T) {
	err := makeRoom(1 << 30)
	if err == nil {
		t.Fatal("there is room for a thousand million sockets")
	}
	for _, want := range []string{"1073741824", "ulimit"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q says nothing of %s", err, want)
		}
	}
}

// TestTooManyAddresses refuses more devices than a prefix has addresses.
func TestTooManyAddresses(t *testing.T) {
	n := open(t, Config{Target: netip.MustParseAddrPort("127.0.0.1:1"), Prefix: netip.MustParsePrefix("127.5.0.0/24")})
	if err := n.Attach(0, modesOf(254, Address)); err != nil {
		t.Error(err)
	}
	if err := n.Attach(1, modesOf(255, Address)); err == nil {
		t.Error("255 devices have an address of 127.5.0.0/24 each")
	}
}

// TestPool gives a device no address that somebody may listen on, and knows it
// by that which it has.
func TestPool(t *testing.T) {
	for _, tt := range []struct {
		prefix, target, first, last string
		n                           int32
	}{
		{"", "127.0.0.1", "127.0.1.0", "127.255.255.254", 1<<24 - 256 - 1},
		{"10.9.8.0/24", "10.9.9.9", "10.9.8.1", "10.9.8.254", 254},
		{"fd00:5e45::/64", "::1", "fd00:5e45::1", "fd00:5e45::7fff:ffff", 1<<31 - 1},
		{"fd00:5e45::700/120", "::1", "fd00:5e45::701", "fd00:5e45::7fe", 254},
	} {
		var prefix netip.Prefix
		if tt.prefix != "" {
			prefix = netip.MustParsePrefix(tt.prefix)
		}
		p, err := newPool(prefix, netip.MustParseAddr(tt.target))
		if err != nil || p.check(int(tt.n)) != nil {
			t.Fatalf("%s: %v, %v", tt.prefix, err, p.check(int(tt.n)))
		}
		for e, want := range map[int32]string{0: tt.first, tt.n - 1: tt.last} {
			a := make([]byte, netip.MustParseAddr(want).BitLen()/8)
			p.put(a, e)
			if got, _ := netip.AddrFromSlice(a); got.String() != want || p.endpoint(a) != uint32(e) {
				t.Errorf("endpoint %d is %v, want %s; that is endpoint %d", e, got, want, p.endpoint(a))
			}
		}
	}
}

// TestSecured: endpoints that are secured speak to the other target, and hear it
// alone.
func TestSecured(t *testing.T) {
	clear, secured := newGateway(t, "127.0.0.1:0"), newGateway(t, "127.0.0.1:0")
	n := open(t, Config{Target: clear.addr, Secured: secured.addr})
	modes := []Mode{Address, Address | Secured, Port, Port | Secured}
	if err := n.Attach(0, modes); err != nil {
		t.Fatal(err)
	}
	exchange(t, n, 0, upTo(len(modes)))
	for _, g := range []*gateway{clear, secured} {
		g.mu.Lock()
		defer g.mu.Unlock()
		for peer, said := range g.peers {
			for text := range said {
				var shard, e int
				if _, err := fmt.Sscanf(text, "device %d/%d", &shard, &e); err != nil || (modes[e]&Secured != 0) != (g == secured) {
					t.Errorf("%s says %q to the wrong one", peer, text)
				}
			}
		}
		if len(g.peers) != 2 {
			t.Errorf("%d endpoints have spoken to one, want 2", len(g.peers))
		}
	}
}
