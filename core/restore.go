package core

import (
	"cmp"
	"fmt"
	"slices"

	"dormouse/core/store"
)

// Restore takes up what the store kept, every session detached. It must be
// called, if at all, before the broker has edges. Whoever was connected when
// the process ended is lost as of now: the will of the connection follows, after
// its delay, and the session's expiry begins; what began before went on
// meanwhile.
//
// Which run of the broker this is has to be durable before it has edges: its
// caller waits for a Sync of the store.
func (b *Broker) Restore() error {
	err := b.load()
	for c := range b.clients.All {
		b.owed.changed(c, backlog{})
	}
	if err != nil {
		return err
	}
	return b.store.Write(&store.Began{Run: b.run})
}

func (b *Broker) load() error {
	var letters []*letter // in the order of seq
	return b.store.Load(func(f store.Fact) error {
		switch f := f.(type) {
		case *store.Began:
			b.run = f.Run + 1
		case *store.Session:
			b.restoreSession(f)
		case *store.Published:
			l := &letter{Message: *f.Message, seq: f.Seq}
			letters = append(letters, l)
			b.restoreLetter(l, f)
		case *store.Unretained:
			b.retained.clear(f.Topic)
		case *store.Subscribed:
			return b.restoreFor(f.ClientID, func(c *client) { c.restoreSubscription(b, f.Subscription) })
		case *store.Accepted:
			return b.restoreFor(f.ClientID, func(c *client) { c.box().take(f.ID) })
		case *store.Taken:
			b.lastSeq.Store(max(b.lastSeq.Load(), f.Seq))
			return b.restoreFor(f.ClientID, func(c *client) { c.restoreTaken(b, f, find(letters, f.Seq)) })
		case *store.Received:
			return b.restoreFor(f.ClientID, func(c *client) {
				if i := c.box().flying(f.ID); i >= 0 {
					c.mail.inflight[i].released()
				}
			})
		default:
			return fmt.Errorf("the store tells of %T, which it should not", f)
		}
		return nil
	})
}

// find is the letter seq among those in order, or nil.
func find(letters []*letter, seq uint64) *letter {
	i, ok := slices.BinarySearchFunc(letters, seq, func(l *letter, seq uint64) int { return cmp.Compare(l.seq, seq) })
	if !ok {
		return nil
	}
	return letters[i]
}

// restoreFor does something to a client, which the store must have told of.
func (b *Broker) restoreFor(id string, do func(*client)) error {
	c := b.clients.Find(id)
	if c == nil {
		return fmt.Errorf("the store tells of session %q, which it does not have", id)
	}
	do(c)
	return nil
}

func (b *Broker) restoreSession(f *store.Session) {
	c := &client{id: f.ClientID, edge: f.Edge, recorded: true, sensor: f.Edge != ""}
	c.kept.Store(f.Expiry > 0)
	author := authorOf(f.ClientID, f.Author)
	author.User = f.User
	c.will = newWill(author, f.Will, f.KeepWill)
	now := b.o.Now()
	switch {
	case f.Will == nil:
	case !f.WillDue.IsZero():
		c.will.due = f.WillDue.UnixNano()
	case !f.KeepWill:
		c.will.due = now.Add(min(f.Will.Delay, f.Expiry)).UnixNano()
	}
	switch {
	case !f.Ends.IsZero():
		c.ends = f.Ends.UnixNano()
	default:
		c.ends = ending(now, f.Expiry)
	}
	b.clients.Put(c)
	b.own(c, f.User)
	b.schedule(c)
}

func (c *client) restoreSubscription(b *Broker, s Subscription) {
	sub := subscription{s.Filter, termsOf(s)}
	c.subs = append(c.subs, sub)
	b.enlist(c, sub)
	c.several = len(c.subs) > 1
}

func (b *Broker) restoreLetter(l *letter, f *store.Published) {
	b.lastSeq.Store(max(b.lastSeq.Load(), l.seq))
	if l.Retain {
		b.retained.set(l, f.Author)
	}
	for r := range f.Receivers {
		if c := b.clients.Find(r.ClientID); c != nil {
			c.box().push(b.itemOf(c, l, r))
		}
	}
}

// restoreTaken puts back in flight what waited, or l, which did not. Without
// either it was received already.
func (c *client) restoreTaken(b *Broker, f *store.Taken, l *letter) {
	m := c.box()
	it := b.itemOf(c, l, f.Receiver)
	for i := range m.waits() {
		if w := m.waiting[m.head+i]; w.seq == f.Seq && w.share() == f.Share {
			it = m.remove(i)
			break
		}
	}
	it.id, it.release = f.ID, it.letter == nil
	m.inflight = append(m.inflight, it)
	c.lastID = f.ID
}

// itemOf is what Receiver r, who is c, is to have of l.
func (b *Broker) itemOf(c *client, l *letter, r store.Receiver) item {
	it := item{letter: l, qos: r.QoS, retain: r.Retain}
	if r.Share != "" {
		m := b.restoredMember(c, r.Share)
		it.via = &via{ids: r.SubscriptionIDs, member: m}
		b.owe(m)
	} else if len(r.SubscriptionIDs) > 0 {
		it.via = &via{ids: r.SubscriptionIDs}
	}
	return it
}

// restoredMember is the part of c in a group, which it may have left.
func (b *Broker) restoredMember(c *client, filter string) *member {
	if g := b.groups[filter]; g != nil && g.members[c] != nil {
		return g.members[c]
	}
	c.sharing = true
	return &member{client: c, group: &group{filter: filter}, left: true}
}
