package mqtt

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"slices"

	proxyproto "github.com/pires/go-proxyproto"
)

// aheadMost is how much is read with the PROXY header at a time, in octets: one of
// version 1 has 107 at most and must come in one piece. It is less than a guard
// reads at first.
const aheadMost = 256

// nginx writes the address of a client by IPv4 as it is, though it goes on by IPv6.
func init() { proxyproto.V1AcceptIPv4InTCP6 = true }

// trusts reports whether what comes from there is taken for a proxy.
func (l *listener) trusts(from net.Addr) bool {
	addr := addressOf(from)
	return slices.ContainsFunc(l.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// refuseStranger notes that somebody came past the proxies.
func (s *Server) refuseStranger(l *listener, from net.Addr) {
	s.refusals.stranger.Add(1)
	s.incidents.Warn().Str("event", "not_a_proxy").Str("listener", l.name).Stringer("remote", from).
		Msg("connection closed at once: only proxies may connect here; if this is one, name its network in proxy_protocol.trusted of the listener; clients that come by themselves need a listener without proxy_protocol")
}

// An overLimit is the limit that is in a connection's way once a proxy has said
// whose it is.
type overLimit string

func (o overLimit) Error() string { return string(o) + " is reached" }

// introduce reads the PROXY header, of version 1 or 2, and has the connection
// count as its client's from then on. The header says nothing more to us: neither
// of TLS before the proxy, nor of whose certificate was shown there.
func (c *conn) introduce() error {
	in := bufio.NewReaderSize(c.socket, aheadMost)
	if _, err := in.Peek(1); err != nil { // who says nothing at all may only see whether we live
		return err
	}
	header, err := proxyproto.Read(in)
	if err != nil {
		return &handshakeError{fmt.Errorf("PROXY header: %w; have the proxy send one of version 1 or 2 at once, such as send-proxy-v2 of HAProxy, or turn proxy_protocol of the listener off", err)}
	}
	c.ahead, _ = in.Peek(in.Buffered())
	c.remote, c.brought = whence(header, c.remote)
	c.server.mu.Lock()
	limit := c.server.count(c)
	c.server.mu.Unlock()
	if limit != "" {
		return overLimit(limit)
	}
	return nil
}

// whence is where a client is, and whether a proxy has brought it. A connection of
// the proxy's own, such as to see whether we live, is none that it brings; version 1
// cannot tell that from one of which it does not know. Of whom it does not say where
// they are, they are where it is. So they are if it says on loopback, and is not
// itself on ours: that would be another machine's.
func whence(h *proxyproto.Header, proxy net.Addr) (at net.Addr, brought bool) {
	if h.Version == 2 && h.Command.IsLocal() {
		return proxy, false
	}
	source, _, ok := h.TCPAddrs()
	if !ok || source.IP.IsLoopback() && !addressOf(proxy).IsLoopback() {
		return proxy, true
	}
	return source, true
}
