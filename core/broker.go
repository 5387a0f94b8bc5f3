// Package core is the broker: sessions, subscriptions, ordered queues, QoS
// windows, retained messages and wills, for clients of every edge alike.
//
// A publish asks the router who wants it, writes it to the store with its
// receivers, and once the store has answered puts it in their mailboxes; the
// edges pull from there. It starts no goroutine and no timer: Tick drives
// what time drives.
//
// Locks are taken in this order: turns, Broker.mu, client.mu, Broker.topics,
// retained.mu; those of groups, pacing, overflows, ages and sys are leaves. Under
// Broker.mu, and only then, a second client may be locked. Sinks and done
// functions are called with none of them held but turns, which is why they may
// not call back.
package core

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core/router"
	"dormouse/core/store"
	"dormouse/mqttsn/index"
)

// A Broker is one broker. Its edges attach clients to it. It is safe for
// concurrent use.
type Broker struct {
	o     Options
	store store.Store
	run   uint64 // counted by the store

	// incidents is the log for what whoever comes along can bring about.
	incidents zerolog.Logger

	mu      sync.Mutex // guards what follows
	clients *index.Set[client]
	owners  map[string]string // users by client id, of sessions that have one
	due     deadlines[*client]
	takers  []*Session // given something since mu was locked; see unlock

	// topics makes subscribing one with its place in the order of letters:
	// a letter is matched and, if retained, kept under one RLock.
	topics   sync.RWMutex
	router   *router.Router[*client, terms]
	groups   map[string]*group // by filter as subscribed to
	shares   *router.Router[*group, struct{}]
	members  int // of all groups
	lastSeq  atomic.Uint64
	retained retained
	pacing   pacing
	overflow overflows
	ages     ages

	closed       atomic.Bool // set under mu
	pressure     atomic.Uint32
	strain       atomic.Uint32
	publications sync.Pool
	turns        turns

	counters
	owed backlogs
	sys  sys
}

// New returns a broker. Its Options must be valid.
func New(o Options) *Broker {
	b := &Broker{
		o:         o,
		incidents: o.Log.Sample(&zerolog.BurstSampler{Burst: 60, Period: time.Minute}),
		store:     o.Store,
		turns:     newTurns(),
		clients:   index.NewSet(func(c *client) string { return c.id }),
		owners:    make(map[string]string),
		router:    router.New[*client, terms](),
		groups:    make(map[string]*group),
		shares:    router.New[*group, struct{}](),
		retained:  retained{limits: o.Retained, shares: make(map[string]int)},
	}
	if o.Authorize != nil {
		b.retained.stands = b.stands
	}
	b.publications.New = func() any {
		p := &publication{broker: b}
		p.visitor, p.sharing, p.then = p.visit, p.share, p.stored
		return p
	}
	b.sys.started = o.Now()
	b.addLoads()
	return b
}

// Publish takes responsibility for m from a sender without a session, whose
// client id becomes m's Publisher.
func (b *Broker) Publish(from Identity, m Message, done func(error)) {
	m.Publisher = from.ClientID
	err := b.mayPublish(from, &m, OnRequest)
	switch {
	case err == nil:
		err = b.shed(m.QoS)
	case errors.Is(err, ErrNotAuthorized):
		b.tellRefused(from, ActPublish, m.Topic)
	}
	if err == nil {
		err = b.publish(m, from.Listener, b.signed(from, &m), done)
	}
	if err != nil {
		b.decline(m.QoS, err, done)
	}
}

// Tick does what is due at now: expires sessions and retained messages,
// publishes delayed wills and $SYS, has replays of retained messages go on at
// their rate, sweeps queues for messages that have waited too long, which are
// not delivered in any case, and logs what had to go. Call it a few times a
// second.
func (b *Broker) Tick(now time.Time) {
	if b.closed.Load() {
		return
	}
	for b.tickClient(now.UnixNano()) {
	}
	for b.tickRetained(now.UnixNano()) {
	}
	b.tickReplays(now.UnixNano())
	for b.tickOverflow(now.UnixNano()) {
	}
	b.tickAges(now)
	b.publishSys(now)
}

// Close kicks every client. Kept sessions stay as they are and no will is
// published. From then on calls answer ErrClosed or ErrDetached. It may wait
// for the store.
func (b *Broker) Close() error {
	b.mu.Lock()
	if b.closed.Swap(true) {
		b.mu.Unlock()
		return nil
	}
	var kicked []Sink
	for c := range b.clients.All {
		c.mu.Lock()
		if s := c.attached; s != nil {
			b.detach(s, Shutdown)
			kicked = append(kicked, s.sink)
		}
		c.mu.Unlock()
	}
	b.mu.Unlock()
	for _, sink := range kicked {
		sink.Kick(ShuttingDown)
	}
	return b.store.Close()
}

// refuse answers a call with an error, in its turn.
func (b *Broker) refuse(err error, done func(error)) {
	b.store.Sync(func(error) { done(err) })
}

// decline answers a Publish with an error. At QoS 0 nobody waits for that, and
// it must not wait for a store that may be behind.
func (b *Broker) decline(qos QoS, err error, done func(error)) {
	if qos == 0 {
		done(err)
		return
	}
	b.refuse(err, done)
}

// note writes facts that nobody waits for and that cannot be refused: if they
// are lost, a restart brings back what was over. It reports whether they are
// not.
func (b *Broker) note(facts ...store.Fact) (noted bool) {
	return b.noted(b.store.Write(facts...))
}

// noted takes note of an error, and reports whether there is none.
func (b *Broker) noted(err error) bool {
	if err != nil {
		b.storeRefusals.Add(1)
		b.o.Log.Error().Err(err).Str("event", "store_refused").Msg("the store refused what is already done")
	}
	return err == nil
}

// MaxTopicLength is the longest topic that Publish takes, in octets.
func (b *Broker) MaxTopicLength() int { return b.o.Topics.Length }
