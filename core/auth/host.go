package auth

import (
	"net"
	"net/netip"
	"strings"
)

// LocalHost reports whether a Host header of HTTP, with or without a port,
// names this machine to itself. A web page of any other name may be a
// stranger's, whose name has been bound to loopback so that a browser here
// lets it talk to us.
func LocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
