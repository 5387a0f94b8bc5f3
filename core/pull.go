package core

import "dormouse/core/store"

// Next takes the next message out of the queue, in order. False means there is
// none now and arms Sink.Mail. At QoS 1 and 2 it stays in flight until Ack.
func (s *Session) Next() (Delivery, bool) {
	b, c := s.broker, s.client
	if !s.lock() {
		c.mu.Unlock()
		return Delivery{}, false
	}
	before := c.backlog()
	d, ok := s.next()
	b.owed.changed(c, before)
	var sink Sink
	eased := s.gauge()
	if ok {
		if d.Message != nil {
			b.sent.messages.Add(1)
			b.sent.bytes.Add(uint64(len(d.Topic) + len(d.Payload)))
		}
	} else {
		// A replay that has not found anything yet goes on when asked again.
		s.armed = true
		sink = c.wake(b.o.MaxInflight)
		c.tidy()
	}
	c.mu.Unlock()
	if eased {
		b.rally(c)
	}
	if sink != nil {
		sink.Mail()
	}
	return d, ok
}

func (s *Session) next() (Delivery, bool) {
	b, c := s.broker, s.client
	m := c.mail
	if m == nil || s.held > 0 {
		return Delivery{}, false
	}
	if m.again < len(m.inflight) {
		d := m.inflight[m.again].delivery()
		d.DUP = true
		m.again++
		return d, true
	}
	if len(m.inflight) >= b.o.MaxInflight {
		return Delivery{}, false
	}
	it, ok := b.pull(c)
	if !ok {
		return Delivery{}, false
	}
	if it.qos > 0 {
		it.id = c.nextID()
		m.inflight = append(m.inflight, it)
		m.again++
		if c.kept.Load() {
			b.note(&store.Taken{Receiver: it.receiver(c.id), Seq: it.seq, ID: it.id})
		}
	}
	return it.delivery(), true
}

// pull takes out what is to go next: what waited before a new subscription,
// then what is retained for it, then the rest, so that old comes before new.
// What is retained steps back while its rate has it wait, or while the queue is
// half full and might overflow meanwhile; nothing overtakes what is retained
// for its own topic even then.
func (b *Broker) pull(c *client) (item, bool) {
	m := c.mail
	if m.waits() == 0 || m.within(b.o.Queue.half()) {
		if it, ok := c.pullRetained(b); ok {
			return it, true
		}
	}
	for m.waits() > 0 {
		if it, ok := c.pullAhead(b, m.waiting[m.head].letter); ok {
			return it, true
		}
		it := m.remove(0)
		if !expired(it.letter, b.o.Now) {
			return it, true
		}
		b.dropped.expired.Add(1)
		b.drop(c, it)
	}
	return item{}, false
}

// delivery is it as Next returns it.
func (it item) delivery() Delivery {
	d := Delivery{ID: it.id, QoS: it.qos, Retain: it.retain, Released: it.release}
	if it.letter != nil {
		d.Message = &it.Message
	}
	if it.via != nil {
		d.SubscriptionIDs = it.via.ids
	}
	return d
}

// Ack ends the exchange of a Delivery: PUBACK or PUBCOMP has come. An id that
// is not in flight is counted and changes nothing. It reports whether this
// Session's Next has returned the Delivery, so that a window has room again.
func (s *Session) Ack(id uint16) (landed bool) {
	s.flying(id, func(c *client, i int) {
		landed = i < c.mail.again
		c.mail.land(i)
		if c.kept.Load() {
			s.broker.note(&store.Settled{ClientID: c.id, ID: id})
		}
	})
	return landed
}

// Received notes that PUBREC has come: the payload may go, the id stays.
//
// It reports whether s is still attached. If not, PUBREL must not be sent: who
// comes after s gets the message again, and is to know it as one it has.
func (s *Session) Received(id uint16) (attached bool) {
	return s.flying(id, func(c *client, i int) {
		it := &c.mail.inflight[i]
		if it.release {
			return
		}
		it.released()
		if c.kept.Load() {
			s.broker.note(&store.Received{ClientID: c.id, ID: id})
		}
	})
}

// released lets the payload go.
func (it *item) released() { it.letter, it.via, it.release = nil, nil, true }

// flying does something to what is in flight under id, if s is still attached,
// and reports whether it is.
func (s *Session) flying(id uint16, do func(c *client, i int)) (attached bool) {
	b, c := s.broker, s.client
	var sink Sink
	known, eased := false, false
	if attached = s.lock(); attached && c.mail != nil {
		if i := c.mail.flying(id); i >= 0 {
			known = true
			before := c.backlog()
			do(c, i)
			b.owed.changed(c, before)
			eased = s.gauge()
			sink = c.wake(b.o.MaxInflight)
			c.tidy()
		}
	}
	c.mu.Unlock()
	if !known {
		b.strayAcks.Add(1)
	}
	if eased {
		b.rally(c)
	}
	if sink != nil {
		sink.Mail()
	}
	return attached
}
