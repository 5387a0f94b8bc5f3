package gateway

import (
	"context"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/wheel"
)

const (
	tick = 100 * time.Millisecond

	// slice is how many seats a turn visits, and how many deadlines it meets,
	// before it looks for datagrams again: mail for a hundred thousand clients
	// must not keep those who are awake waiting.
	slice = 512

	// letters is how many datagrams it looks at before that: a burst of them
	// must not keep deadlines and mail waiting, nor go on when it has become too
	// late for what is left of it.
	letters = 512

	// pulls is how many messages one seat may have before others have a turn.
	pulls = 16
)

// A shard is one goroutine and the seats it alone may touch.
type shard struct {
	g          *Gateway
	in         *inbox
	count      *counters
	advertises bool // one of them does

	// Owned by run, or whoever calls turn.
	now clock.Time // read once for a whole turn
	mail
	table
	wheel     *wheel.Wheel
	due       queue[*seat] // whose deadline has come
	advertise clock.Time   // when ADVERTISE is due
	decoder   mqttsn.Decoder
	acts      session.Actions
	placed    []byte // what AskSave is to store
	heard     events
	out       outbox
	paces     []pace // by slot, as far as clients have published
	rested    bool   // when last looked, there was nothing to do
	strain
}

func newShard(g *Gateway, start clock.Time) *shard {
	s := &shard{
		g:     g,
		in:    newInbox(),
		count: new(counters),
		now:   start,
		table: newTable(),
		wheel: wheel.New(start, tick),

		rested: true,
	}
	s.out = outbox{transport: g.transport, count: s.count}
	return s
}

// run is the shard's loop: the only place where time, datagrams and sessions
// meet.
func (s *shard) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.in.wake:
		case <-timer.C:
		}
		now := clock.Now()
		s.turn(now)
		switch next := s.next(); {
		case !s.rested:
			s.in.stir()
		case next != 0:
			timer.Reset(next.Sub(now))
		}
	}
}

// turn does what there is to do at now, or a good slice of it. It never waits
// for anything but the transport.
func (s *shard) turn(now clock.Time) {
	s.now = now
	s.in.take(&s.mail, now, s.rested)
	for _, do := range s.calls {
		do()
	}
	for range min(s.seats.len(), slice) {
		s.visit(s.seats.pop())
	}
	s.look()
	for range min(s.unread(), letters) {
		s.read++
		s.receive(s.datagrams[s.read-1])
	}
	s.wheel.Advance(now, func(slot int32) { s.due.push(s.slots[slot]) })
	for range min(s.due.len(), slice) {
		s.meet(s.due.pop())
	}
	if s.advertises {
		s.announce()
	}
	s.out.flush()
	s.rested = !s.behind()
}

// behind reports whether there is something to do already.
func (s *shard) behind() bool {
	return s.unread() > 0 || s.seats.len() > 0 || s.due.len() > 0 || !s.in.empty()
}

// next returns when a deadline may be due, or zero for never.
func (s *shard) next() clock.Time {
	return clock.Sooner(s.wheel.Next(), s.advertise)
}

// receive looks at one datagram.
func (s *shard) receive(d transport.Datagram) {
	s.count.received.Add(1)
	a := d.Peer.Addr
	if s.g.nobodyAt(a) {
		s.drop(badSource)
		return
	}
	octets, node := d.Buf, []byte(nil)
	if mqttsn.Encapsulated(mqttsn.V12, octets) {
		if !contains(s.g.cfg.Forwarders, a) {
			s.drop(notAForwarder)
			return
		}
		envelope, inner, err := mqttsn.Unwrap(mqttsn.V12, octets)
		if err != nil {
			s.count.countMalformed(err)
			return
		}
		octets, node = inner, envelope.Node
	}
	p, err := s.decoder.Decode(mqttsn.V12, octets)
	if err != nil {
		s.count.countMalformed(err)
		return
	}
	switch p := p.(type) {
	case *mqttsn.Searchgw:
		s.onSearchgw(source{d.Peer, string(node)}, p)
		return
	case *mqttsn.Advertise, *mqttsn.Gwinfo:
		s.drop(otherGateway)
		return
	}
	if d.Multicast {
		s.drop(byMulticast)
		return
	}
	if (s.sheds || s.stale) && s.shed(p) {
		return
	}
	t := s.find(d.Peer, node)
	if t != nil && t.peer != d.Peer {
		t.be(source{d.Peer, t.node}) // an association may be elsewhere by now
	}
	if p, ok := p.(*mqttsn.Publish); ok && p.QoS == mqttsn.QoSMinusOne {
		if !s.allowed(a, p) {
			return
		}
		if t != nil {
			s.count.minusOne[published].Add(1)
		}
	}
	if t != nil && !s.allots(t, p) {
		return
	}
	s.countPredefined(t, p)
	if t == nil || !isOf(&t.session, p) || s.g.draining.Load() && p.Type() == mqttsn.TypeConnect {
		s.stranger(source{d.Peer, string(node)}, t, p)
		return
	}
	s.handle(t, p)
}

// allots reports whether p is within what the client of t may ask for in a
// time.
func (s *shard) allots(t *seat, p mqttsn.Packet) bool {
	switch p := p.(type) {
	case *mqttsn.Publish:
		return p.QoS == mqttsn.QoSMinusOne || s.paced(t, p)
	case *mqttsn.Subscribe:
		return s.maySubscribe(t.source)
	}
	return true
}

// countPredefined counts a PUBLISH that may be heard, if it names its topic by
// a predefined id.
func (s *shard) countPredefined(t *seat, p mqttsn.Packet) {
	m, ok := p.(*mqttsn.Publish)
	if !ok || m.Topic.Kind != mqttsn.TopicPredefined || t == nil && m.QoS != mqttsn.QoSMinusOne {
		return
	}
	if _, ok := s.g.cfg.Session.Predefined[m.Topic.ID]; ok {
		s.count.predefined.Add(1)
	}
}

// isOf reports whether p, which came from its address, is for the session: a
// packet that names another client is not.
func isOf(of *session.Session, p mqttsn.Packet) bool {
	var named []byte
	switch p := p.(type) {
	case *mqttsn.Connect:
		named = p.ClientID
	case *mqttsn.Pingreq:
		named = p.ClientID
	}
	return len(named) == 0 || string(named) == of.ClientID()
}

func (s *shard) drop(why drop) { s.count.drops[why].Add(1) }

// takeLeave says DISCONNECT to those who have to know that we stop, and refuses
// those who are about to connect.
func (s *shard) takeLeave() {
	for _, t := range s.slots {
		switch {
		case t == nil:
		case t.state == session.Connecting:
			s.count.refused[drained].Add(1)
			s.out.add(t.source, 0, congested)
			s.end(t, session.ShuttingDown)
		case t.state == session.Active && t.session.CleanSession():
			s.end(t, session.ShuttingDown)
		}
	}
	s.out.flush()
}
