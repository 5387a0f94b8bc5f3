package config

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"dormouse/configs/strict"
	"dormouse/core/auth"
)

// DTLS says how sensors and we prove to each other who we are: by keys that both
// know, by certificates, or by either. Its files are read again on SIGHUP. Who
// has done so once needs no handshake again, wherever it is by then, and with
// durability.sync: always whatever befalls the process.
type DTLS struct {
	// Pre-shared keys as Mosquitto's psk_file has them: an identity, a colon and
	// the key in hexadecimal digits a line, 8 octets at least and better 16. The
	// identity is the user name.
	PSKFile string `yaml:"psk_file"`

	// The certificate with its chain, and its key, in PEM. The key is ECDSA.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`

	// The authorities that vouch for sensors, in PEM. Those of certificates show
	// one, and its common name is the user name.
	ClientCAFile string `yaml:"client_ca_file"`

	// How long a handshake may take.
	HandshakeTimeout Duration `yaml:"handshake_timeout" min:"1s" max:"5m"`

	// After what silence a sensor needs a handshake again: longer than any sleeps.
	IdleTimeout Duration `yaml:"idle_timeout" min:"1m" max:"87600h"`

	// Most handshakes at a time, each of which takes 45 KB, and most of one network
	// (limits.unauthenticated_udp). The oldest gives way. The latter, and the rates
	// below, do not hold on loopback.
	MaxHandshakes       int `yaml:"max_handshakes" min:"4" max:"100000"`
	HandshakesPerPrefix int `yaml:"handshakes_per_prefix" min:"1" max:"100000"`

	// How many may begin, in all and from one network. Networks with which one has
	// failed within a minute have half of the former between them, and a host an
	// eighth of the latter.
	HandshakeRate          Rate `yaml:"handshake_rate" min:"1/m" max:"1000000/s"`
	HandshakeRatePerPrefix Rate `yaml:"handshake_rate_per_prefix" min:"1/m" max:"1000000/s"`

	// Most sensors that need no handshake. The longest silent gives way, unless all
	// were heard within a minute.
	MaxAssociations int `yaml:"max_associations" min:"1" max:"100000000"`
}

// setDefaults is where the section of a file starts.
func (d *DTLS) setDefaults() {
	*d = DTLS{
		HandshakeTimeout:       Duration(20 * time.Second),
		IdleTimeout:            Duration(7 * 24 * time.Hour),
		MaxHandshakes:          2000,
		HandshakesPerPrefix:    64,
		HandshakeRate:          500,
		HandshakeRatePerPrefix: 50,
		MaxAssociations:        1_000_000,
	}
}

// Proves reports whether everybody on l has proved who it is before it is heard.
func (l *Listener) Proves() bool { return l.Type == "mqttsn-dtls" }

// Proofs are what the files of a DTLS section have.
type Proofs struct {
	Keys        *auth.Keys       // nil: none
	Certificate *tls.Certificate // nil: none

	// Authorities vouch for those who show a certificate.
	Authorities []*x509.Certificate
}

// Proofs reads l's files. The error says which file of which key it is about,
// and what to do.
func (l *Listener) Proofs() (*Proofs, error) {
	d, p := &l.DTLS, new(Proofs)
	if d.PSKFile != "" {
		keys, err := auth.ReadKeys(d.PSKFile)
		if err != nil {
			return nil, &fileError{"dtls.psk_file", err.Error()}
		}
		p.Keys = keys
	}
	if d.CertFile == "" {
		return p, nil
	}
	certificate, err := readCertificate("dtls", d.CertFile, d.KeyFile)
	if err != nil {
		return nil, err
	}
	if _, ok := certificate.PrivateKey.(*ecdsa.PrivateKey); !ok {
		return nil, &fileError{"dtls.key_file", fmt.Sprintf(
			"%s is not a key of ECDSA, which is what sensors know; make one: openssl ecparam -name prime256v1 -genkey -noout", d.KeyFile)}
	}
	p.Certificate = &certificate
	p.Authorities, err = readAuthorities("dtls.client_ca_file", d.ClientCAFile)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// dtls complains about how those on l prove who they are.
func (r *reader) dtls(key string, l *Listener, at func(string) strict.Place) {
	d := &l.DTLS
	none := d.CertFile == "" && d.KeyFile == "" && d.ClientCAFile == ""
	switch {
	case none && d.PSKFile == "":
		r.complain(at("dtls"), "%s has neither dtls.psk_file nor dtls.cert_file; a listener of type %s needs keys or certificates to know sensors by", key, l.Type)
		return
	case !none && d.CertFile == "":
		r.complain(at("dtls"), "%s has no dtls.cert_file; name our certificate in PEM, or leave out key_file and client_ca_file", key)
		return
	case !none && d.KeyFile == "":
		r.complain(at("dtls.cert_file"), "%s has no dtls.key_file; name the certificate's private key in PEM", key)
		return
	case !none && d.ClientCAFile == "":
		r.complain(at("dtls.cert_file"), "%s has no dtls.client_ca_file; name the authorities that sensors' certificates are from", key)
		return
	}
	_, err := l.Proofs()
	if wrong := (*fileError)(nil); errors.As(err, &wrong) {
		r.complain(at(wrong.key), "%s.%v", key, wrong)
	}
}
