package mqtt

import (
	"crypto/tls"
	"net"
	"net/netip"

	"github.com/gorilla/websocket"
)

// A ListenerConfig describes one port. Without TLS and WebSocket, MQTT is
// spoken right on TCP.
type ListenerConfig struct {
	// Name is what logs and core.Identity show.
	Name string

	// Address is an IP address and a port, such as "127.0.0.1:1883". Port 0
	// lets the system choose.
	Address string

	// TLS returns what a connection that has just come is secured with: a
	// change holds for the next one. It must not block. Nil: no TLS.
	TLS func() *tls.Config

	// WebSocket has clients ask for one over HTTP first. Nil: none.
	WebSocket *WebSocket

	// Proxies are where those stand that bring clients here, and say of each by
	// the PROXY protocol, before anything else, where it comes from. Nobody else
	// may connect. Nil: clients come by themselves.
	Proxies []netip.Prefix
}

// A listener is one port.
type listener struct {
	net.Listener
	name     string
	tls      func() *tls.Config
	web      *WebSocket
	upgrader *websocket.Upgrader // of web
	proxies  []netip.Prefix
}

// layered reports whether MQTT is spoken in anything upon TCP.
func (l *listener) layered() bool { return l.tls != nil || l.web != nil }

// Listen opens a port and returns the address that it is open on. It is served
// once Serve runs.
func (s *Server) Listen(c ListenerConfig) (net.Addr, error) {
	socket, err := net.Listen("tcp", c.Address)
	if err != nil {
		return nil, err
	}
	l := &listener{Listener: socket, name: c.Name, tls: c.TLS, web: c.WebSocket, proxies: c.Proxies}
	if l.web != nil {
		l.upgrader = newUpgrader()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		socket.Close()
		return nil, net.ErrClosed
	}
	s.listeners = append(s.listeners, l)
	return socket.Addr(), nil
}
