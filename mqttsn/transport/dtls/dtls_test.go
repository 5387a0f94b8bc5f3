package dtls

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

var update = flag.Bool("update", false, "write testdata of this package and of record anew")

// kinds are the ways in which a sensor can be secured.
func kinds(t testing.TB) map[string]struct {
	server  *handshake.Credentials
	options []piondtls.ClientOption
	who     transport.Identity
} {
	a := newAuthority(t)
	server, mine := a.issue(t, "gateway"), a.issue(t, "sensor7")
	cred := &handshake.Credentials{PSK: oneKey, Certificate: &server, Authorities: []*x509.Certificate{a.cert}}
	withCert := func(suite piondtls.CipherSuiteID) []piondtls.ClientOption {
		return []piondtls.ClientOption{piondtls.WithCertificates(mine), piondtls.WithRootCAs(a.pool),
			piondtls.WithServerName("localhost"), piondtls.WithCipherSuites(suite)}
	}
	return map[string]struct {
		server  *handshake.Credentials
		options []piondtls.ClientOption
		who     transport.Identity
	}{
		"psk-ccm8":   {cred, withKey("sensor7"), transport.Identity{Proof: transport.ByKey, Name: "sensor7"}},
		"ecdsa-ccm8": {cred, withCert(piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8), transport.Identity{Proof: transport.ByCertificate, Name: "sensor7"}},
		"ecdsa-gcm":  {cred, withCert(piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), transport.Identity{Proof: transport.ByCertificate, Name: "sensor7"}},
	}
}

// TestSensors: each kind of sensor is understood, known by its name, and leaves
// nothing behind when it says goodbye.
func TestSensors(t *testing.T) {
	for name, kind := range kinds(t) {
		for _, cid := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/cid=%v", name, cid), func(t *testing.T) {
				back := counting(t)
				h := open(t, testConfig(), kind.server, loopback)
				options := kind.options
				if cid {
					options = append(options, withCID)
				}
				s := dial(t, h.addr, options...)
				var first transport.Peer
				var texts []string
				for i := range 5 {
					texts = append(texts, fmt.Sprint("reading ", i))
					s.says(texts[i])
					from := h.hears(texts[i])
					s.gets("ack " + texts[i])
					if i == 0 {
						first = from
					}
					if from != first || from.Conn == 0 {
						t.Errorf("record %d came from %v, the first from %v", i, from, first)
					}
				}
				if who := h.Identity(first); who != kind.who {
					t.Errorf("it is %+v, want %+v", who, kind.who)
				}
				if *update {
					writeCapture(t, h, fmt.Sprintf("pion-%s-cid=%v", name, cid), texts)
				}
				s.conn.Close()
				eventually(t, "closed", func() bool { return h.figure(`dormouse_dtls_associations_ended_total{reason="closed"}`) == 1 })
				if who := h.Identity(first); who != (transport.Identity{}) {
					t.Errorf("after its end it is still %+v", who)
				}
				s.radio.Close()
				h.stop()
				back()
			})
		}
	}
}

// writeCapture writes a file for the tests of package record: the keys of the
// only association, the last records received, and what they say.
func writeCapture(t *testing.T, h *house, name string, texts []string) {
	var b bytes.Buffer
	h.endThose(Idle, func(a *association, _ string) bool {
		fmt.Fprintf(&b, "made %x%x\n", a.ID, a.AppendMade(nil))
		return false
	})
	for i, r := range h.tap.last(len(texts)) {
		fmt.Fprintf(&b, "opens %x %d %q\n", r, record.ApplicationData, texts[i])
	}
	if err := os.MkdirAll("record/testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("record/testdata", name+".txt"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRebinding: a sensor behind another address at every wake does one
// handshake, is the same peer, and is answered where it is. Row 39.
func TestRebinding(t *testing.T) {
	h := open(t, testConfig(), &handshake.Credentials{PSK: oneKey}, loopback)
	s := dial(t, h.addr, append(withKey("sensor"), withCID)...)
	s.says("first")
	first := h.hears("first")
	s.gets("ack first")
	for i := range 50 {
		s.radio.rebind(t)
		s.says(fmt.Sprint("wake ", i))
		from := h.hears(fmt.Sprint("wake ", i))
		s.gets(fmt.Sprint("ack wake ", i))
		if from.Conn != first.Conn || from.Addr != netip.MustParseAddrPort(s.radio.LocalAddr().String()) {
			t.Fatalf("wake %d came from %v, want %v as number %d", i, from, s.radio.LocalAddr(), first.Conn)
		}
	}
	if n := h.figure("dormouse_dtls_handshakes_done_total"); n != 1 {
		t.Errorf("%d handshakes", n)
	}
	if n := h.figure("dormouse_dtls_moves_total"); n != 50 {
		t.Errorf("%d moves, want 50", n)
	}
}

// TestStay: where the address may not change, it does not.
func TestStay(t *testing.T) {
	c := testConfig()
	c.Stay = true
	h := open(t, c, &handshake.Credentials{PSK: oneKey}, loopback)
	s := dial(t, h.addr, append(withKey("sensor"), withCID)...)
	s.says("first")
	h.hears("first")
	s.radio.rebind(t)
	s.says("second")
	eventually(t, "dropped", func() bool { return h.figure(`dormouse_dtls_records_dropped_total{reason="moved"}`) == 1 })
	if len(h.got) > 0 {
		t.Error("it was heard from another address")
	}
}

// TestLostLastFlight: a sensor that does not hear the last flight, twice,
// repeats its own, and gets it.
func TestLostLastFlight(t *testing.T) {
	for _, cid := range []bool{true, false} {
		t.Run(fmt.Sprint("cid=", cid), func(t *testing.T) {
			h := open(t, testConfig(), &handshake.Credentials{PSK: oneKey}, loopback)
			var mu sync.Mutex
			lost := 0
			r := newRadio(t, h.addr, func(b []byte) bool {
				mu.Lock()
				defer mu.Unlock()
				if record.ContentType(b[0]) == record.ChangeCipherSpec && lost < 2 {
					lost++
					return true
				}
				return false
			})
			options := append(withKey("sensor"), piondtls.WithFlightInterval(50*time.Millisecond))
			if cid {
				options = append(options, withCID)
			}
			s, err := tryDial(t, r, options...)
			if err != nil {
				t.Fatalf("%v\n%s", err, h.figures())
			}
			s.says("reading")
			h.hears("reading")
			s.gets("ack reading")
			if n := h.figure("dormouse_dtls_handshakes_done_total"); n != 1 {
				t.Errorf("%d handshakes", n)
			}
			eventually(t, "pion gone", func() bool { return h.figure("dormouse_dtls_handshakes") == 0 })
		})
	}
}

// TestThousand: a thousand sensors at once, and when they have said something,
// nothing is left but associations.
func TestThousand(t *testing.T) {
	const n = 1000
	c := testConfig()
	c.MaxHandshakes = 4 * n
	h := open(t, c, &handshake.Credentials{PSK: oneKey}, loopback)
	s := dial(t, h.addr, append(withKey("sensor"), withCID)...)
	s.says("the first")
	h.hears("the first")
	s.vanishes()
	back := counting(t) // it serves by now
	sensors := make([]*sensor, n)
	var all sync.WaitGroup
	at := make(chan int)
	for range 50 {
		all.Go(func() {
			for i := range at {
				s, err := tryDial(t, newRadio(t, h.addr, nil), append(withKey(fmt.Sprint("sensor", i)), withCID)...)
				if err != nil {
					t.Errorf("sensor %d: %v", i, err)
					continue
				}
				sensors[i] = s
				s.says(fmt.Sprint("reading of ", i))
				s.gets(fmt.Sprint("ack reading of ", i))
			}
		})
	}
	for i := range n {
		at <- i
	}
	close(at)
	all.Wait()
	if t.Failed() {
		t.Fatal(h.figures())
	}
	seen := make(map[uint32]string)
	for range n {
		d := <-h.got
		name := h.Identity(d.Peer).Name
		if other, known := seen[d.Peer.Conn]; known || "reading of "+name[len("sensor"):] != string(d.Buf) {
			t.Errorf("%q came as number %d of %q (before: %q)", d.Buf, d.Peer.Conn, name, other)
		}
		seen[d.Peer.Conn] = name
	}
	for _, s := range sensors {
		s.vanishes()
	}
	back()
	if got := h.figure("dormouse_dtls_associations"); got != n+1 {
		t.Errorf("%d associations, want %d", got, n+1)
	}
}

// TestAnew: a sensor without connection ids that has forgotten its keys begins
// anew from the same address. Until it is done the old association stands.
func TestAnew(t *testing.T) {
	h := open(t, testConfig(), &handshake.Credentials{PSK: oneKey}, loopback)
	r := newRadio(t, h.addr, nil)
	old, err := tryDial(t, r, withKey("sensor1")...)
	if err != nil {
		t.Fatal(err)
	}
	old.says("one")
	first := h.hears("one")
	old.gets("ack one")

	// a ClientHello from its address, by somebody who cannot do more
	r.socket.WriteTo(r.sent[0], r.server)
	eventually(t, "asked for a cookie", func() bool { return h.figure("dormouse_dtls_cookies_total") == 2 })
	old.says("two")
	if from := h.hears("two"); from != first {
		t.Errorf("it has become %v by a ClientHello", from)
	}
	old.gets("ack two")

	old.vanishes()
	r = newRadioAt(t, r.LocalAddr().(*net.UDPAddr), h.addr, nil)
	anew, err := tryDial(t, r, withKey("sensor2")...)
	if err != nil {
		t.Fatal(err)
	}
	anew.says("three")
	second := h.hears("three")
	anew.gets("ack three")
	if second.Conn == first.Conn || h.Identity(second).Name != "sensor2" || h.Identity(first).Name != "" {
		t.Errorf("%v is %+v now, and %v is %+v", first, h.Identity(first), second, h.Identity(second))
	}
	if n := h.figure("dormouse_dtls_associations"); n != 1 {
		t.Errorf("%d associations", n)
	}
}

// TestAnewMeanwhile: a peer begins anew while it is still to be kept that it is
// here: of the two handshakes the later counts, and of the first nothing is left.
func TestAnewMeanwhile(t *testing.T) {
	c, k := testConfig(), newDrawer()
	c.Keeper = k
	h := open(t, c, &handshake.Credentials{PSK: oneKey}, loopback)
	k.mu.Lock()
	k.manual = true
	k.mu.Unlock()
	keeps := func(n int) func() bool {
		return func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return len(k.written) == n
		}
	}
	at := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	dialled := make(chan *sensor)
	for i := range 2 {
		r := newRadioAt(t, at, h.addr, nil)
		at = r.LocalAddr().(*net.UDPAddr)
		go func() {
			s, _ := tryDial(t, r, withKey(fmt.Sprint("sensor", i))...)
			dialled <- s
		}()
		eventually(t, "on its way to the disk", keeps(i+1))
		if i == 0 {
			r.Close()
			if <-dialled != nil {
				t.Fatal("it got in before it was kept")
			}
		}
	}
	k.mu.Lock()
	k.manual = false
	k.mu.Unlock()
	k.sync()
	s := <-dialled
	if s == nil {
		t.Fatal("the later did not get in")
	}
	s.says("here")
	if who := h.Identity(h.hears("here")); who.Name != "sensor1" {
		t.Errorf("it is %+v", who)
	}
	eventually(t, "one association", func() bool {
		return h.figure("dormouse_dtls_associations") == 1 && h.figure("dormouse_dtls_handshakes") == 0
	})
	h.stop()
	if len(k.synced) != 1 {
		t.Errorf("%d are kept", len(k.synced))
	}
}

// TestStopMeanwhile: a listener that ends, while handshakes are in progress and
// keys change, leaves no goroutine behind.
func TestStopMeanwhile(t *testing.T) {
	back := counting(t)
	h := open(t, testConfig(), &handshake.Credentials{PSK: oneKey}, loopback)
	var sensors sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	var radios []*radio
	for i := range 100 {
		options := withKey(fmt.Sprint("sensor", i))
		if i%2 == 0 {
			options = append(options, withCID)
		}
		r := newRadio(t, h.addr, func(b []byte) bool { return i%4 > 1 && len(b) > 13 && b[13] == 2 }) // ServerHello
		radios = append(radios, r)
		sensors.Go(func() {
			conn, err := piondtls.ClientWithOptions(r, r.server, options...)
			if err != nil {
				t.Error(err)
				return
			}
			conn.HandshakeContext(ctx)
			conn.Close()
		})
	}
	eventually(t, "begun", func() bool {
		if err := h.SetCredentials(&handshake.Credentials{PSK: oneKey}); err != nil {
			t.Error(err)
		}
		return h.figure("dormouse_dtls_handshakes_begun_total") > 60
	})
	h.stop()
	cancel()
	sensors.Wait()
	for _, r := range radios {
		r.Close()
	}
	back()
}

// TestReload: keys change for handshakes that begin later, and those who may
// not stay go.
func TestReload(t *testing.T) {
	h := open(t, testConfig(), &handshake.Credentials{PSK: oneKey}, loopback)
	s := dial(t, h.addr, append(withKey("sensor1"), withCID)...)
	s.says("one")
	from := h.hears("one")
	a := newAuthority(t)
	cert := a.issue(t, "gateway")
	if err := h.SetCredentials(&handshake.Credentials{Certificate: &cert}); err != nil {
		t.Fatal(err)
	}
	if who := h.Identity(from); who != (transport.Identity{}) {
		t.Errorf("without its key it is still %+v", who)
	}
	dial(t, h.addr, piondtls.WithRootCAs(a.pool), piondtls.WithServerName("localhost")).says("three")
	if who := h.Identity(h.hears("three")); who != (transport.Identity{}) {
		t.Errorf("without a certificate it is %+v", who)
	}
	s.says("four")
	eventually(t, "dropped", func() bool { return h.figure(`dormouse_dtls_records_dropped_total{reason="cid"}`) == 1 })
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, useless := range []*handshake.Credentials{{}, {Authorities: []*x509.Certificate{a.cert}}, {Certificate: &tls.Certificate{PrivateKey: key}}} {
		if err := h.SetCredentials(useless); err == nil {
			t.Errorf("credentials that nobody can use were taken: %+v", useless)
		}
	}
}
