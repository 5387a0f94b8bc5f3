package handshake

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	piondtls "github.com/pion/dtls/v3"
)

// Proof is how a client and a gateway know each other: by a key that both have,
// or by certificates.
type Proof struct {
	Identity string // of Key
	Key      []byte // nil: TLS says it

	// TLS has the name of the gateway, the authorities that vouch for it, and our
	// own certificate.
	TLS *tls.Config

	// WithoutCID says that we know no connection ids.
	WithoutCID bool

	// Retry is how long we wait before we repeat what is not answered, and then
	// twice as long each time. Zero: a second.
	Retry time.Duration
}

// Dial does a handshake with the gateway at address. What is written to the Conn
// then is a datagram, and what is read.
func (p *Proof) Dial(ctx context.Context, address string) (net.Conn, error) {
	socket, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	conn, err := p.client(ctx, socket)
	if err != nil {
		socket.Close()
		return nil, err
	}
	return conn, nil
}

func (p *Proof) client(ctx context.Context, socket net.Conn) (net.Conn, error) {
	conn, err := piondtls.ClientWithOptions(unconnected{socket}, socket.RemoteAddr(), p.options()...)
	if err != nil {
		return nil, err
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// options are pion's, for p.
func (p *Proof) options() []piondtls.ClientOption {
	options := []piondtls.ClientOption{
		piondtls.WithLoggerFactory(quiet),
		piondtls.WithMTU(MTU),
	}
	if p.Retry > 0 {
		options = append(options, piondtls.WithFlightInterval(p.Retry))
	}
	if !p.WithoutCID {
		options = append(options, piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator()))
	}
	if p.Key != nil {
		return append(options,
			piondtls.WithPSK(func([]byte) ([]byte, error) { return p.Key, nil }),
			piondtls.WithPSKIdentityHint([]byte(p.Identity)),
			piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8))
	}
	options = append(options,
		piondtls.WithRootCAs(p.TLS.RootCAs),
		piondtls.WithServerName(p.TLS.ServerName),
		piondtls.WithInsecureSkipVerify(p.TLS.InsecureSkipVerify),
		piondtls.WithCipherSuites(piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8))
	if len(p.TLS.Certificates) > 0 {
		options = append(options, piondtls.WithCertificates(p.TLS.Certificates...))
	}
	return options
}

// unconnected is a connected socket as pion wants it.
type unconnected struct{ net.Conn }

func (u unconnected) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := u.Read(b)
	return n, u.RemoteAddr(), err
}

func (u unconnected) WriteTo(b []byte, _ net.Addr) (int, error) { return u.Write(b) }
