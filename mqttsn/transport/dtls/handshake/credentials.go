package handshake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"sync"

	piondtls "github.com/pion/dtls/v3"
)

// Credentials are what peers are asked for and shown. They do not change: to
// have others, handshakes that begin later are given others.
type Credentials struct {
	// PSK returns the key of a pre-shared key identity, 1 to 64 octets. It takes
	// as long for an identity that is unknown. Nil: no pre-shared keys.
	PSK func(identity []byte) (key []byte, known bool)

	// Certificate is ours, with an ECDSA key. Nil: no certificates.
	Certificate *tls.Certificate

	// Authorities are who may vouch for peers that authenticate by certificate,
	// and then each has to show one. Nil: none is asked for one, and they are
	// nobody in particular.
	Authorities []*x509.Certificate

	once sync.Once
	pool *x509.CertPool // of Authorities
}

// clientCAs is a pool of the authorities.
func (c *Credentials) clientCAs() *x509.CertPool {
	c.once.Do(func() {
		c.pool = x509.NewCertPool()
		for _, a := range c.Authorities {
			c.pool.AddCert(a)
		}
	})
	return c.pool
}

// guise keys what stands for the keys of unknown identities, so that they look
// like known ones whose key is wrong, and the same each time.
var guise = func() (k [sha256.Size]byte) {
	rand.Read(k[:])
	return k
}()

// psk is pion's callback. It never says that an identity is unknown.
func (c *Credentials) psk(identity []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, guise[:])
	mac.Write(identity)
	standIn := mac.Sum(nil)[:16]
	if key, known := c.PSK(identity); known {
		return key, nil
	}
	return standIn, nil
}

// options are pion's, for c.
func (c *Credentials) options() []piondtls.ServerOption {
	var suites []piondtls.CipherSuiteID
	var options []piondtls.ServerOption
	if c.PSK != nil {
		suites = append(suites, piondtls.TLS_PSK_WITH_AES_128_CCM_8)
		options = append(options, piondtls.WithPSK(c.psk))
	}
	if c.Certificate != nil {
		suites = append(suites, piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8)
		options = append(options, piondtls.WithCertificates(*c.Certificate))
		if c.Authorities != nil {
			options = append(options, piondtls.WithClientCAs(c.clientCAs()),
				piondtls.WithClientAuth(piondtls.RequireAndVerifyClientCert))
		}
	}
	return append(options, piondtls.WithCipherSuites(suites...))
}
