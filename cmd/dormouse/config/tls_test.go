package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pemFiles are a certificate and its key, both also in the wrong places.
type pemFiles struct{ cert, key, otherKey, noPEM, broken, folder, pipe, long string }

func writePEM(t *testing.T) pemFiles {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	keys := make([]*ecdsa.PrivateKey, 2)
	ders := make([][]byte, 2)
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		if ders[i], err = x509.MarshalPKCS8PrivateKey(keys[i]); err != nil {
			t.Fatal(err)
		}
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, keys[0].Public(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	f := pemFiles{
		cert:     write("cert.pem", "CERTIFICATE", der),
		key:      write("key.pem", "PRIVATE KEY", ders[0]),
		otherKey: write("other.pem", "PRIVATE KEY", ders[1]),
		broken:   write("broken.pem", "CERTIFICATE", der[:len(der)/2]),
		noPEM:    filepath.Join(dir, "cert.der"),
		folder:   dir,
		pipe:     filepath.Join(dir, "pipe"),
		long:     write("long.pem", "CERTIFICATE", make([]byte, maxPEM)),
	}
	if err := syscall.Mkfifo(f.pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.noPEM, der, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTLSProblems: what would keep a TLS listener from opening is found ahead,
// where it is written.
func TestTLSProblems(t *testing.T) {
	f := writePEM(t)
	tls := func(lines ...string) string {
		return "listeners:\n  - name: a\n    type: tls\n    address: 127.0.0.1:0\n    tls:\n      " + strings.Join(lines, "\n      ") + "\n"
	}
	cert, key := "cert_file: "+f.cert, "key_file: "+f.key
	for _, tt := range []struct{ name, text, want string }{
		{"nothing of TLS", "listeners:\n  - {name: a, type: wss, address: \"127.0.0.1:0\"}\n",
			"2:5: listeners[0] has no tls.cert_file; a listener of type wss needs a certificate in PEM"},
		{"no certificate", tls(key),
			"5:5: listeners[0] has no tls.cert_file; a listener of type tls needs a certificate in PEM"},
		{"no key", tls(cert),
			"5:5: listeners[0] has no tls.key_file; a listener of type tls needs its certificate's private key in PEM"},
		{"missing certificate", tls("cert_file: nowhere.pem", key),
			"6:18: listeners[0].tls.cert_file: there is no file nowhere.pem; name one that there is"},
		{"missing key", tls(cert, "key_file: nowhere.pem"),
			"7:17: listeners[0].tls.key_file: there is no file nowhere.pem; name one that there is"},
		{"a folder", tls("cert_file: "+f.folder, key),
			"6:18: listeners[0].tls.cert_file: " + f.folder + " is not a file; name one, since it is read again on SIGHUP"},
		{"a pipe that nobody writes to", tls(cert, "key_file: "+f.pipe),
			"7:17: listeners[0].tls.key_file: " + f.pipe + " is not a file; name one, since it is read again on SIGHUP"},
		{"without end", tls("cert_file: /dev/zero", key),
			"6:18: listeners[0].tls.cert_file: /dev/zero is not a file; name one, since it is read again on SIGHUP"},
		{"very long", tls("cert_file: "+f.long, key),
			"6:18: listeners[0].tls.cert_file: " + f.long + " is longer than 1MiB; certificates and keys are not"},
		{"no PEM", tls("cert_file: "+f.noPEM, key),
			"6:18: listeners[0].tls.cert_file: " + f.noPEM + " does not begin with a certificate in PEM, -----BEGIN CERTIFICATE-----; name one that does"},
		{"the key for the certificate", tls("cert_file: "+f.key, key),
			"6:18: listeners[0].tls.cert_file: " + f.key + " does not begin with a certificate in PEM, -----BEGIN CERTIFICATE-----; name one that does"},
		{"half a certificate", tls("cert_file: "+f.broken, key),
			"6:18: listeners[0].tls.cert_file: the certificate in " + f.broken + " cannot be read: "},
		{"another's key", tls(cert, "key_file: "+f.otherKey),
			"7:17: listeners[0].tls.key_file: " + f.otherKey + " does not go with the certificate in cert_file: "},
		{"no key in PEM", tls(cert, "key_file: "+f.noPEM),
			"7:17: listeners[0].tls.key_file: " + f.noPEM + " does not go with the certificate in cert_file: "},
		{"no authorities", tls(cert, key, "client_auth: require"),
			"8:20: listeners[0].tls.client_auth is require and there is no client_ca_file; name the authorities that clients' certificates are from"},
		{"authorities for nothing", tls(cert, key, "client_ca_file: "+f.cert),
			"8:23: listeners[0].tls.client_ca_file is of no use while client_auth is none; make that request or require, or leave the file out"},
		{"missing authorities", tls(cert, key, "client_auth: request", "client_ca_file: nowhere.pem"),
			"9:23: listeners[0].tls.client_ca_file: there is no file nowhere.pem; name one that there is"},
		{"authorities that are none", tls(cert, key, "client_auth: request", "client_ca_file: "+f.key),
			"9:23: listeners[0].tls.client_ca_file: " + f.key + " does not begin with a certificate in PEM"},
		{"an old version", tls(cert, key, "min_version: 1.1"),
			"8:20: listeners[0].tls.min_version is \"1.1\"; it must be 1.2 or 1.3"},
		{"names in certificates that nobody shows", tls(cert, key) + "    identity: cn\n",
			"8:15: listeners[0].identity is cn and tls.client_auth is none, so that nobody shows a certificate; make that request or require, or leave identity out"},
		{"names in certificates on TCP", "listeners:\n  - {name: a, type: tcp, address: \"127.0.0.1:0\", identity: cn}\n",
			"2:60: listeners[0].identity is for tls and wss; leave it out"},
		{"TLS on TCP", "listeners:\n  - {name: a, type: tcp, address: \"127.0.0.1:0\", tls: {cert_file: a}}\n",
			"2:50: listeners[0].tls is for tls and wss; leave it out"},
		{"a path that is none", "listeners:\n  - {name: a, type: ws, address: \"127.0.0.1:0\", path: mqtt}\n",
			"2:55: listeners[0].path is \"mqtt\"; it must be a path such as /mqtt"},
		{"origins", "listeners:\n  - {name: a, type: ws, address: \"127.0.0.1:0\", allowed_origins: [\"*\", \"https://a.example:1\", a.example, \"https://a.example/\"]}\n",
			"2:95: listeners[0].allowed_origins[2] is \"a.example\"; it must be such as https://example.org or http://192.0.2.1:8080, or *\n" +
				"d.yaml:2:106: listeners[0].allowed_origins[3] is \"https://a.example/\"; it must be such as https://example.org or http://192.0.2.1:8080, or *"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, p := range problems(t, tt.text) {
				p.Excerpt = ""
				lines = append(lines, p.Error())
			}
			if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, "d.yaml:"+tt.want) || len(lines) != 1+strings.Count(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\nd.yaml:%s", got, tt.want)
			}
		})
	}
}

// TestServerTLS: what is configured is what connections get.
func TestServerTLS(t *testing.T) {
	f := writePEM(t)
	for kind, protocol := range map[string]string{"tls": "mqtt", "wss": "http/1.1"} {
		c, err := Load("", []string{fmt.Sprintf(
			`listeners=[{name: a, type: %s, address: "127.0.0.1:0", tls: {cert_file: %s, key_file: %s, client_auth: require, client_ca_file: %s, min_version: "1.3"}}]`,
			kind, f.cert, f.key, f.cert)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Listeners[0].ServerTLS()
		if err != nil {
			t.Fatal(err)
		}
		if s.NextProtos[0] != protocol || s.MinVersion != tls.VersionTLS13 || s.ClientAuth != tls.RequireAndVerifyClientCert || s.ClientCAs == nil {
			t.Errorf("%s: offers %v from version %x, asks for certificates by %v", kind, s.NextProtos, s.MinVersion, s.ClientAuth)
		}
	}
}

// TestNamesInCertificates: a listener may be open to all if each client has to
// show a certificate that says who it is, but not if it may, or if that says
// nothing; and users may then be spoken of.
func TestNamesInCertificates(t *testing.T) {
	f := writePEM(t)
	for with, allowed := range map[string]bool{
		"client_auth: require}, identity: cn":   true,
		"client_auth: require}, identity: none": false,
		"client_auth: request}, identity: cn":   false,
	} {
		_, err := Load("", []string{"acl.rules=[{user: ann, allow: all, topic: \"{identity}\"}]", fmt.Sprintf(
			`listeners=[{name: a, type: tls, address: ":0", tls: {cert_file: %s, key_file: %s, client_ca_file: %s, %s}]`, f.cert, f.key, f.cert, with)})
		if (err == nil) != allowed {
			t.Errorf("%s: %v", with, err)
		}
	}
}
