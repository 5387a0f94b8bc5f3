package core

import (
	"slices"

	"dormouse/core/router"
	"dormouse/core/store"
)

// This file is what becomes of sessions to which the access rules allow less
// than they did: since another resumes one, or comes from elsewhere, or since
// the rules are others.

// Recheck asks Authorize about all that it has allowed to those who are attached,
// and Named about their client ids: whoever may not have his is kicked. From its
// return on nobody has anything by what the rules forbid, but for what was in his
// hands. Sessions that are left alone are asked about when they are resumed.
func (b *Broker) Recheck() {
	b.mu.Lock()
	all := make([]*client, 0, b.clients.Len())
	for c := range b.clients.All {
		all = append(all, c)
	}
	b.mu.Unlock()
	for _, c := range all { // each on its own, so that nobody waits long
		var sink Sink
		var p *publication
		b.mu.Lock()
		c.mu.Lock()
		switch s := c.attached; {
		case s == nil:
		case !b.named(s.who()):
			sink, p = s.sink, b.detach(s, Lost)
		default:
			b.recheck(c, s.who(), OnReload)
		}
		c.mu.Unlock()
		b.unlock()
		if sink != nil {
			sink.Kick(Kicked)
		}
		b.send(p)
	}
}

func (b *Broker) named(who Identity) bool { return b.o.Named == nil || b.o.Named(who) }

// recheck ends those subscriptions of c that who may not have, lowers those whose
// QoS is too high, and takes away what may not go to who any more. Broker.mu and
// c must be locked.
func (b *Broker) recheck(c *client, who Identity, at Occasion) {
	if b.o.Authorize == nil {
		return
	}
	shared := false
	var facts []store.Fact
	for i := len(c.subs) - 1; i >= 0; i-- {
		filter := c.subs[i].filter
		_, topics, isShared := router.CutShare(filter)
		qos, allowed := b.grant(who, topics, isShared, c.subs[i].qos, at)
		switch {
		case !allowed:
			b.withdraw(c, i)
			shared = shared || isShared
			facts = append(facts, &store.Unsubscribed{ClientID: c.id, Filter: filter})
			b.o.Log.Info().Str("event", "subscription_withdrawn").Str("client", c.id).Str("user", who.User).
				Str("filter", filter).Str("remote", who.Remote).Msg("access rules forbid it to whom the session belongs now")
		case qos < c.subs[i].qos:
			c.subs[i].qos = qos
			b.topics.Lock()
			b.enlist(c, c.subs[i])
			b.topics.Unlock()
			facts = append(facts, &store.Subscribed{ClientID: c.id, Subscription: c.subs[i].asked()})
		}
	}
	if shared {
		b.handBack(c, unsent, true)
	}
	facts = append(facts, b.confiscate(c, who, at)...)
	if len(facts) > 0 && c.kept.Load() {
		b.note(facts...)
	}
}

// confiscate takes from c all messages of topics that who may not have, but for
// those that are with the client already, and returns what the store is to know
// of that.
func (b *Broker) confiscate(c *client, who Identity, at Occasion) (facts []store.Fact) {
	m := c.mail
	if m == nil {
		return nil
	}
	before := c.backlog()
	forbidden := func(it item) bool {
		if it.letter == nil || b.authorized(who, Access{Do: ActSubscribe, Topic: it.Topic, At: at}) {
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
	m.inflight = append(m.inflight[:m.again], slices.DeleteFunc(m.inflight[m.again:], forbidden)...)
	m.weed(forbidden)
	c.tidy()
	b.owed.changed(c, before)
	return facts
}
