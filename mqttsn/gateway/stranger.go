package gateway

import (
	"net/netip"
	"slices"

	"dormouse/mqttsn"
	"dormouse/mqttsn/limit"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
)

// This file deals with senders that have no session here. They may connect,
// look for a gateway, and publish at QoS -1; all else is answered with
// DISCONNECT, so that the client connects (1.2 §5.4.21, A15). No answer is
// longer than what it answers, and there are only so many for one network.

// clientsSend are the packets that need a connection.
var clientsSend = [mqttsn.NumTypes]bool{
	mqttsn.TypeWilltopic: true, mqttsn.TypeWillmsg: true,
	mqttsn.TypeWilltopicupd: true, mqttsn.TypeWillmsgupd: true,
	mqttsn.TypeRegister: true, mqttsn.TypeRegack: true,
	mqttsn.TypePublish: true, mqttsn.TypePuback: true,
	mqttsn.TypePubrec: true, mqttsn.TypePubrel: true, mqttsn.TypePubcomp: true,
	mqttsn.TypeSubscribe: true, mqttsn.TypeUnsubscribe: true,
	mqttsn.TypePingreq: true, mqttsn.TypeDisconnect: true,
}

// octets is the datagram for a packet of ours.
func octets(p mqttsn.Packet) []byte {
	b, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		panic(err) // the configuration is valid, and so are these
	}
	return b
}

var (
	goodbye      = octets(&mqttsn.Disconnect{})
	notSupported = octets(&mqttsn.Connack{Reason: mqttsn.NotSupported})
	congested    = octets(&mqttsn.Connack{Reason: mqttsn.Congestion})
)

// stranger takes in a packet that is not for the session at its address, t, if
// there is one.
func (s *shard) stranger(from source, t *seat, p mqttsn.Packet) {
	switch p := p.(type) {
	case *mqttsn.Connect:
		s.connect(from, t, p)
		return
	case *mqttsn.Pingreq:
		s.wakeElsewhere(from, p)
		return
	case *mqttsn.Publish:
		if p.QoS == mqttsn.QoSMinusOne {
			s.publish(from, p)
			return
		}
	}
	if !clientsSend[p.Type()] {
		s.drop(notForServers)
		return
	}
	s.answer(from, goodbye)
}

// nobodyAt reports whether no client can be at a, so that an answer would go to
// a group, to all of a network, or nowhere.
func (g *Gateway) nobodyAt(a netip.AddrPort) bool {
	ip := a.Addr()
	return ip.IsMulticast() || ip.IsUnspecified() || a.Port() == 0 || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) ||
		slices.ContainsFunc(g.cfg.Advertise.Addresses, func(to netip.AddrPort) bool { return to.Addr() == ip })
}

// answer answers a stranger, unless its network has had enough.
func (s *shard) answer(to source, packet []byte) {
	if s.mayAnswer(to) {
		s.out.add(to, 0, packet)
	}
}

// mayAnswer counts an answer to a stranger, or that there may be none.
func (s *shard) mayAnswer(to source) bool {
	if !s.surelyThere(to) && !s.g.strangers.Allow(s.now, s.g.prefix(to.peer)) {
		s.count.suppressed.Add(1)
		return false
	}
	s.count.answered.Add(1)
	return true
}

// subscribesPerResponse is how many SUBSCRIBE of a network are heard for every
// CONNECT: most clients have a few subscriptions.
const subscribesPerResponse = 4

// maySubscribe reports whether SUBSCRIBE from there may be heard. On plain UDP
// nobody knows that who asks is who will be sent what is retained, which is
// longer than the question.
func (s *shard) maySubscribe(from source) bool {
	if s.surelyThere(from) || s.g.subscribes.Allow(s.now, s.g.prefix(from.peer)) {
		return true
	}
	s.drop(subscribeRate)
	return false
}

// surelyThere reports whether what is sent to p comes to who has asked for it: p
// is exempt, or has shown that it hears us before it had an association.
func (s *shard) surelyThere(p source) bool {
	return s.exempt(p) || p.node == "" && p.peer.Conn != 0
}

// exempt reports whether no limits hold for from. They do for those behind a
// forwarder, wherever it is.
func (s *shard) exempt(from source) bool {
	return from.node == "" && contains(s.g.cfg.Strangers.Exempt, from.peer.Addr)
}

// connect gives a client that is not connected from there a seat. The client
// that was there before, t, loses its address to it; but not to a CONNECT that
// cannot be accepted.
func (s *shard) connect(from source, t *seat, p *mqttsn.Connect) {
	g, c := s.g, &s.g.cfg
	if _, there := g.userOf(from); !there || !s.mayAnswer(from) {
		return
	}
	refuse := func(why refusal) {
		s.count.refused[why].Add(1)
		s.out.add(from, 0, congested)
	}
	switch {
	case g.draining.Load():
		refuse(drained)
	case !s.exempt(from) && !g.connects.Allow(s.now, 0):
		s.count.refused[tooFast].Add(1) // in silence: it is to try again soon
	case p.ProtocolID != 1 || !c.Session.ValidClientID(p.ClientID):
		s.out.add(from, 0, notSupported)
	case c.AddressMigration == Never && s.held(from, t, p):
		s.hijack(string(p.ClientID), from)
		refuse(atAnotherAddress)
	case g.seats.Load() >= int64(c.MaxSessions):
		refuse(tooManySessions)
	case g.connecting() >= int64(c.MaxDialogues):
		refuse(tooManyDialogues)
	case g.Strained(s.now) && !g.broker.Knows(string(p.ClientID)):
		refuse(unknown)
	default:
		if t != nil {
			s.evict(t)
		}
		s.handle(s.newSeat(from), p)
	}
}

// held reports whether client and address are not each other's (Never): the
// client that p names is connected from another host, or as another node, or
// the client t is where p comes from. A client that restarts may have another
// port.
func (s *shard) held(from source, t *seat, p *mqttsn.Connect) bool {
	if t != nil && t.state != session.Connecting {
		return true
	}
	there := s.g.clients.find(string(p.ClientID))
	if there == nil {
		return false
	}
	at := there.at()
	return at.peer.Addr.IsValid() && (at.node != from.node || at.peer.Addr.Addr() != from.peer.Addr.Addr())
}

// connecting is how many clients are on their way to be accepted.
func (g *Gateway) connecting() (n int64) {
	for _, s := range g.shards {
		n += s.count.states[session.Connecting].Load()
	}
	return n
}

// wakeElsewhere takes in a PINGREQ from where nobody is, or another. If it
// names a client of ours that sleeps, it may be that one, woken behind another
// address: whether that is believed is configured (A9).
func (s *shard) wakeElsewhere(from source, p *mqttsn.Pingreq) {
	if !s.mayAnswer(from) {
		return
	}
	if t := s.g.clients.find(string(p.ClientID)); t != nil {
		if s.g.believes(from, t) {
			if t.claimed(&claim{from, s}) {
				return
			}
		} else {
			s.hijack(string(p.ClientID), from)
		}
	}
	s.out.add(from, 0, goodbye)
}

// userOf is whom who is there has proved to be. On a transport where everybody
// has, who has not is not there any more.
func (g *Gateway) userOf(from source) (user string, there bool) {
	peers, prove := g.transport.(transport.Identities)
	if !prove {
		return "", true
	}
	user = peers.Identity(from.peer).Name
	return user, user != ""
}

// believes reports whether a PINGREQ in the name of t's client is that one's.
// On a transport where everybody has proved who he is, it takes the same, and no
// policy makes it another.
func (g *Gateway) believes(from source, t *seat) bool {
	who, _ := g.userOf(from)
	owner, _ := g.userOf(t.at())
	if _, prove := g.transport.(transport.Identities); prove {
		return g.cfg.AddressMigration != Never && who != "" && who == owner
	}
	return g.cfg.AddressMigration == Always
}

// allowed reports whether a PUBLISH at QoS -1 may be heard, be its sender
// connected or not. It is never answered, 1.2 §6.8.
func (s *shard) allowed(from netip.AddrPort, p *mqttsn.Publish) bool {
	c := &s.g.cfg.QoSMinusOne
	switch {
	case c.From == Nowhere || c.From == Loopback && !from.Addr().IsLoopback():
		s.count.minusOne[fromElsewhere].Add(1)
	case !c.lists(p.Topic):
		s.count.minusOne[badTopic].Add(1)
	case !s.g.sources.Allow(s.now, limit.HashAddr(s.g.cfg.Seed, from.Addr())) || !s.g.minusOne.Allow(s.now, 0):
		s.count.minusOne[tooOften].Add(1)
	default:
		return true
	}
	return false
}

func (c *QoSMinusOne) lists(t mqttsn.Topic) bool {
	if len(c.Topics) == 0 {
		return true
	}
	for _, id := range c.Topics {
		if t.Kind == mqttsn.TopicPredefined && t.ID == id {
			return true
		}
	}
	return false
}

// publish passes on a PUBLISH at QoS -1 from a sender without a connection. It
// names its topic by a predefined id, two octets, or in full.
func (s *shard) publish(from source, p *mqttsn.Publish) {
	c, name, ok := s.g.configFor(from), "", true
	switch p.Topic.Kind {
	case mqttsn.TopicPredefined:
		name, ok = c.PredefinedTopic(p.Topic.ID, "")
	case mqttsn.TopicShort:
		name = string([]byte{byte(p.Topic.ID >> 8), byte(p.Topic.ID)})
	case mqttsn.TopicName:
		name = string(p.Topic.Name)
	}
	if !ok || !c.ValidTarget([]byte(name)) {
		s.count.minusOne[badTopic].Add(1)
		return
	}
	s.count.minusOne[published].Add(1)
	user, _ := s.g.userOf(from)
	s.g.broker.Publish(
		session.Client{User: user, Listener: s.g.cfg.Listener, Remote: from.String()},
		&session.Request{Kind: session.AskPublish, Topic: name, Payload: p.Payload, Retain: p.Retain})
}
