package core

import (
	"slices"

	"dormouse/core/store"
)

// A handover is what passes from one client to other members of its groups:
// planned, told to the store, and then done. From the plan until it is done
// Broker.mu and the client are locked, and each of the others as it is needed;
// two who hand over to each other take turns because of Broker.mu.
type handover struct {
	broker *Broker
	from   *client
	facts  []store.Fact
	passed []bool // for each in flight, then each that waits: somebody takes it

	takers  []*taker // in the order in which they were found
	taker   map[*client]*taker
	crowded []crowding
}

// A taker is a member and what it is to have.
type taker struct {
	*member
	items []item
	bytes int
}

// A crowding is members who can take no more.
type crowding struct {
	*group
	away bool
}

// unacknowledged is what a client that is not there passes on. What is in
// flight at QoS 2 stays, [MQTT-4.8.2-4] and [MQTT-4.8.2-5].
func unacknowledged(it item) bool { return it.id == 0 || it.qos == 1 }

// unsent is what a client passes on that has left a group but is there: what is
// in flight it may complete, [MQTT-3.10.4-4].
func unsent(it item) bool { return it.id == 0 && it.member().left }

// plan finds takers for what c has from its groups and which says. They have
// room in their queue and are attached; or else, if away, have a kept session.
// What nobody takes stays, and is offered again when somebody comes.
func (b *Broker) plan(c *client, which func(item) bool, away bool) *handover {
	h := &handover{broker: b, from: c}
	if !c.sharing || c.mail == nil {
		return h
	}
	for _, it := range c.mail.inflight {
		h.passed = append(h.passed, it.member() != nil && which(it) && h.add(it, away))
	}
	for _, it := range c.mail.waiting[c.mail.head:] {
		h.passed = append(h.passed, it.member() != nil && which(it) && h.add(it, away))
	}
	return h
}

// add finds a taker of it, which came from a group, and reports whether there
// is one.
func (h *handover) add(it item, away bool) bool {
	m := it.member()
	g := h.broker.groups[m.group.filter] // if all have left, another may have begun
	var to *taker
	if g != nil {
		to = h.find(g, it, away)
	}
	if to == nil {
		h.broker.owe(m)
		return false
	}
	as := to.receiver(it.letter).item(it.letter)
	if as.qos > 0 && to.client.kept.Load() {
		h.facts = append(h.facts, &store.Owed{Receiver: as.receiver(to.client.id), Seq: it.seq, Message: &it.Message})
	}
	if it.qos > 0 && h.from.kept.Load() && !h.from.gone {
		if it.id != 0 {
			h.facts = append(h.facts, &store.Settled{ClientID: h.from.id, ID: it.id})
		} else {
			h.facts = append(h.facts, it.dropped(h.from.id))
		}
	}
	to.items = append(to.items, as)
	to.bytes += as.size()
	return true
}

// find returns who of g takes it, or nil.
func (h *handover) find(g *group, it item, away bool) *taker {
	if !slices.Contains(h.crowded, crowding{g, false}) {
		for at, m := range g.here.from(&g.turn) {
			if t := h.ask(m, it); t != nil {
				g.turn.Store(uint32(at + 1))
				return t
			}
		}
		h.crowded = append(h.crowded, crowding{g, false})
	}
	if !away || it.QoS == 0 || slices.Contains(h.crowded, crowding{g, true}) {
		return nil
	}
	for at, m := range g.away.from(&g.keeper) {
		if m.qos == 0 {
			continue
		}
		if t := h.ask(m, it); t != nil {
			g.keeper.Store(uint32(at))
			return t
		}
	}
	h.crowded = append(h.crowded, crowding{g, true})
	return nil
}

// ask returns m as a taker of it, or nil if it has no room. Once the broker is
// closed only the store can keep anything.
func (h *handover) ask(m *member, it item) *taker {
	b, c := h.broker, m.client
	if c == h.from || b.closed.Load() && (!c.kept.Load() || min(m.qos, it.QoS) == 0) {
		return nil
	}
	t := h.taker[c]
	if t == nil {
		t = &taker{member: m}
	}
	messages, bytes := len(t.items)+1, t.bytes+it.size()
	c.mu.Lock()
	if c.mail != nil {
		messages, bytes = messages+c.mail.waits(), bytes+c.mail.bytes
	}
	c.mu.Unlock()
	if messages > b.o.Queue.Messages || bytes > b.o.Queue.Bytes {
		return nil
	}
	if len(t.items) == 0 {
		if h.taker == nil {
			h.taker = make(map[*client]*taker)
		}
		h.takers, h.taker[c] = append(h.takers, t), t
	}
	t.member = m // one client may be in several groups
	return t
}

// told tells the store, and reports whether it has taken it. What it refuses is
// offered again when somebody comes.
func (h *handover) told() bool {
	if len(h.facts) == 0 || h.broker.note(h.facts...) {
		return true
	}
	if box := h.from.mail; box != nil {
		for _, it := range slices.Concat(box.inflight, box.waiting[box.head:]) {
			if m := it.member(); m != nil {
				h.broker.owe(m)
			}
		}
	}
	return false
}

// finish does what was planned, which the store has taken. Takers that are
// attached do not see it before Broker.unlock has made it durable.
func (h *handover) finish() {
	if len(h.takers) == 0 {
		return
	}
	if m := h.from.mail; m != nil && h.passed != nil {
		i, before, sent := -1, h.from.backlog(), m.again
		passed := func(item) bool {
			i++
			if h.passed[i] && i < sent {
				m.again--
			}
			return h.passed[i]
		}
		m.inflight = slices.DeleteFunc(m.inflight, passed)
		m.weed(passed)
		h.from.tidy()
		h.broker.owed.changed(h.from, before)
	}
	for _, t := range h.takers {
		t.take(h.broker)
	}
}

// take puts what t is to have in its queue, in order.
func (t *taker) take(b *Broker) {
	c := t.client
	c.mu.Lock()
	defer c.mu.Unlock()
	before, m := c.backlog(), c.box()
	for _, it := range t.items {
		m.push(it)
	}
	m.sort()
	b.owed.changed(c, before)
	if s := c.attached; s != nil {
		s.held++
		s.gauge()
		b.takers = append(b.takers, s)
		return
	}
	for _, it := range t.items {
		b.owe(it.member())
	}
}

// unlock unlocks Broker.mu. Those to whom something was handed over meanwhile
// have it once that is durable.
func (b *Broker) unlock() {
	takers := b.takers
	b.takers = nil
	b.mu.Unlock()
	if len(takers) == 0 {
		return
	}
	b.store.Sync(func(err error) {
		if err != nil {
			return
		}
		for _, s := range takers {
			s.release()
		}
	})
}

// handBack does a handover that nobody waits for. If the store refuses it,
// everything stays as it is for now. Broker.mu and c must be locked.
func (b *Broker) handBack(c *client, which func(item) bool, away bool) {
	if h := b.plan(c, which, away); h.told() {
		h.finish()
	}
}

// rally has those who owe the groups of c something pass it on, now that c can
// take it.
func (b *Broker) rally(c *client) {
	var filters []string
	c.mu.Lock()
	if c.sharing && c.attached != nil {
		for _, sub := range c.subs {
			filters = append(filters, sub.filter)
		}
	}
	c.mu.Unlock()
	if len(filters) == 0 {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	for _, filter := range filters {
		if g := b.groups[filter]; g != nil && !b.closed.Load() {
			b.collect(g)
		}
	}
}

// collect has those who owe g something pass it on, until there is no room.
func (b *Broker) collect(g *group) {
	debtors := g.debtors()
	for i, m := range debtors {
		c := m.client
		c.mu.Lock()
		if c.attached == nil && !c.gone {
			b.handBack(c, unacknowledged, false)
		}
		c.mu.Unlock()
		if g.owed(m) {
			for _, m := range debtors[i+1:] {
				g.owe(m)
			}
			return
		}
	}
}

// misplaced reports whether it must not simply go to c: it came by a share that
// c has left, or others are there when c is not. c must be locked.
func (b *Broker) misplaced(c *client, it item) bool {
	m := it.member()
	if m == nil || c.attached != nil && !m.left {
		return false
	}
	if c.gone || m.left {
		return true
	}
	b.topics.RLock()
	defer b.topics.RUnlock()
	return len(m.group.here) > 0
}

// posted notes that c has got it.
func (c *client) posted(it item) {
	if s := c.attached; s != nil {
		s.gauge()
	} else if m := it.member(); m != nil && !m.left {
		m.group.owe(m)
	}
}

// parted tells what came from groups from what did not.
func parted(items []item) (own, shared []item) {
	for _, it := range items {
		if it.member() != nil {
			shared = append(shared, it)
		} else {
			own = append(own, it)
		}
	}
	return own, shared
}

// rehome finds a place for it, which c was to have but cannot, or had to let
// go: evicted. If there is none, it is c's after all, or dropped.
func (b *Broker) rehome(c *client, it item, evicted bool) {
	var sink Sink
	var report uint64
	b.mu.Lock()
	c.mu.Lock()
	h, gone := &handover{broker: b, from: c}, evicted || c.gone || it.member().left
	switch {
	case (gone || c.attached == nil) && h.add(it, gone) && h.told():
		h.finish()
	case c.gone:
		b.dropped.ended.Add(1)
	case evicted:
		report = b.overflowed(c, []item{it})
	case c.attached != nil || it.qos > 0:
		before := c.backlog()
		report = b.overflowed(c, c.box().admit(it, b.o.Queue))
		b.owed.changed(c, before)
		c.posted(it)
		sink = c.wake(b.o.MaxInflight)
	}
	c.mu.Unlock()
	b.unlock()
	b.logOverflow(c.id, report)
	if sink != nil {
		sink.Mail()
	}
}
