package gateway

import (
	"net/netip"

	"dormouse/mqttsn"
	"dormouse/mqttsn/transport"
)

// This file makes the gateway known, 1.2 §6.1, while it can serve.

// onSearchgw answers who looks for a gateway: him alone, and also if he asked
// by multicast (A2). A forwarder is told how far the answer is to go.
func (s *shard) onSearchgw(from source, p *mqttsn.Searchgw) {
	g, c := s.g, &s.g.cfg.Search
	if !c.Answer || !g.serves() || !contains(c.Allow, from.peer.Addr) || !g.searches.Allow(s.now, 0) {
		s.drop(searchRefused)
		return
	}
	if s.mayAnswer(from) {
		const farthest = 3 // an envelope has two bits for it
		s.out.add(from, min(p.Radius, farthest), g.gwinfo)
	}
}

// announce sends ADVERTISE if it is time: at once when the gateway begins to
// serve, and then every T_ADV.
func (s *shard) announce() {
	c := &s.g.cfg.Advertise
	switch {
	case !s.g.serves():
		s.advertise = 0
		return
	case s.advertise != 0 && !s.advertise.Reached(s.now):
		return
	}
	for _, a := range c.Addresses {
		s.out.add(source{peer: transport.Peer{Addr: a}}, 0, s.g.advert)
	}
	s.advertise = s.now.Add(c.Interval)
}

func (g *Gateway) serves() bool { return g.ready.Load() && !g.draining.Load() }

// contains reports whether an address is in one of the networks.
func contains(networks []netip.Prefix, a netip.AddrPort) bool {
	host := a.Addr().WithZone("") // no network contains an address with a zone
	for _, n := range networks {
		if n.Contains(host) {
			return true
		}
	}
	return false
}
