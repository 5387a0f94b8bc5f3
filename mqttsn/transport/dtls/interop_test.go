package dtls

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
)

// A foreign is a DTLS client in C, of testdata.
type foreign struct {
	t          *testing.T
	in         io.WriteCloser
	out        *bufio.Reader
	complaints bytes.Buffer
	end        func() error
}

// build makes a client, with the libraries that it is about.
func build(t *testing.T, name string, libraries ...string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), name)
	args := slices.Concat(strings.Fields(os.Getenv("CFLAGS")), []string{"-Wall", "-Wextra", "-o", program, "testdata/" + name + ".c"},
		strings.Fields(os.Getenv("LDFLAGS")), libraries)
	if says, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v; run: make programs\n%s", err, says)
	}
	return program
}

// run has a client do its handshake with h.
func run(t *testing.T, h *house, program string, args ...string) *foreign {
	t.Helper()
	f := &foreign{t: t}
	c := exec.Command(program, append([]string{fmt.Sprint(h.addr.Port())}, args...)...)
	c.Stderr = &f.complaints
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if f.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	f.out, f.end = bufio.NewReader(out), c.Wait
	return f
}

func (f *foreign) says(line string) { io.WriteString(f.in, line+"\n") }

func (f *foreign) gets(want string) {
	f.t.Helper()
	if got, err := f.out.ReadString('\n'); got != want+"\n" {
		f.end()
		f.t.Fatalf("it got %q, %v; want %q\n%s", got, err, want, &f.complaints)
	}
}

// TestMbedTLS: a client on mbed TLS gets in with a key, is heard and hears, and
// says goodbye; with a wrong key it is told at once. That of Debian, 2.28, is
// built without connection ids; another, by CFLAGS and LDFLAGS, that has them
// (3.6.6 was tried) goes on from port to port without a handshake.
func TestMbedTLS(t *testing.T) {
	program := build(t, "mbedtls", "-lmbedtls", "-lmbedx509", "-lmbedcrypto")
	h := open(t, testConfig(), &handshake.Credentials{PSK: oneKey}, loopback)
	stranger := run(t, h, program, "sensor8", "another key, sir")
	stranger.in.Close()
	if err := stranger.end(); err == nil || !strings.Contains(stranger.complaints.String(), "handshake") {
		t.Errorf("with a wrong key it ended with %v: %s", err, &stranger.complaints)
	}
	eventually(t, "counted", func() bool { return h.figure(`dormouse_dtls_handshakes_failed_total{reason="key"}`) == 1 })

	f := run(t, h, program, "sensor7", string(testKey))
	f.talks(h, "mbedtls-psk-ccm8", transport.Identity{Proof: transport.ByKey, Name: "sensor7"})
}

// TestWolfSSL: a client on wolfSSL gets in with a certificate, is heard and hears,
// and says goodbye; and not with one of another authority. That of Debian, 5.5,
// knows neither connection ids nor keys with AES-128-CCM-8.
func TestWolfSSL(t *testing.T) {
	program := build(t, "wolfssl", "-lwolfssl")
	a, other := newAuthority(t), newAuthority(t)
	server := a.issue(t, "gateway")
	h := open(t, testConfig(), &handshake.Credentials{Certificate: &server, Authorities: []*x509.Certificate{a.cert}}, loopback)
	args := func(suite string, mine tls.Certificate) []string {
		key, err := x509.MarshalECPrivateKey(mine.PrivateKey.(*ecdsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		return []string{suite, pemFile(t, "CERTIFICATE", a.cert.Raw), pemFile(t, "CERTIFICATE", mine.Certificate[0]), pemFile(t, "EC PRIVATE KEY", key)}
	}
	stranger := run(t, h, program, args("ECDHE-ECDSA-AES128-CCM-8", other.issue(t, "sensor8"))...)
	stranger.in.Close()
	stranger.end()
	if n := h.figure("dormouse_dtls_handshakes_done_total"); n != 0 {
		t.Error("another authority is believed")
	}
	for name, suite := range map[string]string{"ccm8": "ECDHE-ECDSA-AES128-CCM-8", "gcm": "ECDHE-ECDSA-AES128-GCM-SHA256"} {
		f := run(t, h, program, args(suite, a.issue(t, "sensor7"))...)
		f.talks(h, "wolfssl-ecdsa-"+name, transport.Identity{Proof: transport.ByCertificate, Name: "sensor7"})
	}
}

func pemFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// talks has a client talk with h, from port to port if it knows connection ids,
// and say goodbye.
func (f *foreign) talks(h *house, name string, who transport.Identity) {
	t := f.t
	t.Helper()
	var texts []string
	cid, moves := false, h.figure("dormouse_dtls_moves_total")
	ended := h.figure(`dormouse_dtls_associations_ended_total{reason="closed"}`)
	for i := range 5 {
		if cid {
			f.says("rebind")
			moves++
		}
		texts = append(texts, fmt.Sprint("reading ", i))
		f.says(texts[i])
		from := h.hears(texts[i])
		f.gets("ack " + texts[i])
		if is := h.Identity(from); is != who {
			t.Errorf("it is %+v, want %+v", is, who)
		}
		h.with(from.Conn, func(p *part, slot int32) { cid = p.at(slot).HasCID })
	}
	if n := h.figure("dormouse_dtls_moves_total"); n != moves {
		t.Errorf("it has moved %d times, want %d", n, moves)
	}
	t.Logf("%s: connection ids %v", name, cid)
	if *update {
		writeCapture(t, h, fmt.Sprintf("%s-cid=%v", name, cid), texts)
	}
	f.in.Close()
	eventually(t, "closed", func() bool { return h.figure(`dormouse_dtls_associations_ended_total{reason="closed"}`) == ended+1 })
	if err := f.end(); err != nil {
		t.Errorf("%v: %s", err, &f.complaints)
	}
}
