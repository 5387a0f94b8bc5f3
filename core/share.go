package core

import (
	"iter"
	"sync"
	"sync/atomic"

	"dormouse/core/router"
)

// This file is who shares a subscription, MQTT 5 §4.8.2, and whose turn it is;
// handover.go is what they pass on to each other.

// A group is the members of one shared subscription, of which each message goes
// to one. Who they are changes under Broker.mu and Broker.topics, so that it
// may be read under either.
type group struct {
	filter  string // as subscribed to, with $share and its name
	topics  string // the filter that topics must match
	members map[*client]*member
	here    crowd // those that are attached
	away    crowd // those whose kept session is left alone

	turn   atomic.Uint32 // the place in here whose turn it is
	keeper atomic.Uint32 // the place in away that keeps what nobody is here to take

	mu    sync.Mutex // a leaf: nothing else is locked under it
	owing []*member  // away, and with something to pass on to who comes
}

// A member is one client's part in a group. The fields are guarded as the
// group is.
type member struct {
	client *client
	group  *group
	terms
	via   *via     // what its items come by
	at    *Session // nil: away
	place int      // in here or away
	left  bool     // it is no member any more; the client's mutex will do to read it
	owing bool     // it is in group.owing, and guarded as that
}

// A crowd is members in no order, each of which knows its place.
type crowd []*member

func (c *crowd) add(m *member) {
	m.place = len(*c)
	*c = append(*c, m)
}

func (c *crowd) remove(m *member) {
	last := len(*c) - 1
	moved := (*c)[last]
	(*c)[m.place], moved.place = moved, m.place
	(*c)[last] = nil
	*c = (*c)[:last]
}

// looks is how many members are looked at, at most, to find one.
const looks = 64

// from yields the places of c, looks at most, from the one whose turn it is.
func (c crowd) from(turn *atomic.Uint32) iter.Seq2[int, *member] {
	return func(yield func(int, *member) bool) {
		first := int(turn.Load())
		for i := range min(len(c), looks) {
			at := (first + i) % len(c)
			if !yield(at, c[at]) {
				return
			}
		}
	}
}

// choose returns who is to have a message of that QoS: each in turn of those
// who can take it now; if they are all busy, each in turn of those who are
// attached; if there is none, one whose kept session keeps it. That is the
// same again and again, so that what it keeps is in order. If there is no such
// one either, it returns nil.
//
// without is not chosen.
func (g *group) choose(qos QoS, without *client) *member {
	chosen := -1
	for at, m := range g.here.from(&g.turn) {
		if m.client == without {
			continue
		}
		if busy := m.at.busy.Load(); chosen < 0 || !busy {
			chosen = at
			if !busy {
				break
			}
		}
	}
	if chosen >= 0 {
		g.turn.Store(uint32(chosen + 1))
		return g.here[chosen]
	}
	for at, m := range g.away.from(&g.keeper) {
		if min(qos, m.qos) > 0 && m.client != without {
			g.keeper.Store(uint32(at))
			return m
		}
	}
	return nil
}

// gauge notes whether s can take more from its groups: all that waits for it
// would be in flight if it were asked for, and its queue is less than half
// full. It reports whether that has just come true.
func (s *Session) gauge() (eased bool) {
	c, o := s.client, &s.broker.o
	if !c.sharing {
		return false
	}
	m := c.mail
	busy := m != nil && (m.waits()+len(m.inflight) >= o.MaxInflight || !m.within(o.Queue.half()))
	return s.busy.Swap(busy) && !busy
}

// half is limits within which a queue is not about to overflow.
func (l QueueLimits) half() QueueLimits {
	l.Messages, l.Bytes = l.Messages/2, l.Bytes/2
	return l
}

// receiver is m, who is to have l.
func (m *member) receiver(l *letter) receiver {
	r := receiver{client: m.client, terms: m.terms, via: m.via}
	r.qos = min(m.qos, l.QoS)
	return r
}

// enlist puts a subscription of c where publishes find it. Of shared ones
// Broker.mu must be locked, and in any case c and Broker.topics.
func (b *Broker) enlist(c *client, sub subscription) {
	_, topics, shared := router.CutShare(sub.filter)
	if !shared {
		b.router.Add(sub.filter, c, sub.terms)
		return
	}
	g := b.groups[sub.filter]
	if g == nil {
		g = &group{filter: sub.filter, topics: topics, members: make(map[*client]*member)}
		b.groups[g.filter] = g
		b.shares.Add(topics, g, struct{}{})
	}
	m := g.members[c]
	if m == nil {
		m = &member{client: c, group: g, at: c.attached}
		g.members[c] = m
		g.crowd(m).add(m)
		b.members++
		c.sharing = true
	}
	m.terms, m.via = sub.terms, &via{member: m}
	if sub.id != 0 {
		m.via.ids = []uint32{sub.id}
	}
}

// delist undoes enlist.
func (b *Broker) delist(c *client, filter string) {
	g := b.groups[filter]
	if _, _, shared := router.CutShare(filter); !shared {
		b.router.Remove(filter, c)
		return
	}
	m := g.members[c]
	g.crowd(m).remove(m)
	m.left, m.at = true, nil
	delete(g.members, c)
	b.members--
	if len(g.members) == 0 {
		delete(b.groups, g.filter)
		b.shares.Remove(g.topics, g)
		g.debtors() // may owe another that takes its place
	}
}

// crowd is the one that m is in.
func (g *group) crowd(m *member) *crowd {
	if m.at == nil {
		return &g.away
	}
	return &g.here
}

// attend has the groups of c know that it is attached to s, or with nil to
// nobody. Broker.mu and c must be locked.
func (b *Broker) attend(c *client, s *Session) {
	if !c.sharing {
		return
	}
	b.topics.Lock()
	defer b.topics.Unlock()
	for _, sub := range c.subs {
		if g := b.groups[sub.filter]; g != nil {
			m := g.members[c]
			g.crowd(m).remove(m)
			m.at = s
			g.crowd(m).add(m)
		}
	}
	if s != nil {
		s.gauge()
	}
}

// owe notes that m has something to pass on to the group of its filter: if it
// has left its own, that may be another by now. Broker.mu must be locked.
func (b *Broker) owe(m *member) {
	if g := b.groups[m.group.filter]; g != nil {
		g.owe(m)
	}
}

// owe notes that m has something to pass on while it is away.
func (g *group) owe(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !m.owing {
		m.owing = true
		g.owing = append(g.owing, m)
	}
}

// owed reports whether m owes.
func (g *group) owed(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return m.owing
}

// debtors returns those who owe, and forgets that they do.
func (g *group) debtors() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	debtors := g.owing
	g.owing = nil
	for _, m := range debtors {
		m.owing = false
	}
	return debtors
}
