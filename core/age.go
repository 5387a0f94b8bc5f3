package core

import (
	"slices"
	"sync"
	"time"

	"dormouse/core/store"
)

// A message that has waited for longer than QueueLimits.Age, or than its own
// expiry allows, is not delivered any more. Queues are swept for such messages
// now and then, so that those of a client who stays away do not stay on the
// disk either. What is in flight or retained is not theirs to lose.

const (
	// sweepsPerAge is how often in the time that a message may wait a sweep
	// begins, within the bounds that follow.
	sweepsPerAge = 16
	sweepAtLeast = time.Second
	sweepAtMost  = time.Hour

	// sweepStride is how many clients one Tick sweeps: less than a millisecond.
	sweepStride = 4096
)

// ages is the sweep of queues and what is to be logged of messages that waited
// for too long. mu is a leaf.
type ages struct {
	mu     sync.Mutex
	begins time.Time // when the next sweep does
	left   []*client // of this one

	client string    // who was to have the last of them
	told   uint64    // how many have been logged
	tells  time.Time // when more may be
}

// tooOld reports whether l has waited longer than any may.
func (b *Broker) tooOld(l *letter) bool {
	most := b.o.Queue.Age
	return most > 0 && l.Taken != 0 && b.o.Now().Sub(time.Unix(l.Taken, 0)) >= most
}

// outlived reports whether l, which waited for c, is not to be delivered any
// more, and counts it if so.
func (b *Broker) outlived(c *client, l *letter) bool {
	switch {
	case expired(l, b.o.Now):
		b.dropped.expired.Add(1)
	case b.tooOld(l):
		b.dropped.aged.Add(1)
		b.ages.mu.Lock()
		b.ages.client = c.id
		b.ages.mu.Unlock()
	default:
		return false
	}
	return true
}

// tickAges sweeps some queues, if it is time.
func (b *Broker) tickAges(now time.Time) {
	for _, c := range b.toSweep(now) {
		b.sweep(c)
	}
	b.tellOfAges(now)
}

// toSweep returns the clients that are next.
func (b *Broker) toSweep(now time.Time) (next []*client) {
	a := &b.ages
	if b.o.Queue.Age > 0 && b.owed.waiting.Load() > 0 && b.sweepBegins(now) {
		b.mu.Lock()
		all := make([]*client, 0, b.clients.Len())
		for c := range b.clients.All {
			all = append(all, c)
		}
		b.mu.Unlock()
		a.mu.Lock()
		a.left = all
		a.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(sweepStride, len(a.left))
	next, a.left = a.left[:n:n], a.left[n:]
	if len(a.left) == 0 {
		a.left = nil
	}
	return next
}

// sweepBegins reports whether a sweep does, and sets the time of the next.
func (b *Broker) sweepBegins(now time.Time) bool {
	a := &b.ages
	a.mu.Lock()
	defer a.mu.Unlock()
	every := min(max(b.o.Queue.Age/sweepsPerAge, sweepAtLeast), sweepAtMost)
	if len(a.left) > 0 || now.Before(a.begins) && a.begins.Sub(now) <= every { // or the clock was set back
		return false
	}
	a.begins = now.Add(every)
	return true
}

// sweep takes out of the queue of c what has outlived its time.
func (b *Broker) sweep(c *client) {
	c.mu.Lock()
	m := c.mail
	if m == nil || c.gone {
		c.mu.Unlock()
		return
	}
	over := func(it item) bool { return expired(it.letter, b.o.Now) || b.tooOld(it.letter) }
	if !slices.ContainsFunc(m.waiting[m.head:], over) {
		c.mu.Unlock()
		return
	}
	before := c.backlog()
	var facts []store.Fact
	m.weed(func(it item) bool {
		if !b.outlived(c, it.letter) {
			return false
		}
		if it.qos > 0 && c.kept.Load() {
			facts = append(facts, it.dropped(c.id))
		}
		return true
	})
	b.note(facts...)
	b.owed.changed(c, before)
	eased := c.attached != nil && c.attached.gauge()
	c.tidy()
	c.mu.Unlock()
	if eased {
		b.rally(c)
	}
}

// tellOfAges logs how many messages have waited for too long, if some have
// since that was last logged.
func (b *Broker) tellOfAges(now time.Time) {
	a := &b.ages
	a.mu.Lock()
	defer a.mu.Unlock()
	n := b.dropped.aged.Load()
	if n == a.told || now.Before(a.tells) && a.tells.Sub(now) <= reportEvery {
		return
	}
	b.o.Log.Warn().Str("event", "messages_too_old").Uint64("dropped", n-a.told).Str("client", a.client).
		Msg("messages dropped: they waited longer than durability.max_age, the last of them for this client")
	a.told, a.tells = n, now.Add(reportEvery)
}
