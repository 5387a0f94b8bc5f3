package dtls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
)

// TestOpenSSL: openssl s_client, with a key or a certificate, gets in, is known
// by its name, is heard and hears, and says goodbye. It knows no connection
// ids.
func TestOpenSSL(t *testing.T) {
	a := newAuthority(t)
	server, mine := a.issue(t, "gateway"), a.issue(t, "sensor7")
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := x509.MarshalECPrivateKey(mine.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	withCert := []string{"-CAfile", write("ca.pem", "CERTIFICATE", a.cert.Raw), "-verify_return_error",
		"-cert", write("cert.pem", "CERTIFICATE", mine.Certificate[0]), "-key", write("key.pem", "EC PRIVATE KEY", key)}
	cred := &handshake.Credentials{PSK: oneKey, Certificate: &server, Authorities: []*x509.Certificate{a.cert}}
	for name, kind := range map[string]struct {
		flags []string
		who   transport.Identity
	}{
		"psk-ccm8": {[]string{"-psk_identity", "sensor7", "-psk", hex.EncodeToString(testKey), "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"},
			transport.Identity{Proof: transport.ByKey, Name: "sensor7"}},
		"ecdsa-ccm8": {append(withCert, "-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"),
			transport.Identity{Proof: transport.ByCertificate, Name: "sensor7"}},
		"ecdsa-gcm": {append(withCert, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
			transport.Identity{Proof: transport.ByCertificate, Name: "sensor7"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, testConfig(), cred, loopback)
			args := append([]string{"s_client", "-dtls1_2", "-quiet", "-no_ign_eof", "-connect", h.addr.String()}, kind.flags...)
			client := exec.Command("openssl", args...)
			in, err := client.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := client.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var complaints bytes.Buffer
			client.Stderr = &complaints
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			defer client.Wait()
			defer client.Process.Kill()
			var texts []string
			for i := range 3 {
				text := fmt.Sprintf("reading %d\n", i)
				texts = append(texts, text)
				io.WriteString(in, text)
				from := h.hears(text)
				if who := h.Identity(from); who != kind.who {
					t.Errorf("it is %+v, want %+v", who, kind.who)
				}
				answer := make([]byte, len("ack ")+len(text))
				if _, err := io.ReadFull(out, answer); err != nil || string(answer) != "ack "+text {
					t.Fatalf("it got %q, %v\n%s", answer, err, &complaints)
				}
			}
			if *update {
				writeCapture(t, h, "openssl-"+name, texts)
			}
			in.Close()
			eventually(t, "closed", func() bool { return h.figure(`dormouse_dtls_associations_ended_total{reason="closed"}`) == 1 })
		})
	}
}
