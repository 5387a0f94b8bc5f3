package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"dormouse/mqttsn"
)

// A gateway is a socket that says back what it hears and remembers from whom
// it heard it.
type gateway struct {
	addr  netip.AddrPort
	count int // datagrams

	mu    sync.Mutex
	more  *sync.Cond                 // of mu: count has grown
	peers map[string]map[string]bool // what was said, by whom
}

// newGateway echoes on a until the test ends.
func newGateway(t testing.TB, a string) *gateway {
	t.Helper()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(a)))
	if err != nil {
		t.Skip(err) // no IPv6 here
	}
	udp.SetReadBuffer(16 << 20)
	g := &gateway{addr: udp.LocalAddr().(*net.UDPAddr).AddrPort(), peers: make(map[string]map[string]bool)}
	g.more = sync.NewCond(&g.mu)
	t.Cleanup(func() { udp.Close() })
	go g.serve(udp)
	return g
}

func (g *gateway) serve(udp *net.UDPConn) {
	c := ipv4.NewPacketConn(udp) // batches are alike on both families
	ms := make([]ipv4.Message, 64)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	for {
		n, err := c.ReadBatch(ms, 0)
		if err != nil {
			return
		}
		g.mu.Lock()
		out := ms[:n]
		for i := range out {
			b := out[i].Buffers[0][:out[i].N]
			peer := out[i].Addr.String()
			if mqttsn.Encapsulated(mqttsn.V12, b) {
				e, inner, err := mqttsn.Unwrap(mqttsn.V12, b)
				if err != nil {
					panic(err)
				}
				peer, b = fmt.Sprintf("%s/%x", peer, e.Node), inner
			}
			g.count++
			if g.peers[peer] == nil {
				g.peers[peer] = make(map[string]bool)
			}
			g.peers[peer][string(b)] = true
			udp.WriteTo(out[i].Buffers[0][:out[i].N], out[i].Addr)
		}
		g.more.Broadcast()
		g.mu.Unlock()
	}
}

// await returns when the gateway has heard n datagrams, and answered them.
func (g *gateway) await(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.count < n {
		g.more.Wait()
	}
}

func modesOf(n int, m Mode) []Mode {
	modes := make([]Mode, n)
	for i := range modes {
		modes[i] = m
	}
	return modes
}

func open(t testing.TB, c Config) *Network {
	t.Helper()
	n, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// exchange has each of the endpoints say its number until it has heard it
// back, and fails if one hears another's.
func exchange(t *testing.T, n *Network, shard int, endpoints []int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	open := make(map[int32]bool)
	for _, e := range endpoints {
		open[e] = true
	}
	for len(open) > 0 && ctx.Err() == nil {
		var batch []Datagram
		for e := range open {
			batch = append(batch, Datagram{e, fmt.Appendf(nil, "device %d/%d", shard, e)})
			if len(batch) == 500 {
				break
			}
		}
		if err := n.Send(shard, batch); err != nil {
			t.Fatal(err)
		}
		for before := -1; len(open) != before && ctx.Err() == nil; {
			before = len(open)
			err := n.Receive(shard, time.Second, func(batch []Datagram) {
				for _, d := range batch {
					if want := fmt.Sprintf("device %d/%d", shard, d.Endpoint); string(d.Buf) != want {
						t.Errorf("endpoint %d got %q, want %q", d.Endpoint, d.Buf, want)
					}
					delete(open, d.Endpoint)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(open) == 0 || len(open) <= len(endpoints)-500 {
				break
			}
		}
	}
	if len(open) > 0 {
		t.Fatalf("%d of %d endpoints heard nothing", len(open), len(endpoints))
	}
}

func upTo(n int) (e []int32) {
	for i := range n {
		e = append(e, int32(i))
	}
	return e
}

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

// listen opens a socket of the test's own.
func listen(t *testing.T, a string) *net.UDPConn {
	t.Helper()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(a)))
	if err != nil {
		t.Skip(err) // no IPv6 here
	}
	t.Cleanup(func() { udp.Close() })
	return udp
}

func addrOf(udp *net.UDPConn) netip.AddrPort { return udp.LocalAddr().(*net.UDPAddr).AddrPort() }

// freePort returns a port that was free.
func freePort(t *testing.T) uint16 {
	t.Helper()
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	return udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
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
