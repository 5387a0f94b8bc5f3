package core

import (
	"errors"
	"time"

	"dormouse/core/store"
)

// Open attaches s to the session of id.ClientID, created or resumed as o says,
// and kicks any other Sink of that client id, whichever edge it is on. done
// gets the Session, whether one was there before, and nil, or an error.
//
// A session that was to end with its connection has ended when another opens: it
// is not present. The connection taken over counts as lost, so its will is
// published (MQTT 5 §3.1.4). With a Sensor it is otherwise: no will of its
// connection is published, and to one that connects again, from another address
// perhaps, nothing has happened.
//
// Sinks are compared: their dynamic type must allow it. Opening the same Sink
// again ends the old Session without kicking; if it is refused, the old one
// counts as lost.
func (b *Broker) Open(id Identity, o SessionOptions, sink Sink, done func(s *Session, present bool, err error)) {
	b.opened.Add(1)
	err := b.mayLeave(id, o.Will)
	if id.ClientID == "" {
		err = ErrUnsupported
	}
	var s *Session
	var e eviction
	if err == nil {
		turn := b.turns.of(id.ClientID)
		turn.Lock()
		s, e, err = b.attach(id, o, sink)
		turn.Unlock()
	}
	if err != nil {
		b.letGo(id.ClientID, sink)
		b.refuse(err, func(err error) { done(nil, false, err) })
		return
	}
	if e.sink != nil {
		e.sink.Kick(TakenOver)
	}
	b.send(e.last)
	opened := func(err error) {
		if err != nil {
			done(nil, false, err)
			return
		}
		done(s, e.present, nil)
		s.ready()
	}
	if o.Saves {
		opened(nil)
		return
	}
	b.store.Sync(opened)
}

// ready lets the mail go, once Open is answered.
func (s *Session) ready() {
	s.broker.rally(s.client)
	s.release()
}

// release lets the mail go that was held for one reason.
func (s *Session) release() {
	var sink Sink
	if s.lock() {
		s.held--
		sink = s.client.wake(s.broker.o.MaxInflight)
	}
	s.client.mu.Unlock()
	if sink != nil {
		sink.Mail()
	}
}

// An eviction is what Open owes to those who were there before.
type eviction struct {
	present bool
	sink    Sink         // to be kicked, or nil
	last    *publication // of the will, to be sent, or nil
}

// attach makes the Session and puts it in its place. On an error nothing has
// changed.
func (b *Broker) attach(id Identity, o SessionOptions, sink Sink) (*Session, eviction, error) {
	s := &Session{
		broker: b, sink: sink,
		entry:  entryOf(id, o),
		remote: id.Remote,
		since:  b.o.Now().UnixNano(),
		expiry: o.Expiry,
		armed:  true,
		held:   1, // until Open is answered
	}
	b.mu.Lock()
	defer b.unlock()
	if b.closed.Load() {
		return nil, eviction{}, ErrClosed
	}
	if !b.named(id) { // asked under the lock: Recheck sees the client, or this the new rules
		b.dropped.misnamed.Add(1)
		return nil, eviction{}, ErrClientID
	}
	c := b.clients.Find(id.ClientID)
	known := c != nil
	if !known {
		if b.clients.Len() >= b.o.MaxSessions {
			b.dropped.sessions.Add(1)
			return nil, eviction{}, errSessions
		}
		if err := b.newcomer(); err != nil {
			return nil, eviction{}, err
		}
		c = &client{id: id.ClientID}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known && !b.mayHave(c, id) {
		b.dropped.foreign.Add(1)
		return nil, eviction{}, ErrNotAuthorized
	}

	resumed := known && !o.CleanStart && c.lasts(o.Sensor, b.o.Now())
	e := eviction{present: resumed}
	kicked, last := c.evicted(sink, resumed)
	e.sink = kicked
	will := newWill(id, o.Will, o.Sensor)
	if kept := c.will; will == nil && o.Sensor && !o.DeleteWill && resumed && kept != nil && kept.keep {
		will = newWill(id, &kept.Will, true)
	}
	passing := &handover{}
	if !resumed {
		passing = b.plan(c, unacknowledged, true)
	}
	edge := c.edge
	if !o.Sensor {
		c.edge = partedEdge(edge)
	}
	recorded := isRecorded(o.Expiry, will)
	var err error
	e.last, err = b.writeOpen(c, id.User, o.Expiry, will, last, resumed, passing.facts)
	if o.Expiry == 0 && recorded && errors.Is(err, ErrFull) { // it may come all the same
		recorded = false
		e.last, err = b.writeOpen(c, id.User, 0, nil, last, resumed, passing.facts)
	}
	if err != nil {
		c.edge = edge
		return nil, eviction{}, err
	}

	switch {
	case known && !resumed:
		passing.finish()
		b.end(c)
		c = &client{id: id.ClientID, lastID: c.lastID} // what the old one had in flight may be acknowledged late
	case c.attached != nil:
		b.connected.Add(-1)
	}
	b.clients.Put(c)
	b.own(c, id.User)
	b.due.cancel(c)
	c.kept.Store(o.Expiry > 0)
	c.recorded = recorded
	c.attached, c.will, c.ends = s, will, 0
	b.owed.turned(c, o.Sensor)
	if c.mail != nil {
		c.mail.again = 0
	}
	s.client = c
	if resumed {
		b.recheck(c, id, OnResume)
	}
	b.attend(c, s)
	b.connected.Add(1)
	return s, e, nil
}

// lasts reports whether another connection, a sensor's or not, finds c's session
// still there.
func (c *client) lasts(sensor bool, now time.Time) bool {
	if s := c.attached; s != nil {
		return s.expiry > 0 || sensor && s.entry.Value().sensor
	}
	return c.ends == 0 || c.ends > now.UnixNano()
}

// evicted returns the Sink to be kicked and the will to be published, if any,
// when sink takes c over. A will that was to come later is not published at
// all if the session goes on (MQTT 5 §3.1.3.2.2).
func (c *client) evicted(sink Sink, resumed bool) (Sink, *will) {
	var kicked Sink
	lost := c.will != nil && c.will.due != 0
	if old := c.attached; old != nil && old.sink != sink {
		kicked = old.sink
		lost = !old.entry.Value().sensor
	}
	if lost && c.will != nil && (!resumed || c.will.Delay == 0) {
		return kicked, c.will
	}
	return kicked, nil
}

// Detach ends the attachment. The will follows from how.
func (s *Session) Detach(how Ending, done func(error)) {
	b, c := s.broker, s.client
	var p *publication
	b.mu.Lock()
	attached := s.lock()
	if attached {
		p = b.detach(s, how)
	}
	c.mu.Unlock()
	b.unlock()
	if !attached {
		b.refuse(ErrDetached, done)
		return
	}
	b.send(p)
	b.store.Sync(done)
}

// letGo ends the attachment of a client to sink, if there is one, as lost.
func (b *Broker) letGo(clientID string, sink Sink) {
	var p *publication
	b.mu.Lock()
	if c := b.clients.Find(clientID); c != nil {
		c.mu.Lock()
		if s := c.attached; s != nil && s.sink == sink {
			p = b.detach(s, Lost)
		}
		c.mu.Unlock()
	}
	b.unlock()
	b.send(p)
}

// detach ends the attachment s, whose client is locked as is b, and returns
// the will to be sent, or nil.
func (b *Broker) detach(s *Session, how Ending) *publication {
	var w *will
	c, now := s.client, b.o.Now()
	c.attached, c.ended = nil, how
	if how != Shutdown {
		c.edge = partedEdge(c.edge)
	}
	b.connected.Add(-1)
	if how == Lost {
		w = c.lost(s.expiry, now)
	} else {
		c.dropWill()
	}
	if s.expiry == 0 {
		return b.conclude(c, w)
	}
	c.ends = ending(now, s.expiry)
	b.schedule(c)
	b.attend(c, nil)
	if how != Shutdown {
		b.handBack(c, unacknowledged, false)
	}
	b.dropQoS0(c)
	if !c.kept.Load() || c.linked() { // or else Resume finds it as it is
		p, _ := b.concede(w, c.recorded, nil)
		return p
	}
	p, _ := b.concede(w, c.recorded, nil, c.left(s.entry.Value().user, s.expiry))
	return p
}

// ending is when a session ends that was left now: zero for never.
func ending(now time.Time, expiry time.Duration) int64 {
	return max(0, now.UnixNano()+int64(expiry)) // Forever overflows
}

// remaining is how long the session of c, which nobody has, outlasts now.
func (c *client) remaining(now int64) time.Duration {
	if c.ends == 0 {
		return Forever
	}
	return time.Duration(c.ends - now)
}

// schedule has Tick look at c when its will or its end falls due.
func (b *Broker) schedule(c *client) {
	at := c.ends
	if c.will != nil && c.will.due != 0 && (at == 0 || c.will.due < at) {
		at = c.will.due
	}
	if at == 0 {
		b.due.cancel(c)
		return
	}
	b.due.set(c, at)
}

// dropQoS0 drops what waits for c and nobody acknowledged.
func (b *Broker) dropQoS0(c *client) {
	if c.mail != nil && c.mail.qos0 > 0 {
		b.dropped.detached.Add(uint64(c.mail.qos0))
		before := c.backlog()
		c.mail.removeAllQoS0()
		b.owed.changed(c, before)
		c.tidy()
	}
}

// conclude ends the session of c, which is locked as is b, and publishes w, if it
// is not nil: that is to be sent. It tells the store.
func (b *Broker) conclude(c *client, w *will) *publication {
	passing := b.plan(c, unacknowledged, true)
	facts := passing.facts
	if c.recorded {
		facts = append(facts, &store.Ended{ClientID: c.id})
	}
	p, noted := b.concede(w, c.recorded, c, facts...)
	if noted {
		passing.finish()
	}
	b.end(c)
	return p
}

// end forgets the session of c, which is locked as is b. It leaves it to the
// caller to tell the store.
func (b *Broker) end(c *client) {
	if c.attached != nil {
		c.attached = nil
		b.connected.Add(-1)
	}
	b.due.cancel(c)
	b.clients.Drop(c.id)
	delete(b.owners, c.id)
	b.topics.Lock()
	b.unroute(c)
	b.topics.Unlock()
	owed := c.backlog()
	b.dropped.ended.Add(uint64(owed.waiting + owed.inflight))
	c.gone, c.mail, c.will, c.edge = true, nil, nil, ""
	b.owed.changed(c, owed)
}

// unroute ends the subscriptions of c, which is locked as is Broker.topics.
func (b *Broker) unroute(c *client) {
	for _, sub := range c.subs {
		b.delist(c, sub.filter)
	}
	c.subs = nil
}

// tickClient does what one client has due at now, and reports whether there
// may be another.
func (b *Broker) tickClient(now int64) bool {
	b.mu.Lock()
	c, ok := b.due.next(now)
	if !ok {
		b.mu.Unlock()
		return false
	}
	c.mu.Lock()
	w := c.will
	if w != nil && w.due != 0 && w.due <= now {
		w.due = 0
		c.dropWill()
	} else {
		w = nil
	}
	var p *publication
	switch over := c.ends != 0 && c.ends <= now; {
	case over:
		p = b.conclude(c, w)
		b.expired.Add(1)
	case w != nil && c.kept.Load():
		b.schedule(c)
		p, _ = b.concede(w, c.recorded, nil, c.left(w.who.User, c.remaining(now)))
	default:
		b.schedule(c)
		p, _ = b.concede(w, c.recorded, nil)
	}
	c.mu.Unlock()
	b.unlock()
	b.send(p)
	return true
}
