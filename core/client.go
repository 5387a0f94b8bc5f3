package core

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dormouse/core/store"
)

// A client is all that core keeps under one client id. It is built small:
// there may be a million that sleep. Without mail it costs, with its
// attachment, one subscription and its places in the broker's indexes, some
// 300 octets.
type client struct {
	id       string
	kept     atomic.Bool // it outlives its connection, so its facts go to the store
	deadline             // for will and end; guarded by Broker.mu
	several  bool        // it has more than one subscription; Broker.topics guards it

	// mu guards what follows. The order, of all, is that of the smallest size.
	sharing  bool   // it has had a shared subscription
	recorded bool   // the store has its Session, if only for its will
	gone     bool   // it is not the broker's any more
	sensor   bool   // who attached last was one, as far as is known
	ended    Ending // how the last attachment did; zero: not known
	lastID   uint16
	mu       sync.Mutex
	attached *Session // nil: nobody
	subs     []subscription
	mail     *mailbox // nil: nothing
	will     *will
	edge     string
	ends     int64 // when the session does, detached; zero: never
}

// A subscription is one filter of a client.
type subscription struct {
	filter string
	terms
}

// terms are what a subscription asked for.
type terms struct {
	id                uint32
	qos               QoS
	noLocal           bool
	retainAsPublished bool
}

func termsOf(s Subscription) terms {
	return terms{id: s.ID, qos: s.QoS, noLocal: s.NoLocal, retainAsPublished: s.RetainAsPublished}
}

// asked is s as whoever has it asked for it, but for RetainHandling, which was
// for that moment.
func (s subscription) asked() Subscription {
	return Subscription{Filter: s.filter, ID: s.id, QoS: s.qos, NoLocal: s.noLocal, RetainAsPublished: s.retainAsPublished}
}

// A will is a Will with its author, for the access rules.
type will struct {
	Will
	who  Identity
	keep bool  // it belongs to the session, not to the connection
	due  int64 // the client was lost: when it is to be published. Zero: not lost
}

// find returns where filter is in subs, or -1.
func (c *client) find(filter string) int {
	for i := range c.subs {
		if c.subs[i].filter == filter {
			return i
		}
	}
	return -1
}

// wake returns the Sink to be mailed, or nil. It must be called, and its
// Sink mailed without the lock, after each change that may give Next
// something to return.
func (c *client) wake(maxInflight int) Sink {
	s, m := c.attached, c.mail
	if s == nil || !s.armed || s.held > 0 || m == nil {
		return nil
	}
	room := len(m.inflight) < maxInflight && (m.waits() > 0 || m.mayReplay())
	switch again := m.inflight[m.again:]; {
	case len(again) == 0 && !room, len(again) > 0 && again[0].unsure:
		return nil
	}
	s.armed = false
	return s.sink
}

// runIDs is how many packet identifiers one run of the broker gives out, in turn.
// The next three give out others: a late acknowledgement of what was in flight
// before a restart, and is not known to have been, is not taken for that of
// another message.
const runIDs = 1 << 14

// nextID returns a packet identifier of a run that is not in flight.
func (c *client) nextID(run uint64) uint16 {
	first := uint16(run % (1 << 16 / runIDs) * runIDs)
	for {
		c.lastID = first + (c.lastID+1)%runIDs
		if c.lastID != 0 && c.mail.flying(c.lastID) < 0 {
			return c.lastID
		}
	}
}

// replay adds the replay of a subscription, in place of any of that filter.
func (c *client) replay(r *retained, sub subscription, before uint64) {
	c.endReplay(sub.filter)
	if p := r.replay(sub.filter, sub.terms, before); p != nil {
		m := c.box()
		m.replays = append(m.replays, p)
	}
}

// endReplay ends the replay of a subscription, if there is one.
func (c *client) endReplay(filter string) {
	if c.mail != nil {
		c.mail.replays = slices.DeleteFunc(c.mail.replays, func(p *replay) bool { return p.Filter() == filter })
		c.tidy()
	}
}

// fact is what the store is to know about c itself, given whose it is and how
// long it outlives its connection.
func (c *client) fact(user string, expiry time.Duration) *store.Session {
	f := &store.Session{ClientID: c.id, User: user, Expiry: expiry, Edge: c.edge}
	c.will.store(f)
	if c.ends != 0 {
		f.Ends = time.Unix(0, c.ends)
	}
	return f
}

// left is fact when nobody is attached any more.
func (c *client) left(user string, remains time.Duration) *store.Session {
	f := c.fact(user, remains)
	f.Granted = true
	return f
}

// octets is about how much room fact takes where it is stored.
func (c *client) octets() int { return len(c.edge) + c.will.size() }

// record writes what the store is to know about the session of s, if it is to
// know it. granted is as of the fact.
func (s *Session) record(granted bool) error {
	if !s.client.kept.Load() {
		return nil
	}
	f := s.client.fact(s.entry.Value().user, s.expiry)
	f.Granted = granted
	return s.broker.store.Write(f)
}
