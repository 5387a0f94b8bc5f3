package gateway

import (
	"encoding/binary"
	"net/netip"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
)

// This file is how a gateway goes on with the clients of the one before it. To
// what a session asks the broker to store it adds where the client is and what
// time of day it is, all integers big-endian:
//
//	What(1) Saved(6, Unix time in ms) Length(1) Listener(Length)
//
// and, as What says,
//
//	Port(2) Address(4)                  if placedV4
//	Port(2) Address(16) Length(1) Zone  if placedV6
//	Local(4 or 16, as Address)          if placedLocal: where answers come from
//	Name(8)                             if placedConn: of its association
//	Length(1) Node                      if placedNode
//
// and then what the session has asked for. A client whose connection ends with
// the process has no place.
const (
	placeVersion = 0x10 // upper half of What
	placedV4     = 1
	placedV6     = 2
	placedLocal  = 4
	placedNode   = 8
	placedConn   = placedV4 | placedV6 // neither
)

// A place is where a client of ours was when its session was stored.
type place struct {
	listener string
	saved    int64 // Unix time in ms
	source         // no address: nowhere
}

// appendPlace encodes the place of t.
func (g *Gateway) appendPlace(b []byte, t *seat) []byte {
	what, from := byte(placeVersion), t.peer
	local := g.localAddr(from.Local)
	a := from.Addr.Addr()
	name, lasts := g.connName(from.Conn)
	switch {
	case !t.bound() || from.Conn != 0 && !lasts:
	case lasts:
		what |= placedConn
	case a.Is4():
		what |= placedV4
	default:
		what |= placedV6
	}
	placed := what != placeVersion
	if placed && !lasts && local.BitLen() == a.BitLen() {
		what |= placedLocal
	}
	if placed && t.node != "" {
		what |= placedNode
	}
	var saved [8]byte
	binary.BigEndian.PutUint64(saved[:], uint64(g.cfg.Wall().UnixMilli()))
	b = append(append(b, what), saved[2:]...)
	b = appendText(b, g.cfg.Listener)
	if !placed {
		return b
	}
	if lasts {
		b = append(b, name[:]...)
	} else {
		b = appendAddr(b, from.Addr)
	}
	if what&placedLocal != 0 {
		b = append(b, local.AsSlice()...)
	}
	if what&placedNode != 0 {
		b = appendText(b, t.node)
	}
	return b
}

// appendAddr encodes where a client is.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	b = binary.BigEndian.AppendUint16(b, a.Port())
	b = append(b, a.Addr().AsSlice()...)
	if !a.Addr().Is4() {
		b = appendText(b, a.Addr().Zone())
	}
	return b
}

// appendText encodes at most 255 octets, which is more than any of ours has.
func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), 255)]
	return append(append(b, byte(len(s))), s...)
}

// readPlace takes apart what was stored: state is the session's. What was
// stored when there were no places is the session's alone.
func (g *Gateway) readPlace(b []byte) (p place, state []byte, ok bool) {
	if len(b) == 0 || b[0]&0xF0 != placeVersion {
		return place{}, b, false
	}
	r := reader{b: b[1:], ok: true}
	what, long := b[0]&^placeVersion, 4
	for _, octet := range r.octets(6) {
		p.saved = p.saved<<8 | int64(octet)
	}
	p.listener = r.text()
	if what&(placedV4|placedV6) == 0 {
		return p, r.b, r.ok
	}
	if what&placedConn == placedConn {
		p.peer = g.connPeer(p.listener, r.octets(8))
		if what&placedNode != 0 {
			p.node = r.text()
		}
		return p, r.b, r.ok
	}
	port := uint16(0)
	for _, octet := range r.octets(2) {
		port = port<<8 | uint16(octet)
	}
	if what&placedV6 != 0 {
		long = 16
	}
	a, _ := netip.AddrFromSlice(r.octets(long))
	if long == 16 {
		a = a.WithZone(r.text())
	}
	if what&placedLocal != 0 {
		local, _ := netip.AddrFromSlice(r.octets(long))
		if p.listener == g.cfg.Listener {
			p.peer.Local = g.localNumber(local)
		}
	}
	if what&placedNode != 0 {
		p.node = r.text()
	}
	p.peer.Addr = netip.AddrPortFrom(a, port)
	return p, r.b, r.ok
}

// A reader takes octets off b while there are enough.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) octets(n int) []byte {
	if n > len(r.b) {
		r.b, r.ok = nil, false
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) text() string {
	for _, n := range r.octets(1) {
		return string(r.octets(int(n)))
	}
	return ""
}

// connName is the lasting name of an association, if it has one.
func (g *Gateway) connName(n uint32) (name [8]byte, ok bool) {
	if l, lasting := g.transport.(transport.Lasting); lasting && n != 0 {
		return l.ConnID(n)
	}
	return name, false
}

// connPeer is the peer whose association on our listener has a name.
func (g *Gateway) connPeer(listener string, name []byte) transport.Peer {
	if l, lasting := g.transport.(transport.Lasting); lasting && listener == g.cfg.Listener && len(name) == 8 {
		if p, known := l.ConnPeer([8]byte(name)); known {
			return p
		}
	}
	return transport.Peer{}
}

func (g *Gateway) localAddr(n uint32) netip.Addr {
	if l, ok := g.transport.(transport.Locals); ok && n != 0 {
		return l.LocalAddr(n)
	}
	return netip.Addr{}
}

func (g *Gateway) localNumber(a netip.Addr) uint32 {
	if l, ok := g.transport.(transport.Locals); ok && a.IsValid() {
		return l.LocalNumber(a)
	}
	return 0
}

// TakeUp gives a seat to every client that was connected here when the broker
// was last stopped, be it by kill -9, and returns how many there are: nothing
// has happened to them. They have all of their time from now on; see
// [session.Resume]. It is to be called once, before SetReady, Run and Step.
func (g *Gateway) TakeUp(now clock.Time) (clients int) {
	saved := make([][]int64, len(g.shards)) // when, by slot
	for k := range g.broker.Kept {
		p, state, ok := g.readPlace(k.State)
		if !ok || p.listener != g.cfg.Listener {
			continue
		}
		k.State = state
		ago := g.cfg.Wall().Sub(time.UnixMilli(p.saved))
		kept, ok := session.Resume(mqttsn.V12, g.configFor(p.source), now, k, ago)
		if !ok {
			continue
		}
		from, at := p.source, g.shardOf(p.peer)
		other := g.shards[at].find(from.peer, []byte(from.node))
		if !from.peer.Addr.IsValid() || other != nil && saved[at][other.slot] > p.saved {
			from, at = source{}, g.shardOf(transport.Peer{}) // somebody else has been there since
		}
		s := g.shards[at]
		s.now = now
		t := s.takeUp(kept, from)
		if t == nil {
			continue
		}
		clients++
		if t.slot != nowhere {
			saved[at] = append(saved[at], make([]int64, max(0, len(s.slots)-len(saved[at])))...)
			saved[at][t.slot] = p.saved
		}
	}
	return clients
}

// takeUp gives a client a seat where it is, or nowhere. It returns nil if there
// is nothing to go on with.
func (s *shard) takeUp(kept *session.Session, from source) *seat {
	t := &seat{session: *kept, owner: s, state: kept.State()}
	link, ok := s.g.broker.Resume(s.clientOf(&t.session, from), t)
	if !ok {
		return nil
	}
	t.link = link
	s.g.seats.Add(1)
	if from.peer.Addr.IsValid() {
		if other := s.find(from.peer, []byte(from.node)); other != nil {
			s.evict(other)
		}
		s.settle(t, from)
	} else {
		s.settleNowhere(t)
	}
	s.g.clients.put(t.session.ClientID(), t)
	s.wheel.Set(t.slot, t.session.Deadline())
	switch {
	case t.forlorn():
		s.end(t, session.KeepAliveTimeout)
	case t.state == session.Active:
		t.Mail() // it may be that there is some
	}
	return t
}
