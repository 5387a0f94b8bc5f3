package mqtt

import (
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Stats are a server's figures: the connections there are now, and what has
// come to pass since it started.
type Stats struct {
	Connections int     // connected or about to be
	Accepted    uint64  // connections ever
	Received    Traffic // what sockets were read, and the whole packets in it
	Sent        Traffic // what sockets took, and the packets begun in it
	Refused     Refusals
	Closed      Closures
	Filters     Filters
	Throttled   uint64 // messages held back because the client publishes too fast
	Held        uint64 // times that a client was not read from because it was owed too many answers
	TooLarge    uint64 // messages dropped because a client takes none so long
	Panics      uint64 // bugs in what reads packets; each cost one connection
}

// Traffic is MQTT packets of any type and the octets of them.
type Traffic struct{ Packets, Bytes uint64 }

// Refusals are clients that were not let in, by cause.
type Refusals struct {
	Full           uint64 // too many connections
	PerIP          uint64 // too many from one IP address
	Rate           uint64 // too many in a second
	Timeout        uint64 // no CONNECT in time
	Stranger       uint64 // not by one of the proxies
	Handshake      uint64 // no TLS, no WebSocket or no PROXY header, by either side's fault
	Version        uint64 // of a version of MQTT that is not spoken
	Malformed      uint64 // CONNECT is against the protocol
	TooLarge       uint64 // CONNECT is longer than it may be
	UserProperties uint64 // CONNECT has too many
	QoS            uint64 // the will's is beyond the highest
	Retain         uint64 // the will is retained, and nothing may be
	Authentication uint64
	NotAuthorized  uint64 // without the user name that it takes, or what CONNECT asks for is another's
	Busy           uint64 // memory or processor is short
	Other          uint64 // answered by CONNACK with another reason
}

// Closures are connections that the server closed, by cause.
type Closures struct {
	Malformed      uint64 // packets that are none
	Protocol       uint64 // packets against the protocol
	TooLarge       uint64 // packets beyond the limit
	UserProperties uint64 // too many in a packet
	ReceiveMaximum uint64 // too many messages without an acknowledgement
	TopicAlias     uint64 // of 0 or beyond the maximum
	QoS            uint64 // a message beyond the highest
	Retain         uint64 // a retained message, and none may be
	KeepAlive      uint64 // silence
	Stalled        uint64 // the client does not take what it gets
	TakenOver      uint64
	Kicked         uint64 // an operator's wish
	Other          uint64
}

// Filters are what SUBSCRIBE asked for and our settings refuse, by cause.
type Filters struct {
	TooMany   uint64 // packets with too many, UNSUBSCRIBE too
	Wildcards uint64
	Shared    uint64
}

// counters are what Stats reads.
type counters struct {
	accepted, throttled, tooLarge, panics atomic.Uint64
	held                                  atomic.Uint64
	received, sent                        struct{ packets, bytes atomic.Uint64 }
	refusals                              struct {
		full, perIP, rate, timeout, stranger, handshake, version, malformed, tooLarge, userProperties, qos, retain,
		authentication, notAuthorized, busy, other atomic.Uint64
	}
	closures struct {
		malformed, protocol, tooLarge, userProperties, receiveMaximum, topicAlias, qos, retain, keepAlive,
		stalled, takenOver, kicked, other atomic.Uint64
	}
	filters struct{ tooMany, wildcards, shared atomic.Uint64 }
}

// countReceived counts what the guard has read since it was last called.
func (c *conn) countReceived() {
	g, n := &c.guard, &c.server.received
	n.packets.Add(g.packets)
	n.bytes.Add(g.octets)
	g.packets, g.octets = 0, 0
}

// countRefused counts a CONNECT refused for a reason of MQTT 5.
func (n *counters) countRefused(code packets.Code) {
	r := &n.refusals
	if code == errUserProperties {
		r.userProperties.Add(1)
		return
	}
	switch code.Code {
	case packets.ErrUnsupportedProtocolVersion.Code:
		r.version.Add(1)
	case packets.ErrMalformedPacket.Code, packets.ErrProtocolViolation.Code:
		r.malformed.Add(1)
	case packets.ErrQosNotSupported.Code:
		r.qos.Add(1)
	case packets.ErrRetainNotSupported.Code:
		r.retain.Add(1)
	case packets.ErrBadUsernameOrPassword.Code, packets.ErrBadAuthenticationMethod.Code:
		r.authentication.Add(1)
	case packets.ErrNotAuthorized.Code:
		r.notAuthorized.Add(1)
	case packets.ErrServerBusy.Code:
		r.busy.Add(1)
	default:
		r.other.Add(1)
	}
}

// countClosed counts a connection closed for a reason of MQTT 5.
func (n *counters) countClosed(code packets.Code) {
	c := &n.closures
	switch code {
	case packets.ErrPendingClientWritesExceeded:
		c.stalled.Add(1)
		return
	case errUserProperties:
		c.userProperties.Add(1)
		return
	}
	switch code.Code {
	case packets.ErrMalformedPacket.Code:
		c.malformed.Add(1)
	case packets.ErrProtocolViolation.Code:
		c.protocol.Add(1)
	case packets.ErrPacketTooLarge.Code:
		c.tooLarge.Add(1)
	case packets.ErrReceiveMaximum.Code:
		c.receiveMaximum.Add(1)
	case packets.ErrTopicAliasInvalid.Code:
		c.topicAlias.Add(1)
	case packets.ErrQosNotSupported.Code:
		c.qos.Add(1)
	case packets.ErrRetainNotSupported.Code:
		c.retain.Add(1)
	case packets.ErrKeepAliveTimeout.Code:
		c.keepAlive.Add(1)
	case packets.ErrSessionTakenOver.Code:
		c.takenOver.Add(1)
	case packets.ErrAdministrativeAction.Code:
		c.kicked.Add(1)
	default:
		c.other.Add(1)
	}
}

// Stats returns the figures as they are.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections := len(s.conns)
	s.mu.Unlock()
	r, c, f := &s.refusals, &s.closures, &s.filters
	return Stats{
		Connections: connections,
		Accepted:    s.accepted.Load(),
		Received:    Traffic{s.received.packets.Load(), s.received.bytes.Load()},
		Sent:        Traffic{s.sent.packets.Load(), s.sent.bytes.Load()},
		Refused: Refusals{
			Full:           r.full.Load(),
			PerIP:          r.perIP.Load(),
			Rate:           r.rate.Load(),
			Timeout:        r.timeout.Load(),
			Stranger:       r.stranger.Load(),
			Handshake:      r.handshake.Load(),
			Version:        r.version.Load(),
			Malformed:      r.malformed.Load(),
			TooLarge:       r.tooLarge.Load(),
			UserProperties: r.userProperties.Load(),
			QoS:            r.qos.Load(),
			Retain:         r.retain.Load(),
			Authentication: r.authentication.Load(),
			NotAuthorized:  r.notAuthorized.Load(),
			Busy:           r.busy.Load(),
			Other:          r.other.Load(),
		},
		Closed: Closures{
			Malformed:      c.malformed.Load(),
			Protocol:       c.protocol.Load(),
			TooLarge:       c.tooLarge.Load(),
			UserProperties: c.userProperties.Load(),
			ReceiveMaximum: c.receiveMaximum.Load(),
			TopicAlias:     c.topicAlias.Load(),
			QoS:            c.qos.Load(),
			Retain:         c.retain.Load(),
			KeepAlive:      c.keepAlive.Load(),
			Stalled:        c.stalled.Load(),
			TakenOver:      c.takenOver.Load(),
			Kicked:         c.kicked.Load(),
			Other:          c.other.Load(),
		},
		Filters:   Filters{TooMany: f.tooMany.Load(), Wildcards: f.wildcards.Load(), Shared: f.shared.Load()},
		Throttled: s.throttled.Load(),
		Held:      s.held.Load(),
		TooLarge:  s.tooLarge.Load(),
		Panics:    s.panics.Load(),
	}
}
