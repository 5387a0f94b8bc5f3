package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn"
)

// This file is sensors over DTLS, who may know connection ids and change their
// address.

// pskFile makes a file of keys, each of 16 octets that are all n.
func pskFile(t testing.TB, keys map[string]byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "psk")
	writeKeys(t, file, keys)
	return file
}

func writeKeys(t testing.TB, file string, keys map[string]byte) {
	t.Helper()
	var text strings.Builder
	for identity, n := range keys {
		fmt.Fprintf(&text, "%s:%x\n", identity, pskOf(n))
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func pskOf(n byte) []byte { return bytes.Repeat([]byte{n}, 16) }

// overDTLS are the listeners of a broker with DTLS, on the addresses of b or,
// without one, on free ones.
func overDTLS(b *broker, dtls string) string {
	if b == nil {
		b = &broker{}
	}
	at := func(a fmt.Stringer) string {
		if strings.HasPrefix(a.String(), "invalid") {
			return "127.0.0.1:0"
		}
		return a.String()
	}
	return fmt.Sprintf(`listeners=[{name: mqtt, type: tcp, address: %q}, {name: sn, type: mqttsn-udp, address: %q}, {name: sns, type: mqttsn-dtls, address: %q, dtls: {%s}}]`,
		at(b.tcp), at(b.udp), at(b.dtls), dtls)
}

// A nat is a network that gives who is behind it another address at will.
type nat struct {
	t  testing.TB
	to net.Addr

	mu   sync.Mutex
	conn *net.UDPConn
	end  time.Time // read deadline
}

func newNAT(b *broker) *nat {
	n := &nat{t: b.t, to: net.UDPAddrFromAddrPort(b.dtls)}
	n.rebind()
	b.t.Cleanup(func() { n.Close() })
	return n
}

// rebind has it speak from another port. What is under way to the old one is
// lost.
func (n *nat) rebind() {
	n.t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil {
		n.conn.Close()
	}
	n.conn = conn
	conn.SetReadDeadline(n.end)
}

func (n *nat) now() *net.UDPConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conn
}

func (n *nat) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		conn := n.now()
		size, _, err := conn.ReadFrom(b)
		if err == nil || conn == n.now() {
			return size, n.to, err
		}
	}
}

func (n *nat) WriteTo(b []byte, _ net.Addr) (int, error) { return n.now().WriteTo(b, n.to) }
func (n *nat) Close() error                              { return n.now().Close() }
func (n *nat) LocalAddr() net.Addr                       { return n.now().LocalAddr() }
func (n *nat) SetDeadline(t time.Time) error             { return n.SetReadDeadline(t) }
func (n *nat) SetWriteDeadline(time.Time) error          { return nil }

func (n *nat) SetReadDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.end = t
	return n.conn.SetReadDeadline(t)
}

// byKey and byCertificate are how a sensor proves who it is; withCID has it know
// connection ids.
func byKey(identity string, n byte) []piondtls.ClientOption {
	return []piondtls.ClientOption{
		piondtls.WithPSK(func([]byte) ([]byte, error) { return pskOf(n), nil }),
		piondtls.WithPSKIdentityHint([]byte(identity)),
		piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8),
		withCID,
	}
}

func byCertificate(t testing.TB, a *authority, files keyPair) []piondtls.ClientOption {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.cert, files.key)
	if err != nil {
		t.Fatal(err)
	}
	return []piondtls.ClientOption{piondtls.WithCertificates(pair), piondtls.WithRootCAs(a.trusted().RootCAs), piondtls.WithServerName("127.0.0.1"),
		piondtls.WithCipherSuites(piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8), withCID}
}

var withCID = piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator())

// secureSocket does a handshake from behind a nat.
func (b *broker) secureSocket(options ...piondtls.ClientOption) (*socket, *nat) {
	b.t.Helper()
	s, n, err := b.trySecure(patience, options...)
	if err != nil {
		b.t.Fatal(err)
	}
	return s, n
}

func (b *broker) trySecure(patience time.Duration, options ...piondtls.ClientOption) (*socket, *nat, error) {
	b.t.Helper()
	n := newNAT(b)
	conn, err := piondtls.ClientWithOptions(n, n.to, options...)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	s := &socket{t: b.t, dtls: conn, inbox: make(map[string]chan mqttsn.Packet)}
	go func() {
		for buf := make([]byte, 4096); ; {
			size, err := conn.Read(buf)
			if err != nil {
				return
			}
			s.sort(bytes.Clone(buf[:size]))
		}
	}()
	return s, n, nil
}

// wantMetric waits until a figure of the broker is that.
func (b *broker) wantMetric(t testing.TB, name, want string) {
	t.Helper()
	for end := time.Now().Add(patience); b.metric(t, name) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is %s, want %s", name, b.metric(t, name), want)
		}
	}
}

// metric is a figure of the broker.
func (b *broker) metric(t testing.TB, name string) string {
	t.Helper()
	_, body := b.get(t, "/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no %s in\n%s", name, body)
	return ""
}
