package report

import (
	"fmt"

	"dormouse/sim"
)

// dtlsMetrics are what DTLS took. Only who speaks it has them.
func dtlsMetrics() []Metric {
	secured := func(m Metric) Metric {
		of := m.of
		m.of = func(g *subject) (float64, bool) {
			v, ok := of(g)
			return v, ok && g.Secured
		}
		return m
	}
	return []Metric{
		secured(counter("handshakes", "DTLS handshakes done.", Lower, func(g *sim.GroupStats) uint64 { return g.Handshakes })),
		secured(counter("handshakes.again", "Of those: of devices that had done one before in this run.", Lower,
			func(g *sim.GroupStats) uint64 { return g.HandshakesAgain })),
		secured(counter("handshakes.failed", "DTLS handshakes that came to nothing.", Lower,
			func(g *sim.GroupStats) uint64 { return g.HandshakesFailed })),
		secured(inOctets("octets.handshakes", "Octets of handshakes, both ways.", Lower, handshakeOctets)),
		secured(inOctets("octets.sealing", "Octets, both ways, that DTLS adds to what is in its records.", Lower,
			func(g *sim.GroupStats) uint64 { return g.Up.Sealing + g.Down.Sealing })),
		secured(Metric{Name: "octets.per_handshake", Unit: Octets, Help: "Octets of handshakes, both ways, for each that was done.", Wish: Lower,
			of: func(g *subject) (float64, bool) { return ratio(handshakeOctets(&g.GroupStats), g.Handshakes) }}),
		secured(Metric{Name: "octets.sealing_per_datagram", Unit: Octets, Help: "Octets that DTLS adds to a datagram of a device that is no handshake's.", Wish: Lower,
			of: func(g *subject) (float64, bool) {
				return ratio(g.Up.Sealing, less(g.Up.Datagrams, g.Up.Handshake.Datagrams))
			}}),
	}
}

func handshakeOctets(g *sim.GroupStats) uint64 {
	return g.Up.Handshake.Octets + g.Down.Handshake.Octets
}

// handshakes is what the handshakes of s came to, as if they were packets of a
// type, and whether there were any.
func handshakes(s *subject) (Packet, bool) {
	up, down := s.Up.Handshake, s.Down.Handshake
	p := Packet{Type: "DTLS handshake", DatagramsUp: up.Datagrams, DatagramsDown: down.Datagrams, OctetsUp: up.Octets, OctetsDown: down.Octets}
	if e := s.Energy; e != nil && e.Total.Days > 0 {
		p.Charge = e.Traffic.Handshake.Charge / microcoulombs / e.Total.Days
	}
	return p, up.Datagrams+down.Datagrams > 0
}

// dtls is what DTLS took of a group, in a sentence; empty if it does not speak
// it.
func (g *Group) dtls() string {
	if _, ok := g.Metrics["handshakes"]; !ok {
		return ""
	}
	count := func(name string) string { return thousands(g.Metrics[name]) }
	return fmt.Sprintf("%s: %s handshakes, %s of them again, %s failed; %s octets each; %s octets more on each datagram up",
		g.Name, count("handshakes"), count("handshakes.again"), count("handshakes.failed"),
		g.figure("octets.per_handshake", Count), g.figure("octets.sealing_per_datagram", Count))
}
