package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"
)

// arrive gives a stranger ConnectTimeout for everything until CONNECT, and
// goes through what its port has ahead of MQTT.
func (c *conn) arrive() error {
	c.mu.Lock()
	if c.parting {
		c.mu.Unlock()
		return net.ErrClosed
	}
	err := c.socket.SetDeadline(time.Now().Add(c.idle))
	c.mu.Unlock()
	if err == nil && (c.port.layered() || c.port.proxies != nil) {
		layered := make(chan error)
		go func() { layered <- c.protect(c.layer) }()
		err = <-layered
	}
	c.guard.from = c.stream
	if len(c.ahead) > 0 {
		c.guard.from = wire{c.socket, c}
	}
	return err
}

// layer goes through what the port has ahead of MQTT. It takes a stack that an
// idle client is not to keep.
func (c *conn) layer() error {
	if c.port.proxies != nil {
		if err := c.introduce(); err != nil {
			return err
		}
	}
	if c.port.tls != nil {
		if err := c.secure(); err != nil {
			return err
		}
	}
	if c.port.web != nil {
		return c.upgrade()
	}
	return nil
}

// A handshakeError says why TLS, a WebSocket or what a proxy says did not come
// about.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// secure makes TLS of the socket.
func (c *conn) secure() error {
	by := c.port.tls()
	t := tls.Server(wire{c.socket, c}, by)
	c.stream = &secure{t, c.socket, by.ClientCAs}
	if err := t.Handshake(); err != nil {
		return &handshakeError{fmt.Errorf("TLS handshake: %w", err)}
	}
	if chains := t.ConnectionState().VerifiedChains; len(chains) > 0 {
		c.shown = chains[0][0]
	}
	return nil
}

// A secure is a socket with TLS.
type secure struct {
	*tls.Conn
	socket net.Conn

	believed *x509.CertPool // that vouched for the client, if any did
}

// CloseWrite says so in TLS and in TCP, since not every client minds the
// former, and there is none yet if the handshake failed.
func (s *secure) CloseWrite() error {
	s.Conn.CloseWrite()
	return closeWrite(s.socket)
}

// vouched reports whether authorities of now vouch for the certificate that the client
// has shown, if any.
func (c *conn) vouched() bool {
	s, ok := c.stream.(*secure)
	if web, is := c.stream.(*webSocket); is {
		s, ok = web.below.(*secure)
	}
	if !ok {
		return true
	}
	believed, shown := c.port.tls().ClientCAs, s.ConnectionState().PeerCertificates
	if len(shown) == 0 || believed.Equal(s.believed) {
		return true
	}
	between := x509.NewCertPool()
	for _, authority := range shown[1:] {
		between.AddCert(authority)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: believed, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
}

// A wire is a connection's socket behind the PROXY header, as TLS and WebSocket
// may see it: when time is over is for the connection to say, and for no library.
type wire struct {
	net.Conn
	c *conn
}

// Read reads first what has come with the header.
func (w wire) Read(p []byte) (int, error) {
	if ahead := w.c.ahead; len(ahead) > 0 {
		n := copy(p, ahead)
		if w.c.ahead = ahead[n:]; n == len(ahead) {
			w.c.ahead = nil // for the collector
		}
		return n, nil
	}
	return w.Conn.Read(p)
}

func (wire) SetDeadline(time.Time) error      { return nil }
func (wire) SetReadDeadline(time.Time) error  { return nil }
func (wire) SetWriteDeadline(time.Time) error { return nil }

// Write is also asked by whoever reads: for the answer to a ping, or new keys.
func (w wire) Write(p []byte) (int, error) {
	w.c.mayWrite()
	return w.Conn.Write(p)
}

// CloseWrite ends the socket's half.
func (w wire) CloseWrite() error { return closeWrite(w.Conn) }

// closeWrite says that nothing follows on s, which can still be read.
func closeWrite(s any) error {
	if half, ok := s.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// mayWrite gives the client WriteTimeout to take what is about to be sent. It
// prolongs neither a farewell nor the time until CONNECT.
func (c *conn) mayWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != 0 && !c.parting {
		c.socket.SetWriteDeadline(time.Now().Add(c.server.o.WriteTimeout))
	}
}
