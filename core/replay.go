package core

import (
	"slices"
	"sync"
	"time"

	"dormouse/core/router"
)

// A replay brings the retained messages of one new subscription, one after
// the other as the client pulls them: a client that subscribes to a million
// topics costs no more memory than one that subscribes to ten.
//
// What is published while a replay lasts comes by the queue. A topic whose
// message is newer than the subscription is passed over here, so that it
// comes once, and nothing old after something new. If what is newer is not
// retained, the old message goes ahead of its turn.
type replay struct {
	*router.Cursor[*keepsake]
	terms
	before uint64 // letters after this one come by the queue
	atOnce int    // how many may yet go as fast as the client takes them
	found  *keepsake
	stands func(*keepsake) bool // whether its publisher still may; nil: nobody asks
	ahead  map[uint64]struct{}  // letters that went ahead of their turn
}

// stride is how many levels of topics one call walks at most, with the
// client's mailbox locked, and how many letters a replay remembers to have
// sent ahead. Beyond that they go in their turn, after something newer.
const stride = 1000

// replay starts one, or returns nil if there is nothing to replay.
func (r *retained) replay(filter string, t terms, before uint64) *replay {
	p := &replay{Cursor: r.topics.Walk(filter), terms: t, before: before, atOnce: r.limits.ReplayAtOnce, stands: r.stands}
	if p.find(r); p.over() {
		return nil
	}
	return p
}

// find walks on until it has found something, for a stride at most, and
// reports whether it has.
func (p *replay) find(r *retained) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if p.found == nil {
		p.found, _ = p.Next(stride)
	}
	return p.found != nil
}

// over reports whether there is nothing more.
func (p *replay) over() bool { return p.found == nil && p.Done() }

// take returns what find has found for the client called id, if it is still
// the message of its topic.
func (p *replay) take(r *retained, id string, now func() time.Time) (*letter, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if p.found == nil {
		return nil, false
	}
	k := p.found
	l := k.letter
	p.found = nil
	if l == nil || !p.owes(k, id, now) {
		return nil, false
	}
	if _, went := p.ahead[l.seq]; went {
		delete(p.ahead, l.seq)
		return nil, false
	}
	return l, true
}

// owes reports whether k is for the client called id.
func (p *replay) owes(k *keepsake, id string, now func() time.Time) bool {
	return k.seq <= p.before && !(p.noLocal && k.Publisher == id) && !expired(k.letter, now) &&
		(p.stands == nil || p.stands(k))
}

// takeAhead returns the message of the topic of newer, which is about to go,
// if that is older and still to come.
func (p *replay) takeAhead(r *retained, newer *letter, id string, now func() time.Time) (*letter, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.topics.Find(newer.Topic)
	if !ok || k.seq >= newer.seq || !p.owes(k, id, now) {
		return nil, false
	}
	switch _, went := p.ahead[k.seq]; {
	case went:
		return nil, false
	case p.found == k:
		p.found = nil
		return k.letter, true
	case len(p.ahead) >= stride || !p.Ahead(newer.Topic):
		return nil, false
	}
	if p.ahead == nil {
		p.ahead = make(map[uint64]struct{})
	}
	p.ahead[k.seq] = struct{}{}
	return k.letter, true
}

// A pace is how fast the replays of one client go on when they have had what
// goes at once.
type pace struct {
	left  int   // how many may go now; below zero: so many went ahead
	until int64 // up to when the rate has been granted
	waits bool  // for Tick to give more
}

// turn returns which replay is to go on: the first that may at once, or the
// first of all if the pace allows. -1: none.
func (m *mailbox) turn() int {
	i := slices.IndexFunc(m.replays, func(p *replay) bool { return p.atOnce > 0 })
	if i < 0 && len(m.replays) > 0 && m.pace.left > 0 {
		return 0
	}
	return i
}

// mayReplay reports whether Next may find something to replay.
func (m *mailbox) mayReplay() bool {
	return len(m.replays) > 0 && (!m.pace.waits || m.turn() >= 0)
}

// pullRetained takes the next message out of the replay whose turn it is. It
// gives up after a stride, or as many messages that have been replaced
// meanwhile.
func (c *client) pullRetained(b *Broker) (item, bool) {
	m := c.mail
	for range stride {
		i := m.turn()
		if i < 0 {
			b.pacing.add(c, b.o.Now)
			break
		}
		p := m.replays[i]
		if m.waits() > 0 && m.waiting[m.head].seq <= p.before {
			break // it waited before there was this subscription
		}
		l, ok := p.take(&b.retained, c.id, b.o.Now)
		found := p.find(&b.retained)
		if ok && c.mayReceive(b, l) {
			return m.replayed(i, l, c), true
		}
		if p.over() {
			m.replays = slices.Delete(m.replays, i, i+1)
		} else if !found {
			break
		}
	}
	return item{}, false
}

// pullAhead takes the message that newer, about to go, would overtake. Who may
// have newer may have that, of the same topic.
func (c *client) pullAhead(b *Broker, newer *letter) (item, bool) {
	for i, p := range c.mail.replays {
		if l, ok := p.takeAhead(&b.retained, newer, c.id, b.o.Now); ok {
			return c.mail.replayed(i, l, c), true
		}
	}
	return item{}, false
}

// replayed is l as c gets it from the i-th replay, which it counts against.
func (m *mailbox) replayed(i int, l *letter, c *client) item {
	p := m.replays[i]
	if p.atOnce > 0 {
		p.atOnce--
	} else {
		m.pace.left--
	}
	if p.over() {
		m.replays = slices.Delete(m.replays, i, i+1)
	}
	it := newReceiver(c, p.terms, l).item(l)
	it.retain = true
	return it
}

// pacing is the clients whose replays wait for their rate. mu is a leaf.
type pacing struct {
	mu      sync.Mutex
	clients []*client
}

// add has Tick look at c, which is locked, if it has replays and is not being
// looked at already.
func (y *pacing) add(c *client, now func() time.Time) {
	p := &c.mail.pace
	if len(c.mail.replays) == 0 || p.waits {
		return
	}
	p.waits = true
	if at := now().UnixNano(); at-p.until > int64(time.Second) {
		p.until = at // what it did not take in time is not made up for
	}
	y.mu.Lock()
	y.clients = append(y.clients, c)
	y.mu.Unlock()
}

// tickReplays lets replays go on whose rate allows it by now.
func (b *Broker) tickReplays(now int64) {
	y := &b.pacing
	y.mu.Lock()
	waiting := y.clients
	y.clients = nil
	y.mu.Unlock()
	still := waiting[:0]
	for _, c := range waiting {
		c.mu.Lock()
		var sink Sink
		if m := c.mail; m != nil && m.pace.waits {
			if m.pace.waits = !m.pace.grant(b.o.Retained.ReplayRate, now); m.pace.waits {
				still = append(still, c)
			}
			sink = c.wake(b.o.MaxInflight)
		}
		c.mu.Unlock()
		if sink != nil {
			sink.Mail()
		}
	}
	y.mu.Lock()
	y.clients = append(y.clients, still...)
	y.mu.Unlock()
}

// grant adds what the rate, in messages a second, allows until now, a second's
// worth at most, and reports whether any may go.
func (p *pace) grant(rate float64, now int64) bool {
	from := max(p.until, now-int64(time.Second))
	n := int(rate * time.Duration(now-from).Seconds())
	if n > 0 {
		p.left += n
		p.until = from + int64(float64(n)/rate*float64(time.Second))
	}
	return p.left > 0
}
