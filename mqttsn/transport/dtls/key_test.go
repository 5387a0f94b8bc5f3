package dtls

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
)

func withWrongKey(identity string) []piondtls.ClientOption {
	return append(withKey(identity), piondtls.WithPSK(func([]byte) ([]byte, error) { return []byte("another key, sir"), nil }))
}

// TestWrongKey: who has a wrong key is told so at once, and keeps no handshake,
// whatever a handshake may take; by the right one it gets in from the same port.
func TestWrongKey(t *testing.T) {
	for _, options := range [][]piondtls.ClientOption{nil, {withCID}} {
		t.Run(fmt.Sprint("cid=", len(options) > 0), func(t *testing.T) {
			c := testConfig()
			c.HandshakeTimeout = 5 * time.Minute
			h := open(t, c, &handshake.Credentials{PSK: oneKey}, loopback)
			r := newRadio(t, h.addr, nil)
			_, err := tryDial(t, r, append(withWrongKey("sensor"), options...)...)
			if err == nil || !strings.Contains(err.Error(), "DecryptError") {
				t.Fatalf("with a wrong key: %v", err)
			}
			eventually(t, "ended", func() bool { return h.figure("dormouse_dtls_handshakes") == 0 })
			if n := h.figure(`dormouse_dtls_handshakes_failed_total{reason="key"}`); n != 1 {
				t.Errorf("%d are counted, want 1\n%s", n, h.figures())
			}
			r.Close()
			s, err := tryDial(t, newRadioAt(t, r.LocalAddr().(*net.UDPAddr), h.addr, nil), append(withKey("sensor"), options...)...)
			if err != nil {
				t.Fatal(err)
			}
			s.says("here")
			h.hears("here")
		})
	}
}

// TestHostileIdentities: an identity that no file of keys has lets nobody in,
// whatever is in it, and the next sensor comes in all the same.
func TestHostileIdentities(t *testing.T) {
	c := testConfig()
	keys := map[string]bool{"sensor": true}
	h := open(t, c, &handshake.Credentials{PSK: func(identity []byte) ([]byte, bool) { return testKey, keys[string(identity)] }}, loopback)
	for i, identity := range []string{"", "\x00", "sensor\x00", "\x00sensor", "sensor\n", "sensor\r\nlevel=error", "\xff\xfe", "sensor:", "SENSOR",
		"{clientid}", "{identity}", "#", "+/sensor", "$SYS/#", "../../psk", strings.Repeat("s", 129), strings.Repeat("sensor", 1000)} {
		options := append(withKey("sensor"), piondtls.WithPSKIdentityHint([]byte(identity)), piondtls.WithFlightInterval(time.Hour))
		r := newRadio(t, h.addr, nil)
		conn, err := piondtls.ClientWithOptions(r, r.server, options...)
		if err != nil {
			continue // pion itself would not have it
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- conn.HandshakeContext(ctx) }()
		failed := func() uint64 {
			return h.figure(`dormouse_dtls_handshakes_failed_total{reason="key"}`) + h.figure(`dormouse_dtls_handshakes_failed_total{reason="protocol"}`)
		}
		before := failed()
		eventually(t, fmt.Sprintf("identity %d refused", i), func() bool { return failed() > before || len(ended) > 0 })
		cancel()
		if err := <-ended; err == nil {
			t.Errorf("%.40q is let in", identity)
		}
		r.Close()
	}
	if n := h.figure("dormouse_dtls_associations"); n != 0 {
		t.Fatalf("%d are in", n)
	}
	s := dial(t, h.addr, append(withKey("sensor"), withCID)...)
	s.says("here")
	h.hears("here")
}

// TestSecondThoughts: a sensor that loses its memory in the middle of a handshake
// begins anew from the same port, and need not wait for the first to be over.
func TestSecondThoughts(t *testing.T) {
	c := testConfig()
	c.HandshakeTimeout = 5 * time.Minute
	h := open(t, c, &handshake.Credentials{PSK: oneKey}, loopback)
	r := newRadio(t, h.addr, func(b []byte) bool { return len(b) > 13 && b[13] == 2 }) // ServerHello
	ctx, forget := context.WithCancel(context.Background())
	conn, err := piondtls.ClientWithOptions(r, r.server, withKey("sensor")...)
	if err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	over.Go(func() { conn.HandshakeContext(ctx) })
	eventually(t, "begun", func() bool { return h.figure("dormouse_dtls_handshakes") == 1 })
	forget()
	over.Wait()
	r.Close()
	s, err := tryDial(t, newRadioAt(t, r.LocalAddr().(*net.UDPAddr), h.addr, nil), withKey("sensor")...)
	if err != nil {
		t.Fatal(err)
	}
	s.says("here")
	h.hears("here")
}

// A street is a transport in memory, with sensors at any address.
type street struct {
	mu      sync.Mutex
	sink    func([]transport.Datagram)
	sensors map[netip.AddrPort]*walker
}

func (s *street) Serve(ctx context.Context, sink func([]transport.Datagram)) error {
	s.mu.Lock()
	s.sink = sink
	s.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (s *street) Send(batch []transport.Datagram) error {
	for _, d := range batch {
		s.mu.Lock()
		w := s.sensors[d.Peer.Addr]
		s.mu.Unlock()
		if w != nil {
			select {
			case w.in <- bytes.Clone(d.Buf):
			default:
			}
		}
	}
	return nil
}

// A walker is the network of a sensor in a street.
type walker struct {
	*radio
	street *street
	at     netip.AddrPort
}

func (s *street) walker(at netip.AddrPort) *walker {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &walker{&radio{server: net.UDPAddrFromAddrPort(home), in: make(chan []byte, 64), closed: make(chan struct{}), deadline: make(chan struct{})}, s, at}
	s.sensors[at] = w
	return w
}

func (w *walker) WriteTo(b []byte, _ net.Addr) (int, error) {
	w.street.sink([]transport.Datagram{{Peer: transport.Peer{Addr: w.at}, Buf: bytes.Clone(b)}})
	return len(b), nil
}

func (w *walker) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *walker) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(w.at) }

// dial has the sensor do its handshake.
func (w *walker) dial(ctx context.Context, options ...piondtls.ClientOption) (*piondtls.Conn, error) {
	conn, err := piondtls.ClientWithOptions(w, w.server, options...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return conn, conn.HandshakeContext(ctx)
}

// TestFloodOfWrongKeys: sensors get in while many try keys, without a break and
// from other networks and their own; and those that are in are heard.
func TestFloodOfWrongKeys(t *testing.T) {
	c := testConfig()
	c.HandshakeTimeout = 5 * time.Minute
	c.MaxHandshakes, c.HandshakesPerPrefix = 32, 16
	c.Rate, c.RatePerPrefix = 1e6, 1e6
	s := &street{sensors: make(map[netip.AddrPort]*walker)}
	l, err := New(c, &handshake.Credentials{PSK: oneKey}, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	heard := make(chan string, 100)
	var all sync.WaitGroup
	all.Go(func() {
		l.Serve(ctx, func(batch []transport.Datagram) {
			for _, d := range batch {
				heard <- string(d.Buf)
			}
		})
	})
	defer all.Wait()
	defer cancel()
	eventually(t, "serving", l.door.opened.Load)
	eventually(t, "listening", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.sink != nil })

	for attacker := range 4 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w := s.walker(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(attacker), byte(i)}), uint16(1000+i)))
				if conn, err := w.dial(ctx, withWrongKey("sensor")...); err == nil {
					t.Error("a wrong key is let in")
					conn.Close()
				}
				w.Close()
			}
		})
	}
	canary, err := s.walker(netip.MustParseAddrPort("192.0.2.77:7")).dial(ctx, append(withKey("sensor"), withCID)...)
	if err != nil {
		t.Fatal(err)
	}
	tried := func() uint64 { return figure(l, `dormouse_dtls_handshakes_failed_total{reason="key"}`) }
	for i := range 5 {
		before := tried()
		eventually(t, "trying", func() bool { return tried() >= before+40 }) // more than there is room for
		network := []byte{200, byte(i % 4)}[i%2]
		one, err := s.walker(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, network, 7}), uint16(60000+i))).dial(ctx, withKey("sensor")...)
		if err != nil {
			t.Fatalf("sensor %d, of network 10.0.%d.0: %v", i, network, err)
		}
		for who, conn := range map[string]*piondtls.Conn{"sensor": one, "canary": canary} {
			conn.Write([]byte(who))
			if got := <-heard; got != who {
				t.Errorf("heard %q, want %q", got, who)
			}
		}
	}
	if n := figure(l, `dormouse_dtls_handshakes_failed_total{reason="evicted"}`); n > 0 {
		t.Errorf("%d handshakes had to give way", n)
	}
}

// TestFoulHost: who tries keys one after the other, from many ports, takes up
// little of what its network may have.
func TestFoulHost(t *testing.T) {
	c := testConfig()
	now := handClock(&c)
	c.RatePerPrefix, c.MaxHandshakes, c.HandshakesPerPrefix = 40, 1000, 1000
	b := flood(t, c)
	hello := aHello(t)
	from := func(host byte, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), uint16(port))
	}
	b.knocks(t, from(66, 1000), hello)
	b.door.mu.Lock()
	b.door.end(b.door.byAddr[from(66, 1000)], errTooMuch)
	b.door.mu.Unlock()
	eventually(t, "failed", func() bool { return figure(b.Listener, `dormouse_dtls_handshakes_failed_total{reason="octets"}`) == 1 })
	now.Add(int64(2 * time.Second))
	begun := func() uint64 { return figure(b.Listener, "dormouse_dtls_handshakes_begun_total") }
	before := begun()
	for i := range 200 {
		b.knocks(t, from(66, 2000+i), hello)
	}
	if n := begun() - before; n != 5 {
		t.Errorf("%d handshakes have begun, want 5 of 40", n)
	}
	before = begun()
	for host := range byte(20) {
		b.knocks(t, from(host, 1000), hello)
	}
	if n := begun() - before; n != 20 {
		t.Errorf("%d of its 20 neighbours have begun theirs", n)
	}
}

// TestSuspects: networks with which handshakes fail, however many they are, have
// half of the handshakes in all; others have the rest. Whoever is let in has
// made up for it, and so has time.
func TestSuspects(t *testing.T) {
	c := testConfig()
	now := handClock(&c)
	c.Rate, c.RatePerPrefix, c.MaxHandshakes = 100, 100, 1000
	b := flood(t, c)
	hello := aHello(t)
	of := func(network, host int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(network), 0, byte(host)}), 4000)
	}
	begun := func() uint64 { return figure(b.Listener, "dormouse_dtls_handshakes_begun_total") }
	for network := range 80 {
		b.knocks(t, of(network, 1), hello)
		b.door.mu.Lock()
		b.door.end(b.door.byAddr[of(network, 1)], errTooMuch)
		b.door.mu.Unlock()
	}
	eventually(t, "failed", func() bool { return figure(b.Listener, `dormouse_dtls_handshakes_failed_total{reason="octets"}`) == 80 })
	now.Add(int64(2 * time.Second))
	before := begun()
	for network := range 80 {
		b.knocks(t, of(network, 2), hello)
	}
	if n := begun() - before; n != 50 {
		t.Errorf("%d handshakes of those that have failed; want 50 of 100", n)
	}
	for network := 100; network < 120; network++ {
		b.knocks(t, of(network, 1), hello)
	}
	if n := begun() - before; n != 70 {
		t.Errorf("others have begun %d handshakes; want 20", n-50)
	}
	now.Add(int64(time.Minute))
	before = begun()
	for network := range 80 {
		b.knocks(t, of(network, 3), hello)
	}
	if n := begun() - before; n != 80 {
		t.Errorf("%d of 80 handshakes after a minute", n)
	}
}
