package gateway

import (
	"sync"

	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
)

// A seat is one client in the gateway: its session, its place at the broker
// and its address. Exactly one shard owns it, and that one alone touches what
// stands first. All else talk to it by its events: the broker by the methods
// of [session.Seat], and other shards by claims. Whoever has an event for a
// seat puts it in, and queues the seat with the owner.
type seat struct {
	session session.Session
	link    session.Link
	source                // no address: another client has taken it. Others may read it by at
	slot    int32         // in the owner's table and wheel
	state   session.State // written under mu
	mailed  bool          // link may have a message

	// mu guards what follows; a shard's inbox may be locked inside.
	queued bool // with the owner, to be visited
	held   bool // by the owner, who looks for events before it lets go
	mu     sync.Mutex
	told   *events // nil: nothing, as with most sleepers
	owner  *shard  // nil: it is no more
}

// A source is where a client's packets come from, and its answers go.
type source struct {
	peer transport.Peer
	node string // its forwarder's name for it; empty without a forwarder
}

// be says where t's client is.
func (t *seat) be(at source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.source = at
}

// at returns where t's client is, to who does not own t.
func (t *seat) at() source {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.source
}

// events are what a seat was told and has not heeded.
type events struct {
	answers []session.Answer
	mail    bool
	kick    session.Reason
	claim   *claim
}

// Answer takes in what came of a request.
func (t *seat) Answer(a session.Answer) {
	t.tell(func(e *events) { e.answers = append(e.answers, a) })
}

// Mail takes in that the link has a message. A client that is asleep is visited
// for none: once it is not any more, the link is asked in any case.
func (t *seat) Mail() {
	t.mu.Lock()
	asleep := t.state == session.Asleep
	t.mu.Unlock()
	if !asleep {
		t.tell(func(e *events) { e.mail = true })
	}
}

// become gives t a state.
func (t *seat) become(is session.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = is
}

// Kick takes in that the broker has let go of the client.
func (t *seat) Kick(why session.Reason) { t.tell(func(e *events) { e.kick = why }) }

// tell lets put note an event. False means that t is no more.
func (t *seat) tell(put func(*events)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owner == nil {
		return false
	}
	if t.told == nil {
		t.told = new(events)
	}
	put(t.told)
	t.queue()
	return true
}

// queue sees to it that the owner will look for events. t.mu is held.
func (t *seat) queue() {
	if !t.queued && !t.held && t.owner != nil {
		t.queued = true
		t.owner.in.visit(t)
	}
}

func (t *seat) kicked() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.told != nil && t.told.kick != 0
}

// hold says that s is at it and will look for events before it is done. It
// reports whether t is for s to touch.
func (t *seat) hold(s *shard) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owner != s {
		return false
	}
	t.held = true
	return true
}

// news reports whether there are events, other than a claim.
func (e *events) news() bool { return e != nil && (len(e.answers) > 0 || e.mail || e.kick != 0) }

// hear takes out the events, other than a claim, and reports whether there
// were any. It trades the room for answers in into for the seat's.
func (t *seat) hear(into *events) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.told
	if !e.news() {
		return false
	}
	into.answers, e.answers = e.answers, into.answers[:0]
	into.mail, e.mail = e.mail, false
	into.kick = e.kick // and it stays known
	return true
}

// requeue lets go of t for now: it has had its turn.
func (t *seat) requeue() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = false
	t.queue()
}

// release lets go of t, unless there are events. A claim comes last and is for
// the caller to meet: t may be another shard's afterwards.
func (t *seat) release() (c *claim, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told.news() {
		return nil, false
	}
	t.held = false
	if t.told != nil {
		c, t.told.claim = t.told.claim, nil
		if t.state == session.Asleep {
			t.told = nil
		}
	}
	return c, true
}
