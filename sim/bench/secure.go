package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// A secured is a sensor's end of an association.
type secured struct {
	record.Association
	*record.Ciphers
}

// seal appends the record of a packet from start on in its place.
func (s *secured) seal(b []byte, start int, scratch *[]byte) ([]byte, error) {
	*scratch = append((*scratch)[:0], b[start:]...)
	return s.Seal(s.Ciphers, b[:start], record.ApplicationData, *scratch)
}

// labourIdly has a plain fleet compute as much as one over DTLS.
func (f *fleet) labourIdly() {
	f.idly = make([]secured, f.size)
	for e := range f.idly {
		a := record.Association{Suite: record.CCM8, PeerCIDLen: record.IDLength, Reserved: record.CCM8.Limit()}
		f.idly[e] = secured{a, a.Ciphers()}
	}
}

// labour seals octets for nothing; to open what is heard takes as long.
func (f *fleet) labour(e int32, octets []byte) {
	if f.idly == nil {
		return
	}
	s := &f.idly[e]
	var err error
	if f.scratch, err = s.Seal(s.Ciphers, f.scratch[:0], record.ApplicationData, octets); err != nil && f.err == nil {
		f.err = err
	}
}

// open is what a datagram of one record holds. Not ok is what says nothing to a
// sensor that is at work, such as the last flight again.
func (s *secured) open(b []byte) (octets []byte, ok bool) {
	r, _, err := record.Next(b, 0)
	if err != nil || r.Epoch == 0 {
		return nil, false
	}
	got, err := s.Open(s.Ciphers, r)
	return got.Octets, err == nil && got.Type == record.ApplicationData
}

// A meeting is a handshake that was done, over a socket of its own.
type meeting struct {
	secured
	socket   *net.UDPConn
	up, down int // octets of the handshake
	read     sync.WaitGroup
}

// meet does a handshake.
func meet(ctx context.Context, at netip.AddrPort, p *handshake.Proof) (*meeting, error) {
	const within = 10 * time.Second
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	m := &meeting{socket: socket}
	call, err := p.Begin(at, func(b []byte) {
		m.up += len(b)
		socket.Write(b) // it is said again
	})
	if err != nil {
		socket.Close()
		return nil, err
	}
	m.read.Go(func() {
		for buf := make([]byte, 2048); ; {
			n, err := socket.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			m.down += n
			call.Deliver(buf[:n])
		}
	})
	a, err := call.Run(ctx, within)
	if err != nil {
		m.close()
		return nil, err
	}
	m.secured = secured{*a, a.Ciphers()}
	return m, nil
}

// leave says something, so that the handshake is over for the other side, too,
// and goodbye.
func (m *meeting) leave() error {
	defer m.close()
	return errors.Join(m.say(record.ApplicationData, []byte{1}), m.say(record.Alert, closeNotify))
}

// closeNotify is the alert that ends an association well.
var closeNotify = []byte{1, 0}

func (m *meeting) say(t record.ContentType, octets []byte) error {
	b, err := m.Seal(m.Ciphers, nil, t, octets)
	if err == nil {
		_, err = m.socket.Write(b)
	}
	return err
}

// close returns when nothing is counted any more.
func (m *meeting) close() {
	m.socket.Close()
	m.read.Wait()
}

// pskOf is the key of every sensor here: what is measured does not depend on it.
var pskOf = []byte("0123456789abcdef")

// secure has each sensor do a handshake, by the key of its client id. From then on
// what it says is sealed.
func (f *fleet) secure(at netip.AddrPort) error {
	const atOnce = 16
	f.secured = make([]secured, f.size)
	turns := make(chan int32)
	errs := make(chan error, atOnce)
	for range atOnce {
		go func() {
			var err error
			for e := range turns {
				if err != nil {
					continue
				}
				var m *meeting
				m, err = meet(f.ctx, at, &handshake.Proof{Identity: sensorID(e), Key: pskOf})
				if err == nil {
					m.close()
					f.secured[e] = m.secured
				}
			}
			errs <- err
		}()
	}
	for e := range int32(f.size) {
		turns <- e
	}
	close(turns)
	var all []error
	for range atOnce {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// startSecured starts Dormouse with DTLS alone, for n sensors.
func (h *harness) startSecured(d Durability, n int) (*broker, error) {
	dir, err := os.MkdirTemp(h.Dir, "dormouse-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // it has been read
	var keys strings.Builder
	for e := range int32(n) {
		fmt.Fprintf(&keys, "%s:%x\n", sensorID(e), pskOf)
	}
	c, err := newCertificates(dir)
	if err != nil {
		return nil, err
	}
	psk := filepath.Join(dir, "psk")
	if err := os.WriteFile(psk, []byte(keys.String()), 0o600); err != nil {
		return nil, err
	}
	b, err := h.startDormouseWith(d, []string{fmt.Sprintf(
		`listeners=[{name: mqtt, type: tcp, address: "127.0.0.1:0"}, {name: sns, type: mqttsn-dtls, address: "127.0.0.1:0", dtls: {psk_file: %s, cert_file: %s, key_file: %s, client_ca_file: %s, handshake_rate: 1000000/s}}]`,
		psk, c.certFile, c.keyFile, c.authorityFile)})
	if err != nil {
		return nil, err
	}
	b.secures, b.proof = true, c.proof
	return b, nil
}

// certificates are of a gateway and a sensor, of one authority.
type certificates struct {
	certFile, keyFile, authorityFile string // the gateway's
	proof                            *handshake.Proof
}

func newCertificates(dir string) (c certificates, err error) {
	authority, err := issue("authority", nil)
	if err != nil {
		return c, err
	}
	gateway, err := issue("localhost", &authority)
	if err != nil {
		return c, err
	}
	sensor, err := issue(sensorID(0), &authority)
	if err != nil {
		return c, err
	}
	key, err := x509.MarshalECPrivateKey(gateway.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		return c, err
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		err = errors.Join(err, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	c.certFile = write("cert.pem", "CERTIFICATE", gateway.Certificate[0])
	c.keyFile = write("key.pem", "EC PRIVATE KEY", key)
	c.authorityFile = write("ca.pem", "CERTIFICATE", authority.Certificate[0])
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	c.proof = &handshake.Proof{
		TLS: &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{sensor}},
	}
	return c, err
}

// issue makes a certificate for a name, by an authority or as one.
func issue(name string, by *tls.Certificate) (c tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: by == nil,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return c, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
