package core

import (
	"slices"
	"strings"

	"dormouse/core/router"
	"dormouse/core/store"
)

// A publication is a letter between its publisher and the mailboxes. It is
// reused.
type publication struct {
	broker  *Broker
	letter  *letter
	author  string // who retained it, as the store has it
	to      []receiver
	several []receiver // those that may be there more than once
	without *client    // who is not to have it: its session ends with this
	granted bool       // as of its fact
	done    func(error)

	visitor func([]router.Entry[*client, terms])   // visit, made once
	sharing func([]router.Entry[*group, struct{}]) // share, made once
	then    func(error)                            // stored, made once
}

// A receiver is a client, and how it is to have the letter.
type receiver struct {
	*client
	terms
	via *via // as of its item
}

// publish sends m, which came in by a listener and is signed by its author if it
// is retained, on its way, with facts that must be kept if it is. On an error it
// did not go, and done is not called.
func (b *Broker) publish(m Message, listener, author string, done func(error), facts ...store.Fact) error {
	if b.closed.Load() {
		return ErrClosed
	}
	p := b.publication(m, done)
	p.author = author
	b.topics.RLock()
	err := p.route(facts)
	b.topics.RUnlock()
	if err != nil {
		p.recycle()
		return err
	}
	b.countReceived(&p.letter.Message)
	if m.QoS == 0 && len(facts) == 0 && !b.o.writtenAhead(listener) {
		b.store.Follow(p.then) // nothing is promised
	} else {
		b.store.Sync(p.then)
	}
	return nil
}

func (b *Broker) publication(m Message, done func(error)) *publication {
	p := b.publications.Get().(*publication)
	m.Taken = b.o.Now().Unix()
	p.letter, p.done = &letter{Message: m}, done
	return p
}

// send has p, which is routed unless it is nil, go to its receivers once that is
// durable.
func (b *Broker) send(p *publication) {
	if p == nil {
		return
	}
	b.countReceived(&p.letter.Message)
	b.store.Sync(p.then)
}

func (b *Broker) countReceived(m *Message) {
	if m.Publisher != "" || m.Topic[0] != '$' { // what the broker says of itself it has not received
		b.received.messages.Add(1)
		b.received.bytes.Add(uint64(len(m.Topic) + len(m.Payload)))
	}
}

// route finds the receivers and writes all to the store, after facts.
// Broker.topics must be locked, for reading at least.
func (p *publication) route(facts []store.Fact) error {
	b, l := p.broker, p.letter
	b.router.Match(l.Topic, p.visitor)
	p.merge()
	if b.members > 0 {
		b.shares.Match(l.Topic, p.sharing)
	}
	if !l.Retain {
		l.seq = b.lastSeq.Add(1)
		return p.write(facts)
	}
	b.retained.mu.Lock()
	defer b.retained.mu.Unlock()
	l.seq = b.lastSeq.Add(1) // of two that race, the store is to find the same to be the later
	if err := b.retained.room(l); err != nil {
		b.dropped.countFull(err)
		return err
	}
	if err := p.write(facts); err != nil {
		return err
	}
	b.retained.set(l, p.author)
	return nil
}

// visit notes the subscribers of one filter.
func (p *publication) visit(entries []router.Entry[*client, terms]) {
	for _, e := range entries {
		if e.What.noLocal && e.Who.id == p.letter.Publisher || e.Who == p.without {
			continue
		}
		r := newReceiver(e.Who, e.What, p.letter)
		if r.several {
			p.several = append(p.several, r)
		} else {
			p.to = append(p.to, r)
		}
	}
}

// share notes who is to have it of the groups of one filter, each on its own.
func (p *publication) share(groups []router.Entry[*group, struct{}]) {
	for _, e := range groups {
		if m := e.Who.choose(p.letter.QoS, p.without); m != nil {
			p.to = append(p.to, m.receiver(p.letter))
		}
	}
}

// newReceiver is c, to whom l goes on terms t.
func newReceiver(c *client, t terms, l *letter) receiver {
	r := receiver{client: c, terms: t}
	r.qos = min(t.qos, l.QoS)
	if t.id != 0 {
		r.via = &via{ids: []uint32{t.id}}
	}
	return r
}

// merge makes one receiver of each client: MQTT 5 §3.3.4 has the highest QoS
// and all subscription identifiers of overlapping filters.
func (p *publication) merge() {
	if len(p.several) > 1 {
		slices.SortFunc(p.several, func(a, b receiver) int { return strings.Compare(a.client.id, b.client.id) })
	}
	for i, r := range p.several {
		if i == 0 || p.several[i-1].client != r.client {
			p.to = append(p.to, r)
			continue
		}
		m := &p.to[len(p.to)-1]
		m.qos = max(m.qos, r.qos)
		m.retainAsPublished = m.retainAsPublished || r.retainAsPublished
		switch {
		case m.via == nil:
			m.via = r.via
		case r.via != nil:
			m.via.ids = append(m.via.ids, r.via.ids...)
		}
	}
}

// write hands the store what it must keep: the message for those who are owed
// it, as the retained one, or only facts.
func (p *publication) write(facts []store.Fact) error {
	l := p.letter
	if l.Retain && counted(l) || slices.ContainsFunc(p.to, receiver.owed) {
		facts = append(facts, &store.Published{Seq: l.seq, Message: &l.Message, Receivers: p.owed, Author: p.author, Granted: p.granted})
	}
	if len(facts) == 0 {
		return nil
	}
	return p.broker.store.Write(facts...)
}

// owed reports whether the store must know that r has the letter coming.
func (r receiver) owed() bool { return r.qos > 0 && r.kept.Load() }

// owed yields those who are owed the letter.
func (p *publication) owed(yield func(store.Receiver) bool) {
	for _, r := range p.to {
		if r.owed() && !yield(r.item(p.letter).receiver(r.client.id)) {
			return
		}
	}
}

// item is l as r is to have it.
func (r receiver) item(l *letter) item {
	return item{letter: l, via: r.via, qos: r.qos, retain: l.Retain && r.retainAsPublished}
}

// receiver is it in the store's words.
func (it item) receiver(id string) store.Receiver {
	r := store.Receiver{ClientID: id, Share: it.share(), QoS: it.qos, Retain: it.retain}
	if it.via != nil {
		r.SubscriptionIDs = it.via.ids
	}
	return r
}

// dropped is, in the store's words, that it no longer waits for the client id.
func (it item) dropped(id string) *store.Dropped {
	return &store.Dropped{ClientID: id, Share: it.share(), Seq: it.seq}
}

// stored answers the publisher, then fills the mailboxes.
func (p *publication) stored(err error) {
	p.done(err)
	if err == nil {
		for _, r := range p.to {
			p.broker.post(r.client, r.item(p.letter))
		}
	}
	p.recycle()
}

func (p *publication) recycle() {
	const keep = 1024 // receivers worth keeping for the next letter
	clear(p.to)
	clear(p.several)
	if cap(p.to)+cap(p.several) > keep {
		p.to, p.several = nil, nil
	}
	p.letter, p.done, p.to, p.several = nil, nil, p.to[:0], p.several[:0]
	p.without, p.author, p.granted = nil, "", false
	p.broker.publications.Put(p)
}

// post puts it in c's mailbox. At QoS 0 that takes somebody to be there. What
// c shares with others goes to one of them, if c cannot have it.
func (b *Broker) post(c *client, it item) {
	c.mu.Lock()
	if b.misplaced(c, it) {
		c.mu.Unlock()
		b.rehome(c, it, false)
		return
	}
	if c.gone || it.qos == 0 && c.attached == nil {
		c.mu.Unlock()
		return
	}
	before := c.backlog()
	dropped, shared := c.box().admit(it, b.room(c)), []item(nil)
	if c.sharing {
		dropped, shared = parted(dropped)
		c.posted(it)
	}
	report := b.overflowed(c, dropped)
	b.owed.changed(c, before)
	sink := c.wake(b.o.MaxInflight)
	c.mu.Unlock()
	b.logOverflow(c.id, report)
	if sink != nil {
		sink.Mail()
	}
	for _, it := range shared {
		b.rehome(c, it, true)
	}
}

// drop tells the store that c is no longer owed what waited for it.
func (b *Broker) drop(c *client, it item) {
	if it.qos > 0 && c.kept.Load() {
		b.note(it.dropped(c.id))
	}
}
