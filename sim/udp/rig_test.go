package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
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
