package core

import (
	"sync/atomic"
	"time"
	"unique"

	"dormouse/core/router"
	"dormouse/core/store"
)

// A Session is one client's attachment to its session. After a Kick or Detach
// its calls change nothing and answer ErrDetached.
type Session struct {
	broker *Broker
	client *client
	sink   Sink

	entry  unique.Handle[entry]
	remote string
	since  int64 // when it began

	// The client's mutex guards what follows.
	expiry time.Duration
	armed  bool  // the Sink is to be told of mail
	told   bool  // the log has been, that a rule forbids something
	held   int16 // calls to be answered before there is any mail

	busy atomic.Bool // it can take no more from its groups; see gauge
}

// An entry is where clients come in, as whom, and how: of a million sensors
// most share one.
type entry struct {
	user, roles, edge, listener string
	prompt, sensor              bool
}

func entryOf(id Identity, o SessionOptions) unique.Handle[entry] {
	return unique.Make(entry{id.User, id.Roles, id.Edge, id.Listener, o.Prompt, o.Sensor})
}

func (s *Session) who() Identity {
	e := s.entry.Value()
	return Identity{ClientID: s.client.id, User: e.user, Roles: e.roles, Edge: e.edge, Listener: e.listener, Remote: s.remote}
}

// lock locks the client and reports whether s is its attachment.
func (s *Session) lock() bool {
	s.client.mu.Lock()
	return s.client.attached == s
}

// Publish takes responsibility for m. At QoS 2, id is the packet identifier:
// while it has not been released, another Publish with it is answered without
// being published again. done runs once m and its receivers are as durable as
// the configuration promises.
func (s *Session) Publish(m Message, id uint16, done func(error)) {
	b, c := s.broker, s.client
	m.Publisher = c.id
	who := s.who()
	if err := b.mayPublish(who, &m, OnRequest); err != nil {
		s.tellRefused(who, ActPublish, m.Topic, err)
		b.decline(m.QoS, err, done)
		return
	}
	turn := b.turns.of(c.id)
	turn.RLock()
	defer turn.RUnlock()
	var origin []store.Fact
	attached, fresh := s.lock(), true
	if attached && m.QoS == 2 {
		fresh = c.box().take(id)
		if c.kept.Load() {
			origin = append(origin, &store.Accepted{ClientID: c.id, ID: id})
		}
	}
	c.mu.Unlock()
	if !attached {
		b.refuse(ErrDetached, done)
		return
	}
	if !fresh {
		b.store.Sync(done)
		return
	}
	err := b.shed(m.QoS)
	if err == nil {
		err = b.publish(m, who.Listener, b.signed(who, &m), done, origin...)
	}
	if err != nil {
		if m.QoS == 2 {
			c.mu.Lock() // whoever is attached by now
			c.release(id)
			c.mu.Unlock()
		}
		b.decline(m.QoS, err, done)
	}
}

// Release forgets the identifier of a QoS 2 Publish: PUBREL has come. An
// unknown id is no error.
func (s *Session) Release(id uint16, done func(error)) {
	b, c := s.broker, s.client
	attached := s.lock()
	if attached && c.release(id) && c.kept.Load() {
		b.note(&store.Released{ClientID: c.id, ID: id})
	}
	c.mu.Unlock()
	if !attached {
		b.refuse(ErrDetached, done)
		return
	}
	b.store.Sync(done)
}

// Subscribe adds or replaces a subscription. Retained messages follow through
// the queue, not counted in it: ahead of what is published from now on, unless
// there are so many that Options.Retained has them wait, or that fills half
// the queue. Of one topic the retained message is first in any case.
//
// "$share/{name}/{filter}" shares a subscription, MQTT 5 §4.8.2: each message
// goes to one of those who have subscribed to the same, none that is retained
// does, and NoLocal is ErrInvalidTopic. Authorize is asked about filter alone.
func (s *Session) Subscribe(sub Subscription, done func(granted QoS, err error)) {
	added, before, err := s.subscribe(&sub)
	if err != nil {
		s.tellRefused(s.who(), ActSubscribe, sub.Filter, err)
		s.broker.denied.count(err)
		s.broker.refuse(err, func(err error) { done(0, err) })
		return
	}
	s.broker.store.Sync(func(err error) {
		done(sub.QoS, err)
		s.subscribed(sub, added, before, err)
	})
}

// subscribe puts sub in its places and holds the mail. Letters after before
// come to it; those until then may be retained for it.
func (s *Session) subscribe(sub *Subscription) (added bool, before uint64, err error) {
	b, c := s.broker, s.client
	if err := router.ValidSubscription(sub.Filter, b.o.Topics); err != nil {
		return false, 0, err
	}
	_, filter, shared := router.CutShare(sub.Filter)
	if shared && sub.NoLocal {
		return false, 0, errSharedNoLocal
	}
	if shared {
		b.mu.Lock()
		defer b.mu.Unlock()
	}
	defer c.mu.Unlock()
	if !s.lock() {
		return false, 0, ErrDetached
	}
	allowed := false // asked under the lock: Recheck sees the subscription, or this the new rules
	if sub.QoS, allowed = b.grant(s.who(), filter, shared, min(sub.QoS, 2), OnRequest); !allowed {
		return false, 0, ErrNotAuthorized
	}
	i := c.find(sub.Filter)
	if i < 0 && len(c.subs) >= b.o.MaxSubscriptions {
		return false, 0, errSubscriptions
	}
	if c.kept.Load() {
		if err := b.store.Write(&store.Subscribed{ClientID: c.id, Subscription: *sub}); err != nil {
			return false, 0, err
		}
	}
	if i < 0 {
		i, added = len(c.subs), true
		c.subs = append(c.subs, subscription{filter: sub.Filter})
	}
	c.subs[i].terms = termsOf(*sub)
	s.held++
	b.topics.Lock()
	b.enlist(c, c.subs[i])
	c.several = len(c.subs) > 1
	before = b.lastSeq.Load()
	b.topics.Unlock()
	return added, before, nil
}

// subscribed lets the mail go, behind the answer, and retained messages with
// it: not for a shared subscription, MQTT 5 §4.8.2.
func (s *Session) subscribed(sub Subscription, added bool, before uint64, err error) {
	b, c := s.broker, s.client
	_, _, shared := router.CutShare(sub.Filter)
	if shared && err == nil {
		b.rally(c)
	}
	c.mu.Lock()
	s.held--
	wanted := !shared && (sub.RetainHandling == 0 || sub.RetainHandling == 1 && added)
	if i := c.find(sub.Filter); err == nil && wanted && i >= 0 && !c.gone {
		c.replay(&b.retained, c.subs[i], before)
	}
	sink := c.wake(b.o.MaxInflight)
	c.mu.Unlock()
	if sink != nil {
		sink.Mail()
	}
}

// Unsubscribe removes a subscription.
func (s *Session) Unsubscribe(filter string, done func(existed bool, err error)) {
	existed, err := s.unsubscribe(filter)
	s.broker.store.Sync(func(failed error) {
		if err == nil {
			err = failed
		}
		done(existed, err)
	})
}

func (s *Session) unsubscribe(filter string) (existed bool, err error) {
	b, c := s.broker, s.client
	_, _, shared := router.CutShare(filter)
	if shared {
		b.mu.Lock()
		defer b.unlock()
	}
	defer c.mu.Unlock()
	if !s.lock() {
		return false, ErrDetached
	}
	i := c.find(filter)
	if i < 0 {
		return false, nil
	}
	if c.kept.Load() {
		if err := b.store.Write(&store.Unsubscribed{ClientID: c.id, Filter: filter}); err != nil {
			return false, err
		}
	}
	b.withdraw(c, i)
	if shared {
		b.handBack(c, unsent, true)
	}
	return true, nil
}

// withdraw takes the i-th subscription of c, which is locked, out of its
// places. If it is shared, Broker.mu must be locked.
func (b *Broker) withdraw(c *client, i int) {
	filter, last := c.subs[i].filter, len(c.subs)-1
	c.subs[i] = c.subs[last]
	c.subs[last] = subscription{}
	c.subs = c.subs[:last]
	c.endReplay(filter)
	b.topics.Lock()
	b.delist(c, filter)
	c.several = len(c.subs) > 1
	b.topics.Unlock()
}

// Will returns the session's will, or nil.
func (s *Session) Will() *Will {
	defer s.client.mu.Unlock()
	if !s.lock() || s.client.will == nil {
		return nil
	}
	return &s.client.will.Will
}

// SetWill replaces the will, or deletes it if w is nil.
func (s *Session) SetWill(w *Will, done func(error)) {
	if err := s.broker.mayLeave(s.who(), w); err != nil {
		s.broker.refuse(err, done)
		return
	}
	s.change(done, func(c *client) { c.will = newWill(s.who(), w, s.entry.Value().sensor) })
}

// EdgeState returns what SaveEdge last stored.
func (s *Session) EdgeState() []byte {
	defer s.client.mu.Unlock()
	if !s.lock() {
		return nil
	}
	return s.client.edgeState()
}

// SaveEdge stores state, opaque to core, with the session. By it Resume goes on
// after a restart.
func (s *Session) SaveEdge(state []byte, done func(error)) {
	s.change(done, func(c *client) { c.edge = edgeAttached + string(state) })
}

// SetExpiry changes how long the session outlives its connection. One that
// was not to outlive it cannot be made to (MQTT 5 §3.14.2.2.2).
func (s *Session) SetExpiry(d time.Duration) {
	s.change(func(error) {}, func(*client) {
		if s.expiry > 0 {
			s.expiry = d
		}
	})
}

// change does what belongs to the session's own record, and writes it.
func (s *Session) change(done func(error), do func(*client)) {
	b, c := s.broker, s.client
	err := ErrDetached
	if s.lock() {
		edge, will, expiry, octets := c.edge, c.will, s.expiry, c.octets()
		do(c)
		if err = s.record(c.octets() <= octets); err != nil {
			c.edge, c.will, s.expiry = edge, will, expiry
		}
	}
	c.mu.Unlock()
	if err != nil {
		b.refuse(err, done)
		return
	}
	b.store.Sync(done)
}
