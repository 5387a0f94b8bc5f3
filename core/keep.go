package core

import (
	"time"

	"dormouse/core/store"
)

// What is said to a client, and the facts that are durable before. Those of one
// line are one Write, so that the process may end between any two:
//
//	CONNACK            Session, with its will; Ended of the one before, Published of its will
//	PUBACK             Published, with its Receivers
//	PUBREC             Accepted and Published
//	PUBCOMP            Released
//	SUBACK             Subscribed; of a sensor's topic id Session, ahead of it
//	UNSUBACK           Unsubscribed
//	REGACK, REGISTER   Session, with the topic id
//	WILL...RESP        Session, with the will
//	DISCONNECT         Session, with the sleep, or with nobody attached; or Ended
//	PUBLISH at QoS 2   Taken
//	PUBREL             Received
//
// PUBLISH at QoS 0 and 1 and PINGRESP promise nothing, and what clients
// acknowledge is noted without anybody waiting: they get it again, or are asked
// again. When a client is lost, Session or Ended and Published of its will are
// one Write. If a Write is refused, which one is not that only lets go or is
// Granted, its answer says so, or is not given if it cannot; if it fails, nothing
// is answered any more.

// writeOpen tells the store of what Open is about to do to c, after facts, and
// that last, the will of the connection before, is published, which is then to be
// sent.
func (b *Broker) writeOpen(c *client, user string, expiry time.Duration, w, last *will, resumed bool, facts []store.Fact) (*publication, error) {
	was := c.kept.Load()
	replaced, begins := was && !resumed, !was && resumed && expiry > 0
	if c.recorded && (!resumed || expiry == 0) {
		facts = append(facts, &store.Ended{ClientID: c.id})
	}
	if isRecorded(expiry, w) {
		f := &store.Session{ClientID: c.id, User: user, Expiry: expiry}
		w.store(f)
		if resumed {
			f.Edge = c.edge
			f.Granted = c.recorded && w.size() <= c.will.size()
		}
		facts = append(facts, f)
	}
	if begins {
		facts = append(facts, b.possessions(c)...)
	}
	var without *client
	if !resumed {
		without = c
	}
	if !replaced && !begins {
		b.topics.RLock()
		defer b.topics.RUnlock()
		return b.fire(last, c.recorded, without, facts)
	}
	// What was on its way to the old session must not be written into the new,
	// and what goes to one that begins to be kept must be written.
	b.topics.Lock()
	defer b.topics.Unlock()
	p, err := b.fire(last, c.recorded, without, facts)
	switch {
	case err != nil:
	case replaced:
		b.unroute(c)
	case begins:
		c.kept.Store(true)
	}
	return p, err
}

// isRecorded reports whether the store is to know of a session: it outlives its
// connection, or has a will that is to be published if we go first. A sensor
// whose session is not kept has not gone because we have.
func isRecorded(expiry time.Duration, w *will) bool {
	return expiry > 0 || w != nil && !w.keep
}

// possessions is all that c has, which is locked, for a store that has not
// heard of it because its session was not kept.
func (b *Broker) possessions(c *client) (facts []store.Fact) {
	for _, sub := range c.subs {
		facts = append(facts, &store.Subscribed{ClientID: c.id, Subscription: sub.asked()})
	}
	m := c.mail
	if m == nil {
		return facts
	}
	for _, id := range m.taken {
		facts = append(facts, &store.Accepted{ClientID: c.id, ID: id})
	}
	owed := func(it item) {
		facts = append(facts, &store.Owed{Receiver: it.receiver(c.id), Seq: it.seq, Message: &it.Message})
	}
	for _, it := range m.inflight {
		received := it.letter == nil
		if received { // what it was nobody knows any more, but its identifier is taken
			it.letter = &letter{seq: b.lastSeq.Add(1)}
		}
		owed(it)
		facts = append(facts, &store.Taken{Receiver: it.receiver(c.id), Seq: it.seq, ID: it.id})
		if received {
			facts = append(facts, &store.Received{ClientID: c.id, ID: it.id})
		}
	}
	for _, it := range m.waiting[m.head:] {
		if it.qos > 0 {
			owed(it)
		}
	}
	return facts
}
