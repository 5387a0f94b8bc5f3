package dtls

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/mqttsn/transport/udp"
)

// patience is for what has to come, but takes as long as the machine likes.
const patience = 20 * time.Second

var (
	testKey    = []byte("0123456789abcdef")
	testSecret = []byte("known to nobody else")
)

func oneKey(identity []byte) ([]byte, bool) {
	return testKey, bytes.HasPrefix(identity, []byte("sensor"))
}

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	a := &authority{pool: x509.NewCertPool()}
	issued := a.issue(t, "authority")
	a.cert, a.key = issued.Leaf, issued.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// issue returns a certificate for a name, its own authority if a has none yet.
func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: a.cert == nil,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// A house is a Listener on loopback that answers "ack " and what it was sent.
type house struct {
	*Listener
	tap  *tap
	t    testing.TB
	addr netip.AddrPort
	got  chan transport.Datagram // what was passed on
	stop func()
}

// A tap is a transport that keeps what is received.
type tap struct {
	*udp.Conn
	mu       sync.Mutex
	received [][]byte
}

func (p *tap) Serve(ctx context.Context, sink func([]transport.Datagram)) error {
	return p.Conn.Serve(ctx, func(batch []transport.Datagram) {
		p.mu.Lock()
		for _, d := range batch {
			p.received = append(p.received, bytes.Clone(d.Buf))
		}
		p.mu.Unlock()
		sink(batch)
	})
}

// last are the last n of them.
func (p *tap) last(n int) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received[len(p.received)-n:]
}

func testConfig() Config {
	c := DefaultConfig()
	c.HandshakeTimeout, c.Secret = patience, testSecret
	return c
}

// handClock has c go by a clock that is moved by hand.
func handClock(c *Config) *atomic.Int64 {
	now := new(atomic.Int64)
	now.Store(int64(1000 * time.Hour))
	c.Clock = func() clock.Time { return clock.Time(now.Load()) }
	return now
}

// open serves c on an address; its port may be 0.
func open(t testing.TB, c Config, cred *handshake.Credentials, at netip.AddrPort) *house {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	conn, err := udp.Listen(udp.Config{Address: at, Sockets: 2, MaxDatagram: MinDatagram, ReceiveBuffer: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	tap := &tap{Conn: conn}
	l, err := New(c, cred, tap)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	h := &house{Listener: l, tap: tap, t: t, addr: conn.Addr(), got: make(chan transport.Datagram, 1<<14)}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- l.Serve(ctx, h.answer) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		conn.Close()
	})
	t.Cleanup(h.stop)
	return h
}

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func (h *house) answer(batch []transport.Datagram) {
	var out []transport.Datagram
	for _, d := range batch {
		d.Buf = bytes.Clone(d.Buf)
		h.got <- d
		out = append(out, transport.Datagram{Peer: d.Peer, Buf: append([]byte("ack "), d.Buf...)})
	}
	h.Send(out)
}

// hears waits for the next datagram that is passed on.
func (h *house) hears(want string) transport.Peer {
	h.t.Helper()
	select {
	case d := <-h.got:
		if string(d.Buf) != want {
			h.t.Fatalf("heard %q, want %q", d.Buf, want)
		}
		return d.Peer
	case <-time.After(patience):
		h.t.Fatalf("did not hear %q; %s", want, h.figures())
	}
	return transport.Peer{}
}

func (h *house) figures() string {
	var b bytes.Buffer
	Each([]*Listener{h.Listener}, func(name, _, label string, value uint64) {
		if value > 0 {
			fmt.Fprintf(&b, "%s{%s} %d\n", name, label, value)
		}
	})
	return b.String()
}

// figure is one of h's.
func (h *house) figure(name string) (n uint64) { return figure(h.Listener, name) }

func figure(l *Listener, name string) (n uint64) {
	known := false
	Each([]*Listener{l}, func(is, _, label string, value uint64) {
		if label != "" {
			is += "{" + label + "}"
		}
		if is == name {
			known, n = true, value
		}
	})
	if !known {
		panic("there is no " + name)
	}
	return n
}

// eventually waits until what another goroutine does is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s in %v", what, patience)
		}
	}
}

// A sensor is a pion client whose address can change, and which can fail to
// hear.
type sensor struct {
	t      testing.TB
	server net.Addr
	conn   *piondtls.Conn
	radio  *radio
}

// A radio is a sensor's network.
type radio struct {
	server net.Addr
	in     chan []byte
	deaf   func([]byte) bool // a datagram to lose
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	socket   *net.UDPConn
	sent     [][]byte
	deadline chan struct{}
	cut      bool
}

func (r *radio) rebind(t testing.TB) { r.bind(t, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) }

func (r *radio) bind(t testing.TB, at *net.UDPAddr) {
	socket, err := net.ListenUDP("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	old := r.socket
	r.socket = socket
	r.mu.Unlock()
	if old != nil {
		old.Close()
	}
	go func() {
		b := make([]byte, 4096)
		for {
			n, _, err := socket.ReadFromUDP(b)
			if err != nil {
				return
			}
			if r.deaf != nil && r.deaf(b[:n]) {
				continue
			}
			select {
			case r.in <- bytes.Clone(b[:n]):
			case <-r.closed:
				return
			}
		}
	}()
}

func (r *radio) ReadFrom(b []byte) (int, net.Addr, error) {
	r.mu.Lock()
	deadline := r.deadline
	r.mu.Unlock()
	select {
	case d := <-r.in:
		return copy(b, d), r.server, nil
	case <-r.closed:
		return 0, nil, net.ErrClosed
	case <-deadline:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (r *radio) WriteTo(b []byte, _ net.Addr) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, bytes.Clone(b))
	return r.socket.WriteTo(b, r.server)
}

func (r *radio) SetReadDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.IsZero() == r.cut {
		if r.cut = !r.cut; r.cut {
			close(r.deadline)
		} else {
			r.deadline = make(chan struct{})
		}
	}
	return nil
}

func (r *radio) Close() error {
	r.once.Do(func() {
		close(r.closed)
		r.socket.Close()
	})
	return nil
}

func (r *radio) LocalAddr() net.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.socket.LocalAddr()
}
func (r *radio) SetDeadline(t time.Time) error    { return r.SetReadDeadline(t) }
func (r *radio) SetWriteDeadline(time.Time) error { return nil }

// last is what the sensor sent last.
func (r *radio) last() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent[len(r.sent)-1]
}

func newRadio(t testing.TB, to netip.AddrPort, deaf func([]byte) bool) *radio {
	return newRadioAt(t, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, to, deaf)
}

func newRadioAt(t testing.TB, at *net.UDPAddr, to netip.AddrPort, deaf func([]byte) bool) *radio {
	r := &radio{server: net.UDPAddrFromAddrPort(to), in: make(chan []byte, 64), closed: make(chan struct{}), deadline: make(chan struct{}), deaf: deaf}
	r.bind(t, at)
	t.Cleanup(func() { r.Close() })
	return r
}

// Options of pion's, for sensors.
func withKey(identity string) []piondtls.ClientOption {
	return []piondtls.ClientOption{
		piondtls.WithPSK(func([]byte) ([]byte, error) { return testKey, nil }),
		piondtls.WithPSKIdentityHint([]byte(identity)),
		piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8),
	}
}

var withCID = piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator())

// dial has a sensor do its handshake.
func dial(t testing.TB, to netip.AddrPort, options ...piondtls.ClientOption) *sensor {
	t.Helper()
	s, err := tryDial(t, newRadio(t, to, nil), options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryDial(t testing.TB, r *radio, options ...piondtls.ClientOption) (*sensor, error) {
	conn, err := piondtls.ClientWithOptions(r, r.server, options...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return &sensor{t: t, server: r.server, conn: conn, radio: r}, nil
}

func (s *sensor) says(text string) {
	s.t.Helper()
	if _, err := s.conn.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sensor) gets(want string) {
	s.t.Helper()
	b := make([]byte, 2048)
	s.conn.SetReadDeadline(time.Now().Add(patience))
	n, err := s.conn.Read(b)
	if err != nil || string(b[:n]) != want {
		s.t.Fatalf("the sensor got %q, %v; want %q", b[:n], err, want)
	}
}

// vanishes stops a sensor without a word to the server.
func (s *sensor) vanishes() {
	s.radio.Close()
	s.conn.Close()
}

// counting returns a check that there are no more goroutines than now.
func counting(t testing.TB) (back func()) {
	before := runtime.NumGoroutine()
	return func() {
		t.Helper()
		eventually(t, fmt.Sprintf("back to %d goroutines", before), func() bool { return runtime.NumGoroutine() <= before })
	}
}

// A drawer is a Keeper in memory. It survives a Listener. It is the log of those,
// too, who act on what is passed on.
type drawer struct {
	mu      sync.Mutex
	synced  map[record.ID]Change
	acts    []string // what was done, and synced
	written []entry  // and not synced
	manual  bool     // synced by sync alone
	broken  error    // what Keep answers
	full    error    // what it answers to one that is new
}

// An entry is what one call writes, and who is to know that it is synced.
type entry struct {
	changes []Change
	act     string
	then    func(error)
}

func newDrawer() *drawer { return &drawer{synced: make(map[record.ID]Change)} }

func (k *drawer) Keep(changes []Change, then func(error)) error {
	if k.full != nil && slices.ContainsFunc(changes, func(c Change) bool { return c.Made != nil }) {
		return k.full
	}
	return k.write(entry{changes: changes, then: then})
}

// do writes that something was done.
func (k *drawer) do(act string, then func(error)) error { return k.write(entry{act: act, then: then}) }

func (k *drawer) write(e entry) error {
	k.mu.Lock()
	if err := k.broken; err != nil {
		k.mu.Unlock()
		return err
	}
	k.written = append(k.written, e)
	manual := k.manual
	k.mu.Unlock()
	if !manual {
		k.sync()
	}
	return nil
}

func (k *drawer) sync() { k.syncSome(math.MaxInt) }

// syncSome syncs the n that were written first.
func (k *drawer) syncSome(n int) {
	k.mu.Lock()
	n = min(n, len(k.written))
	var done []entry
	done, k.written = k.written[:n:n], k.written[n:]
	for _, e := range done {
		for _, c := range e.changes {
			if c.State == nil {
				delete(k.synced, c.ID)
				continue
			}
			if c.Made == nil {
				c.Made = k.synced[c.ID].Made
			}
			k.synced[c.ID] = c
		}
		if e.act != "" {
			k.acts = append(k.acts, e.act)
		}
	}
	k.mu.Unlock()
	for _, e := range done {
		e.then(nil)
	}
}

// crash forgets what was not synced. Nobody lives to hear of it.
func (k *drawer) crash() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.written = nil
}

func (k *drawer) Load(visit func(Change) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.synced {
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}
