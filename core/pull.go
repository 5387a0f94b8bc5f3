package core

import "dormouse/core/store"

// Next takes the next message out of the queue, in order. False means there is
// none now and arms Sink.Mail. At QoS 1 and 2 it stays in flight until Ack. At
// QoS 2 a kept session gets it when the store has its packet identifier: by
// that alone, after a restart, the client knows the message as one it has.
func (s *Session) Next() (Delivery, bool) {
	for {
		d, ok, taken := s.pull()
		if len(taken) == 0 {
			return d, ok
		}
		s.broker.store.Sync(func(err error) {
			if err == nil {
				s.broker.ascertain(s.client, taken)
			}
		})
	}
}

// pull is Next, but for the packet identifiers, if any, that it took for
// messages of QoS 2, which are to be shown when those are durable.
func (s *Session) pull() (_ Delivery, _ bool, taken []uint16) {
	b, c := s.broker, s.client
	if !s.lock() {
		c.mu.Unlock()
		return Delivery{}, false, nil
	}
	before := c.backlog()
	d, ok, taken := s.next()
	b.owed.changed(c, before)
	var sink Sink
	eased := s.gauge()
	if ok {
		if d.Message != nil {
			b.sent.messages.Add(1)
			b.sent.bytes.Add(uint64(len(d.Topic) + len(d.Payload)))
		}
	} else if len(taken) == 0 {
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
	return d, ok, taken
}

func (s *Session) next() (_ Delivery, _ bool, taken []uint16) {
	b, c := s.broker, s.client
	m := c.mail
	if m == nil || s.held > 0 {
		return Delivery{}, false, nil
	}
	if m.again < len(m.inflight) {
		it := &m.inflight[m.again]
		if it.unsure {
			return Delivery{}, false, nil
		}
		d := it.delivery()
		d.DUP, it.unseen = !it.unseen, false
		m.again++
		return d, true, nil
	}
	if len(m.inflight) >= b.o.MaxInflight {
		return Delivery{}, false, nil
	}
	it, ok := b.pull(c)
	if !ok {
		return Delivery{}, false, nil
	}
	if it.qos == 0 {
		return it.delivery(), true, nil
	}
	it = b.take(c, it)
	if it.unsure {
		return Delivery{}, false, append(s.takeMore(), it.id)
	}
	m.again++
	return it.delivery(), true, nil
}

// take puts it in flight.
func (b *Broker) take(c *client, it item) item {
	kept := c.kept.Load()
	it.id = c.nextID(b.run)
	it.unsure = kept && it.qos == 2
	it.unseen = it.unsure
	c.mail.inflight = append(c.mail.inflight, it)
	if kept {
		b.note(&store.Taken{Receiver: it.receiver(c.id), Seq: it.seq, ID: it.id})
	}
	return it
}

// takeMore takes what comes next at QoS 2, too, so that one write does for many.
// What may expire, or go to somebody else, stays where it is until it can go out,
// and so does all that is for a sensor, which has one message at a time.
func (s *Session) takeMore() (taken []uint16) {
	b, m := s.broker, s.client.mail
	if s.entry.Value().sensor || len(m.replays) > 0 {
		return nil
	}
	for len(m.inflight) < b.o.MaxInflight && m.waits() > 0 {
		next := m.waiting[m.head]
		if next.qos < 2 || next.member() != nil || !next.Expires.IsZero() || b.tooOld(next.letter) || !s.client.mayReceive(b, next.letter) {
			break
		}
		taken = append(taken, b.take(s.client, m.remove(0)).id)
	}
	return taken
}

// Coming reports, once Next has returned false, whether there is a message all
// the same: the store does not have its packet identifier yet, or Mail is under
// way already.
func (s *Session) Coming() bool {
	defer s.client.mu.Unlock()
	if !s.lock() {
		return false
	}
	m := s.client.mail
	return !s.armed || m != nil && m.again < len(m.inflight) && m.inflight[m.again].unsure
}

// ascertain notes that the store has the packet identifiers.
func (b *Broker) ascertain(c *client, ids []uint16) {
	var sink Sink
	c.mu.Lock()
	if c.mail != nil {
		for _, id := range ids {
			if i := c.mail.flying(id); i >= 0 {
				c.mail.inflight[i].unsure = false
			}
		}
		sink = c.wake(b.o.MaxInflight)
	}
	c.mu.Unlock()
	if sink != nil {
		sink.Mail()
	}
}

// pull takes out what is to go next: what waited before a new subscription,
// then what is retained for it, then the rest, so that old comes before new.
// What access rules
// forbid is dropped. What is retained steps back while its rate has it wait, or while the queue is
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
		next := m.waiting[m.head].letter
		if !c.mayReceive(b, next) {
			b.dropped.unauthorized.Add(1)
			b.drop(c, m.remove(0))
			continue
		}
		if it, ok := c.pullAhead(b, next); ok {
			return it, true
		}
		it := m.remove(0)
		if !b.outlived(c, it.letter) {
			return it, true
		}
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
// done says whether s is still attached, once that is durable. If not, or before
// it, PUBREL must not be sent: who comes after s, or after a restart, gets the
// message again, and is to know it as one it has.
func (s *Session) Received(id uint16, done func(attached bool)) {
	attached := s.flying(id, func(c *client, i int) {
		it := &c.mail.inflight[i]
		if it.release {
			return
		}
		it.released()
		if c.kept.Load() {
			s.broker.note(&store.Received{ClientID: c.id, ID: id})
		}
	})
	s.broker.store.Sync(func(err error) { done(attached && err == nil) })
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
		if i := c.mail.flying(id); i >= 0 && !c.mail.inflight[i].unsure {
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
