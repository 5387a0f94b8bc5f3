package gateway

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// A claim is a sleeper's PINGREQ from where it did not fall asleep. It is left
// with the client's seat, and the owner meets it when it is done with all else:
// so it does not matter on which shard the seat is by then, or whether other
// shards claim it as well. The last claim counts.
//
// Nothing of a seat is ever in two places. Its owner takes it out of its own
// table, names the new owner, and queues it there. What the seat is told
// meanwhile stays with the seat; what comes from its old address comes from a
// stranger.
type claim struct {
	from source
	to   *shard
}

// claimed leaves c with t. False means that t is no more.
func (t *seat) claimed(c *claim) bool { return t.tell(func(e *events) { e.claim = c }) }

// meetClaim hands t over, if its client sleeps. Another one has no reason to
// ask from elsewhere: it is not who it says, or has to connect.
func (s *shard) meetClaim(t *seat, c *claim) {
	if t.state != session.Asleep && t.state != session.Awake {
		s.hijack(t.session.ClientID(), c.from)
		s.out.add(c.from, 0, goodbye)
		return
	}
	s.vacate(t)
	t.mu.Lock()
	t.source = c.from
	t.owner = c.to
	t.queue()
	t.mu.Unlock()
}

// arrive gives t, whose client is somewhere else than before, its place here,
// and lets it hear the PINGREQ.
func (s *shard) arrive(t *seat) {
	from := t.source
	t.be(source{})
	if other := s.find(from.peer, []byte(from.node)); other != nil {
		s.evict(other)
	}
	s.settle(t, from)
	s.count.moves.Add(1)
	s.notice(ClientMoved, t, 0)
	t.session.Moved()
	t.session.Handle(s.now, &mqttsn.Pingreq{ClientID: []byte(t.session.ClientID())}, &s.acts)
	s.perform(t)
}

// evict takes its address away from a client, because another is there now.
// The session goes on without: its client may be asleep, and come back
// elsewhere. One whose silence nobody would notice is lost at once, or as soon
// as that is so.
func (s *shard) evict(t *seat) {
	s.unbind(t)
	if t.forlorn() {
		s.end(t, session.KeepAliveTimeout)
	}
}

// forlorn reports whether t has no address and nothing to wait for.
func (t *seat) forlorn() bool {
	return !t.bound() && (t.state == session.Connecting || t.session.Deadline() == 0)
}

// hijack counts and reports that somebody asked for what is another's.
func (s *shard) hijack(clientID string, from source) {
	s.count.hijacks.Add(1)
	user, _ := s.g.userOf(from)
	s.g.notices.tell(s.now, HijackAttempt, clientID, user, from, 0)
}
