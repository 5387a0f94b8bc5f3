package mqtt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mqtt3 "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// certify makes a certificate for 127.0.0.1 that vouches for itself.
func certify(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// trusting is a client's configuration that believes in certificate alone.
func trusting(certificate tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(certificate.Leaf)
	return &tls.Config{RootCAs: pool}
}

// A transport is a port and a client's way to it.
type transport struct {
	port ListenerConfig
	dial func(address string) (net.Conn, error)
}

// transports are all that there are, by the names of the configuration.
func transports(t testing.TB) map[string]transport {
	certificate := certify(t)
	secured := func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificate}} }
	client, web := trusting(certificate), &WebSocket{Path: "/mqtt"}
	return map[string]transport{
		"tcp": {ListenerConfig{}, dialTCP},
		"tls": {ListenerConfig{TLS: secured}, func(address string) (net.Conn, error) { return tls.Dial("tcp", address, client) }},
		"ws": {ListenerConfig{WebSocket: web}, func(address string) (net.Conn, error) {
			return mqtt3.NewWebsocket("ws://"+address+"/mqtt", nil, patience, nil, nil)
		}},
		"wss": {ListenerConfig{TLS: secured, WebSocket: web}, func(address string) (net.Conn, error) {
			return mqtt3.NewWebsocket("wss://"+address+"/mqtt", client, patience, nil, nil)
		}},
	}
}

// onEach runs a test over each transport but those left out.
func onEach(t *testing.T, change func(*core.Options, *Options), test func(*testing.T, *broker), but ...string) {
	t.Helper()
	all := transports(t)
	for _, name := range but {
		delete(all, name)
	}
	for name, by := range all {
		t.Run(name, func(t *testing.T) {
			b := startOn(t, by.port, change)
			b.dialer = by.dial
			test(t, b)
		})
	}
}

// TestTransports: MQTT is the same over each of them, and so are its farewells.
func TestTransports(t *testing.T) {
	onEach(t, nil, func(t *testing.T, b *broker) {
		sub, pub := b.connect(t, 5, "sub", nil), b.connect(t, 5, "pub", nil)
		sub.subscribe(1, "a/#")
		long := strings.Repeat("0123456789abcdef", 12<<10) // more than a frame, a TLS record and our own writes hold
		pub.publish("a/long", long, 1, 1)
		pub.expect(packets.Puback)
		if pk := sub.expect(packets.Publish); string(pk.Payload) != long {
			t.Errorf("a payload of %d octets comes out as another of %d", len(long), len(pk.Payload))
		}
		twin := b.connect(t, 5, "sub", nil)
		if code := sub.expectEnd(); code != packets.ErrSessionTakenOver.Code {
			t.Errorf("taken over: DISCONNECT 0x%02x, want 0x8e", code)
		}
		pub.raw("30 03 0000 00") // neither topic nor alias
		if code := pub.expectEnd(); code != packets.ErrProtocolViolation.Code {
			t.Errorf("a PUBLISH without a topic: DISCONNECT 0x%02x, want 0x82", code)
		}
		b.canary(t)
		twin.disconnect()
		last := b.connect(t, 5, "last", nil)
		closed := make(chan struct{})
		go func() { b.close(t); close(closed) }()
		defer func() { <-closed }()
		if code := last.expectEnd(); code != packets.ErrServerShuttingDown.Code {
			t.Errorf("at the end: DISCONNECT 0x%02x, want 0x8b", code)
		}
	})
}

// TestStalledTransport: who takes nothing is cut off, whatever is in between.
func TestStalledTransport(t *testing.T) {
	t.Parallel()
	short := func(_ *core.Options, o *Options) { o.WriteTimeout = 200 * time.Millisecond }
	onEach(t, short, func(t *testing.T, b *broker) {
		b.connect(t, 4, "stalled", nil).subscribe(0, "q")
		sender, payload := b.connect(t, 4, "sender", nil), strings.Repeat("x", 200<<10)
		await(t, "the client to be cut off", func() bool {
			sender.publish("q", payload, 0, 0)
			sender.ping()
			return b.server.Stats().Closed.Stalled == 1
		})
		b.canary(t)
	})
}

// TestStalledHandshake: strangers that never come to the point keep nobody
// out, and their time is over like everybody's.
func TestStalledHandshake(t *testing.T) {
	t.Parallel()
	beginnings := map[string]string{
		"nothing":             "",
		"half a ClientHello":  "16 0301 0200 0100",
		"half a request":      "474554202f6d717474",
		"an HTTP request":     "474554202f6d71747420485454502f312e310d0a",
		"a CONNECT of MQTT 5": "10 0f 0004 4d515454 05 02 003c 00 0002 6372",
	}
	onEach(t, func(_ *core.Options, o *Options) { o.ConnectTimeout = time.Second }, func(t *testing.T, b *broker) {
		var strangers []*peer
		for _, octets := range beginnings {
			for range 5 {
				c, err := dialTCP(b.addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(patience))
				c.Write(unhex(t, octets))
				strangers = append(strangers, &peer{t: t, Conn: c})
			}
		}
		b.canary(t)
		for _, s := range strangers {
			if _, err := io.Copy(io.Discard, s); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("a stranger is still there")
			}
			s.Close()
		}
		await(t, "the strangers to be forgotten", func() bool { return b.server.Stats().Connections == 0 })
		if r := b.server.Stats().Refused; r.Timeout+r.Handshake != uint64(len(strangers)) || r.Timeout < 5 {
			t.Errorf("of %d strangers %d are counted as slow and %d as failed", len(strangers), r.Timeout, r.Handshake)
		}
	}, "tcp")
}

// TestOneConnectTimeout: what TLS has taken of it, CONNECT does not get back.
func TestOneConnectTimeout(t *testing.T) {
	certificate := certify(t)
	synctest.Test(t, func(t *testing.T) {
		s := New(core.New(core.DefaultOptions()), DefaultOptions())
		client, socket := net.Pipe()
		secured := &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true} // whose sending would wait for a reader
		s.admit(&listener{name: "pipe", tls: func() *tls.Config { return secured }}, socket)
		c := tls.Client(client, &tls.Config{InsecureSkipVerify: true}) // not valid yet, by the bubble's clock

		const early = time.Second
		time.Sleep(s.o.ConnectTimeout - early)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(early - time.Millisecond)
		synctest.Wait()
		if n := s.Stats().Refused.Timeout; n != 0 {
			t.Error("closed a millisecond early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n := s.Stats().Refused.Timeout; n != 1 {
			t.Error("still open though its time is over")
		}
		client.Close()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestNewCertificate: the next connection gets it, and those there are live on.
func TestNewCertificate(t *testing.T) {
	var current atomic.Pointer[tls.Certificate]
	renew := func() tls.Certificate {
		c := certify(t)
		current.Store(&c)
		return c
	}
	before := renew()
	b := startOn(t, ListenerConfig{TLS: func() *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{*current.Load()}}
	}}, nil)
	b.dialer = func(address string) (net.Conn, error) { return tls.Dial("tcp", address, trusting(*current.Load())) }
	old := b.connect(t, 5, "old", nil)
	old.subscribe(0, "q")
	renew()
	fresh := b.connect(t, 5, "fresh", nil)
	if c, err := tls.Dial("tcp", b.addr, trusting(before)); err == nil {
		c.Close()
		t.Error("a new connection gets the old certificate")
	}
	fresh.publish("q", "still here", 0, 0)
	old.expectMessage("q still here 0 0")
}
