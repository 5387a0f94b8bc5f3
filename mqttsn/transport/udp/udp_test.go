package udp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"dormouse/mqttsn/transport"
)

const patience = 10 * time.Second // only a failure takes that long

// config is one socket on a free port of address, and loopback for multicast.
func config(address string) Config {
	return Config{
		Address:     netip.MustParseAddrPort(address),
		Sockets:     1,
		MaxDatagram: 1024,
		Interfaces:  []string{"lo"},
	}
}

// serve opens c and returns what arrives there.
func serve(t *testing.T, c Config) (*Conn, <-chan transport.Datagram) {
	t.Helper()
	conn, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	in := make(chan transport.Datagram, 10_000)
	done := make(chan error, 1)
	go func() {
		done <- conn.Serve(t.Context(), func(batch []transport.Datagram) {
			for _, d := range batch {
				d.Buf = bytes.Clone(d.Buf)
				in <- d
			}
		})
	}()
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	return conn, in
}

func receive(t *testing.T, in <-chan transport.Datagram) transport.Datagram {
	t.Helper()
	select {
	case d := <-in:
		return d
	case <-time.After(patience):
		t.Fatal("nothing has arrived")
		return transport.Datagram{}
	}
}

// dial is a peer's plain socket.
func dial(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	peer, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	peer.SetDeadline(time.Now().Add(patience))
	return peer
}

func local(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// TestAnswer: a datagram comes with its sender's address, an answer finds the
// way back and comes from where the question went, on every kind of address.
func TestAnswer(t *testing.T) {
	for _, tt := range []struct{ listen, to string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.1"},
		{"[::1]:0", "::1"},
		{"[::]:0", "::1"},
		{"[::]:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.2"},
		{"[::]:0", "127.0.0.2"},
	} {
		t.Run(tt.listen+" from "+tt.to, func(t *testing.T) {
			conn, in := serve(t, config(tt.listen))
			peer := dial(t, netip.AddrPortFrom(netip.MustParseAddr(tt.to), conn.Addr().Port()))
			if _, err := peer.Write([]byte("question")); err != nil {
				t.Fatal(err)
			}
			d := receive(t, in)
			if string(d.Buf) != "question" || d.Peer.Addr != local(peer) || d.Multicast {
				t.Errorf("got %q from %v, multicast: %v; want it from %v", d.Buf, d.Peer, d.Multicast, local(peer))
			}
			if err := conn.Send([]transport.Datagram{{Peer: d.Peer, Buf: []byte("answer")}}); err != nil {
				t.Fatal(err)
			}
			var b [100]byte
			n, err := peer.Read(b[:]) // the peer is connected: only from the address it asked
			if err != nil || string(b[:n]) != "answer" {
				t.Errorf("the peer got %q, %v", b[:n], err)
			}
		})
	}
}

// TestBatches: more than fits a system call goes out and comes in, in order.
func TestBatches(t *testing.T) {
	const many = 5*Batch + 3
	c := config("127.0.0.1:0")
	c.ReceiveBuffer = 1 << 20
	from, _ := serve(t, c)
	to, in := serve(t, c)
	var batch []transport.Datagram
	for i := range many {
		batch = append(batch, transport.Datagram{Peer: transport.Peer{Addr: to.Addr()}, Buf: fmt.Append(nil, i)})
	}
	if err := from.Send(batch); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		if d := receive(t, in); string(d.Buf) != fmt.Sprint(i) || d.Peer.Addr != from.Addr() {
			t.Fatalf("got %q from %v, want %d from %v", d.Buf, d.Peer.Addr, i, from.Addr())
		}
	}
	if got := to.Counters.Received.Load(); got != many {
		t.Errorf("%d received, want %d", got, many)
	}
	if got := from.Counters.Sent.Load(); got != many {
		t.Errorf("%d sent, want %d", got, many)
	}
}

// TestSharedPort: with several sockets every peer is still heard, and
// answered from the one port.
func TestSharedPort(t *testing.T) {
	c := config("127.0.0.1:0")
	c.Sockets = 4
	conn, in := serve(t, c)
	if len(conn.sockets) != 4 {
		t.Errorf("%d sockets, want 4", len(conn.sockets))
	}
	peers := map[netip.AddrPort]*net.UDPConn{}
	for range 50 {
		p := dial(t, conn.Addr())
		peers[local(p)] = p
		if _, err := p.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	var answers []transport.Datagram
	for range peers {
		answers = append(answers, transport.Datagram{Peer: receive(t, in).Peer, Buf: []byte("hello too")})
	}
	for _, a := range answers { // one by one, so that every socket sends
		if err := conn.Send([]transport.Datagram{a}); err != nil {
			t.Fatal(err)
		}
	}
	for addr, p := range peers {
		var b [100]byte
		if n, err := p.Read(b[:]); err != nil || string(b[:n]) != "hello too" {
			t.Errorf("%v got %q, %v", addr, b[:n], err)
		}
	}
}

func TestPortTaken(t *testing.T) {
	plain, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	ours, _ := serve(t, config("127.0.0.1:0")) // shares its port, but with itself only
	for _, taken := range []netip.AddrPort{local(plain), ours.Addr()} {
		conn, err := Listen(config(taken.String()))
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("Listen on %v, which is taken: %v, %v; want EADDRINUSE", taken, conn, err)
		}
	}
}

func TestListenRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no length":            func(c *Config) { c.MaxDatagram = 0 },
		"length beyond UDP":    func(c *Config) { c.MaxDatagram = 65536 },
		"hop limit":            func(c *Config) { c.HopLimit = 256 },
		"unknown interface":    func(c *Config) { c.Interfaces = []string{"nosuch0"} },
		"group that is none":   func(c *Config) { c.Groups = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")} },
		"address not our own":  func(c *Config) { c.Address = netip.MustParseAddrPort("203.0.113.7:0") },
		"IPv6 address not our": func(c *Config) { c.Address = netip.MustParseAddrPort("[2001:db8::7]:0") },
	} {
		c := config("127.0.0.1:0")
		change(&c)
		if conn, err := Listen(c); err == nil {
			conn.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// TestTooLong: what is longer than MaxDatagram is dropped and counted, never
// passed on short; the longest allowed is whole.
func TestTooLong(t *testing.T) {
	conn, in := serve(t, config("127.0.0.1:0"))
	peer := dial(t, conn.Addr())
	for _, n := range []int{1025, 2000, 1024} {
		if _, err := peer.Write(bytes.Repeat([]byte{'x'}, n)); err != nil {
			t.Fatal(err)
		}
	}
	if d := receive(t, in); len(d.Buf) != 1024 {
		t.Errorf("got %d octets, want those 1024 that were allowed", len(d.Buf))
	}
	if n := conn.Counters.TooLong.Load(); n != 2 {
		t.Errorf("%d counted as too long, want 2", n)
	}
}

// TestBadAddresses: what cannot be sent is counted and keeps nothing else, and
// a peer that is gone does not stop the reader.
func TestBadAddresses(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::]:0"} {
		conn, in := serve(t, config(listen))
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), conn.Addr().Port())
		peer, gone := dial(t, to), dial(t, to)
		gone.Close()
		at := func(a netip.AddrPort, s string) transport.Datagram {
			return transport.Datagram{Peer: transport.Peer{Addr: a}, Buf: []byte(s)}
		}
		err := conn.Send([]transport.Datagram{
			at(netip.MustParseAddrPort("127.0.0.1:0"), "port 0"),
			at(local(peer), "one"),
			at(local(gone), "nobody there"),
			at(netip.AddrPort{}, "no address"),
			at(local(peer), ""),
			at(local(peer), string(make([]byte, 65535))), // more than IP carries
			at(local(peer), "two"),
		})
		if err != nil {
			t.Errorf("Send: %v; want no error for single peers", err)
		}
		for _, want := range []string{"one", "two"} {
			var b [100]byte
			if n, err := peer.Read(b[:]); err != nil || string(b[:n]) != want {
				t.Errorf("the peer got %q, %v; want %q", b[:n], err, want)
			}
		}
		if n := conn.Counters.WriteErrors.Load(); n != 4 {
			t.Errorf("%d write errors counted, want 4", n)
		}
		if _, err := peer.Write([]byte("still there?")); err != nil {
			t.Fatal(err)
		}
		if d := receive(t, in); string(d.Buf) != "still there?" {
			t.Errorf("got %q", d.Buf)
		}
	}
}

func TestReceiveBuffer(t *testing.T) {
	c := config("127.0.0.1:0")
	c.ReceiveBuffer = 50_000
	conn, _ := serve(t, c)
	if n, err := conn.ReceiveBuffer(); err != nil || n < 50_000 {
		t.Errorf("the receive buffer is %d, %v; want 50,000 or more", n, err)
	}
}

// TestStop: cancelling ends Serve and leaves the sockets to send; closing ends
// both, and what a reader has read is passed on before Close returns.
func TestStop(t *testing.T) {
	c := config("127.0.0.1:0")
	c.Sockets = 3
	conn, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	peer := dial(t, conn.Addr())

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- conn.Serve(ctx, func([]transport.Datagram) {}) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve returned %v when cancelled", err)
	}
	goodbye := []transport.Datagram{{Peer: transport.Peer{Addr: local(peer)}, Buf: []byte("goodbye")}}
	if err := conn.Send(goodbye); err != nil {
		t.Errorf("Send after Serve has ended: %v", err)
	}
	var b [100]byte
	if n, err := peer.Read(b[:]); err != nil || string(b[:n]) != "goodbye" {
		t.Errorf("the peer got %q, %v", b[:n], err)
	}

	reading, goOn, passedOn := make(chan bool), make(chan bool), false
	go func() {
		done <- conn.Serve(t.Context(), func([]transport.Datagram) {
			reading <- true
			<-goOn
			passedOn = true
		})
	}()
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-reading
	closed := make(chan error)
	go func() {
		err := conn.Close()
		if !passedOn {
			err = errors.Join(err, errors.New("Close returned before a reader had passed on what it had read"))
		}
		closed <- err
	}()
	for conn.Send(goodbye) == nil { // until Close has closed the sockets and waits
		runtime.Gosched()
	}
	close(goOn)
	if err := errors.Join(<-closed, <-done); err != nil {
		t.Error(err)
	}
	if err := conn.Send(goodbye); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send on a closed Conn: %v; want net.ErrClosed", err)
	}
}

// TestConcurrentSenders: nothing is lost or torn when all shards send at once.
func TestConcurrentSenders(t *testing.T) {
	c := config("127.0.0.1:0")
	c.ReceiveBuffer = 4 << 20
	to, in := serve(t, c)
	c.Sockets = 2
	from, _ := serve(t, c)
	const senders, each = 4, 100
	for s := range senders {
		go func() {
			for i := range each {
				d := transport.Datagram{Peer: transport.Peer{Addr: to.Addr()}, Buf: fmt.Appendf(nil, "%d/%d", s, i)}
				if err := from.Send([]transport.Datagram{d}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	var got []string
	for range senders * each {
		got = append(got, string(receive(t, in).Buf))
	}
	slices.Sort(got)
	if got := slices.Compact(got); len(got) != senders*each {
		t.Errorf("%d different datagrams arrived, want %d", len(got), senders*each)
	}
}

// TestLocalsOverARestart: an address by which peers know us has a number again
// in the Conn of the next process, whichever order they come in; one that is
// not ours has none.
func TestLocalsOverARestart(t *testing.T) {
	c, _ := serve(t, config("0.0.0.0:0"))
	for _, host := range []string{"127.0.0.2", "127.0.0.3"} {
		a := netip.MustParseAddr(host)
		n := c.LocalNumber(a)
		if n == 0 || c.LocalNumber(a) != n || c.LocalAddr(n) != a {
			t.Errorf("%v has the number %d, which is %v", a, n, c.LocalAddr(n))
		}
	}
	if n := c.LocalNumber(netip.MustParseAddr("192.0.2.1")); n != 0 || c.LocalAddr(n).IsValid() {
		t.Errorf("an address of others has the number %d", n)
	}
	one, _ := serve(t, config("127.0.0.1:0"))
	if n := one.LocalNumber(netip.MustParseAddr("127.0.0.1")); n != 0 {
		t.Errorf("who has but one address numbers it %d", n)
	}
}
