package core

import (
	"slices"

	"dormouse/core/router"
	"dormouse/core/store"
)

// This file is what becomes of a session that somebody resumes to whom the
// access rules allow less: another user, or one who comes from elsewhere.

// recheck ends those subscriptions of c that who may not have, and takes away
// what has come by them. Broker.mu and c must be locked.
func (b *Broker) recheck(c *client, who Identity) {
	if b.o.Authorize == nil {
		return
	}
	shared := false
	var facts []store.Fact
	for i := len(c.subs) - 1; i >= 0; i-- {
		filter := c.subs[i].filter
		_, topics, isShared := router.CutShare(filter)
		if b.authorized(who, ActSubscribe, topics) {
			continue
		}
		b.withdraw(c, i)
		shared = shared || isShared
		facts = append(facts, &store.Unsubscribed{ClientID: c.id, Filter: filter})
		b.o.Log.Info().Str("event", "subscription_withdrawn").Str("client", c.id).Str("filter", filter).
			Str("remote", who.Remote).Msg("a session is resumed by one who may not subscribe to this")
	}
	if len(facts) == 0 {
		return
	}
	if shared {
		b.handBack(c, unsent, true)
	}
	facts = append(facts, b.confiscate(c, who)...)
	if c.kept.Load() {
		b.note(facts...)
	}
}

// confiscate takes from c all messages of topics that who may not subscribe
// to, and returns what the store is to know of that.
func (b *Broker) confiscate(c *client, who Identity) (facts []store.Fact) {
	m := c.mail
	if m == nil {
		return nil
	}
	before := c.backlog()
	forbidden := func(it item) bool {
		if it.letter == nil || b.authorized(who, ActSubscribe, it.Topic) {
			return false
		}
		b.dropped.unauthorized.Add(1)
		switch {
		case it.id != 0:
			facts = append(facts, &store.Settled{ClientID: c.id, ID: it.id})
		case it.qos > 0:
			facts = append(facts, it.dropped(c.id))
		}
		return true
	}
	m.inflight, m.again = slices.DeleteFunc(m.inflight, forbidden), 0
	m.weed(forbidden)
	c.tidy()
	b.owed.changed(c, before)
	return facts
}
