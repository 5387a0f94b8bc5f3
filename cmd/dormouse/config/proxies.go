package config

import (
	"net/netip"
	"slices"

	"dormouse/configs/strict"
)

// proxies complains about the proxies in front of l, whose key is key.
func (r *reader) proxies(key string, l *Listener, at func(string) strict.Place) {
	p := &l.ProxyProtocol
	everywhere := slices.ContainsFunc(Prefixes(p.Trusted), func(p netip.Prefix) bool { return p.Bits() == 0 })
	switch {
	case p.Enabled && len(p.Trusted) == 0:
		r.complain(at("proxy_protocol"), "%s.proxy_protocol.trusted is empty, so that nobody could connect; name the networks of the proxies, such as [loopback] or [192.0.2.7/32]", key)
	case p.Enabled && everywhere:
		r.complain(at("proxy_protocol.trusted"), "%s.proxy_protocol.trusted is everywhere, and whoever reaches the port could say that it is anyone; name the networks of the proxies", key)
	case !p.Enabled && len(p.Trusted) > 0:
		r.complain(at("proxy_protocol.trusted"), "%s.proxy_protocol.trusted is of no use without \"enabled: true\" beside it; add that, or leave it out", key)
	}
}
