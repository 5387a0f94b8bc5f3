package mqtt

import (
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Stats are a server's figures: the connections there are now, and what has
// come to pass since it started.
type Stats struct {
	Connections int    // connected or about to be
	Accepted    uint64 // connections ever
	Refused     Refusals
	Closed      Closures
	TooLarge    uint64 // messages dropped because a client takes none so long
	Panics      uint64 // bugs in what reads packets; each cost one connection
}

// Refusals are clients that were not let in, by cause.
type Refusals struct {
	Full           uint64 // too many connections
	PerIP          uint64 // too many from one IP address
	Timeout        uint64 // no CONNECT in time
	Authentication uint64
	Other          uint64 // answered by CONNACK with another reason
}

// Closures are connections that the server closed, by cause.
type Closures struct {
	Malformed      uint64 // packets that are none
	Protocol       uint64 // packets against the protocol
	TooLarge       uint64 // packets beyond the limit
	ReceiveMaximum uint64 // too many messages without an acknowledgement
	KeepAlive      uint64 // silence
	Stalled        uint64 // the client does not take what it gets
	TakenOver      uint64
	Other          uint64
}

// counters are what Stats reads.
type counters struct {
	accepted, tooLarge, panics atomic.Uint64
	refusals                   struct{ full, perIP, timeout, authentication, other atomic.Uint64 }
	closures                   struct {
		malformed, protocol, tooLarge, receiveMaximum, keepAlive, stalled, takenOver, other atomic.Uint64
	}
}

// countClosed counts a connection closed for a reason of MQTT 5.
func (n *counters) countClosed(code packets.Code) {
	if code == packets.ErrPendingClientWritesExceeded {
		n.closures.stalled.Add(1)
		return
	}
	switch code.Code {
	case packets.ErrMalformedPacket.Code:
		n.closures.malformed.Add(1)
	case packets.ErrProtocolViolation.Code:
		n.closures.protocol.Add(1)
	case packets.ErrPacketTooLarge.Code:
		n.closures.tooLarge.Add(1)
	case packets.ErrReceiveMaximum.Code:
		n.closures.receiveMaximum.Add(1)
	case packets.ErrKeepAliveTimeout.Code:
		n.closures.keepAlive.Add(1)
	case packets.ErrSessionTakenOver.Code:
		n.closures.takenOver.Add(1)
	default:
		n.closures.other.Add(1)
	}
}

// Stats returns the figures as they are.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections := len(s.conns)
	s.mu.Unlock()
	return Stats{
		Connections: connections,
		Accepted:    s.accepted.Load(),
		Refused: Refusals{
			Full:           s.refusals.full.Load(),
			PerIP:          s.refusals.perIP.Load(),
			Timeout:        s.refusals.timeout.Load(),
			Authentication: s.refusals.authentication.Load(),
			Other:          s.refusals.other.Load(),
		},
		Closed: Closures{
			Malformed:      s.closures.malformed.Load(),
			Protocol:       s.closures.protocol.Load(),
			TooLarge:       s.closures.tooLarge.Load(),
			ReceiveMaximum: s.closures.receiveMaximum.Load(),
			KeepAlive:      s.closures.keepAlive.Load(),
			Stalled:        s.closures.stalled.Load(),
			TakenOver:      s.closures.takenOver.Load(),
			Other:          s.closures.other.Load(),
		},
		TooLarge: s.tooLarge.Load(),
		Panics:   s.panics.Load(),
	}
}
