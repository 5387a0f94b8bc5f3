package gateway

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// This file drives sessions, as package session has it: one call, then what it
// asks for, then what the broker says to that, then the next message.

// handle lets the session of t see a packet.
func (s *shard) handle(t *seat, p mqttsn.Packet) {
	t.hold(s)
	t.session.Handle(s.now, p, &s.acts)
	s.perform(t)
	s.attend(t)
}

// meet lets it see that a deadline has come, if t is still here.
func (s *shard) meet(t *seat) {
	if t == nil || !t.hold(s) {
		return
	}
	if t.slot == nowhere { // it has been away since, and is on its way back
		t.requeue()
		return
	}
	t.session.Tick(s.now, &s.acts)
	s.perform(t)
	if t.slot != nowhere && t.forlorn() {
		s.end(t, session.KeepAliveTimeout)
		return
	}
	s.attend(t)
}

// end lets it see that we want no more of it.
func (s *shard) end(t *seat, why session.Reason) {
	t.hold(s)
	t.session.End(s.now, why, &s.acts)
	s.perform(t)
	s.attend(t)
}

// visit looks after a seat that has events. One that has moved is passed on,
// and one that has just come finds its place.
func (s *shard) visit(t *seat) {
	t.mu.Lock()
	t.queued = false
	if t.owner != s {
		t.queue()
	}
	t.mu.Unlock()
	if !t.hold(s) {
		return
	}
	if t.slot == nowhere {
		s.arrive(t)
	}
	s.attend(t)
}

// perform carries out what the session of t asked for, in order.
func (s *shard) perform(t *seat) {
	for i := range s.acts.Ask {
		s.ask(t, &s.acts.Ask[i])
	}
	for datagram := range s.acts.Datagrams {
		if t.bound() {
			s.out.add(t.source, 0, datagram)
		}
	}
	for _, e := range s.acts.Events {
		s.count.events[e].Add(1)
	}
	gone := s.acts.Gone
	s.acts.Reset()
	s.noteState(t, gone)
	if gone != 0 {
		s.bury(t, gone)
		return
	}
	s.wheel.Set(t.slot, t.session.Deadline())
}

// ask passes a request on to the broker.
func (s *shard) ask(t *seat, r *session.Request) {
	if r.Kind == session.AskSave {
		s.placed = append(s.g.appendPlace(s.placed[:0], t), r.State...)
		r.State = s.placed
	}
	switch {
	case r.Kind == session.AskOpen:
		t.link = s.g.broker.Open(s.clientOf(&t.session, t.source), r, t)
	case t.link != nil:
		t.link.Ask(r)
	}
}

func (s *shard) clientOf(of *session.Session, from source) session.Client {
	user, _ := s.g.userOf(from)
	return session.Client{ID: of.ClientID(), User: user, Listener: s.g.cfg.Listener, Remote: from.String()}
}

// noteState counts and reports a change of state. A client that is not asleep
// any more wants its messages: whether there are any, it has not been told.
func (s *shard) noteState(t *seat, gone session.Reason) {
	was, is := t.state, t.session.State()
	if is == was {
		return
	}
	t.become(is)
	s.count.states[was].Add(-1)
	s.count.states[is].Add(1)
	t.mailed = t.mailed || was == session.Asleep
	switch {
	case is == session.Active:
		s.notice(ClientConnected, t, 0)
	case is == session.Asleep && was == session.Active:
		s.notice(ClientAsleep, t, 0)
	case is == session.Disconnected && was != session.Connecting:
		s.notice(ClientGone, t, gone)
	}
}

func (s *shard) notice(kind NoticeKind, t *seat, why session.Reason) {
	user, _ := s.g.userOf(t.source)
	s.g.notices.tell(s.now, kind, t.session.ClientID(), user, t.source, why)
}

// attend lets go of t when it has heeded its events and has had its messages,
// or enough of them for now.
func (s *shard) attend(t *seat) {
	for left := pulls; ; {
		s.heed(t)
		switch {
		case t.slot == nowhere:
			return // it is gone
		case !t.wantsMail():
		case left > 0:
			left--
			s.pull(t)
			continue
		default:
			t.requeue()
			return
		}
		if c, done := t.release(); done {
			if c != nil {
				s.meetClaim(t, c)
			}
			return
		}
	}
}

func (t *seat) wantsMail() bool { return t.mailed && t.bound() && t.session.Ready() }

// pull gets the session its next message. What the broker has answered in the
// meantime goes first, so that an acknowledgement is sent ahead of an echo. It
// may be that there is mail again: the broker looks for what is retained only
// so far at a time, and until it has looked everywhere there is more to come.
func (s *shard) pull(t *seat) {
	d, ok := t.link.Next()
	t.mailed = ok
	s.heed(t)
	switch {
	case t.slot == nowhere:
	case ok:
		t.session.Deliver(s.now, d, &s.acts)
		s.perform(t)
	case !t.mailed && !t.link.Coming():
		t.session.Drained(s.now, &s.acts)
		s.perform(t)
	}
}

// heed takes in t's events, and those that they cause.
func (s *shard) heed(t *seat) {
	for t.slot != nowhere && t.hear(&s.heard) {
		t.mailed = t.mailed || s.heard.mail
		for _, a := range s.heard.answers {
			if t.slot != nowhere {
				s.complete(t, a)
			}
		}
		clear(s.heard.answers)
		if s.heard.kick != 0 && t.slot != nowhere {
			s.kick(t, s.heard.kick)
		}
	}
}

func (s *shard) complete(t *seat, a session.Answer) {
	opened := a.Kind == session.AskOpen && a.Result == session.Done
	if a.Kind == session.AskOpen {
		_, a.State, _ = s.g.readPlace(a.State)
	}
	t.session.Complete(s.now, a, &s.acts)
	s.perform(t)
	if opened && t.slot != nowhere {
		s.g.clients.put(t.session.ClientID(), t)
	}
}

// kick ends the session because the broker has let go of it. If the client has
// connected again at the same moment, the broker may have taken it back since,
// and must be told.
func (s *shard) kick(t *seat, why session.Reason) {
	t.session.End(s.now, why, &s.acts)
	s.perform(t)
	t.link.Ask(&session.Request{Kind: session.AskDetach, Ending: session.Shutdown})
}

// newSeat makes a seat for a client that comes from there.
func (s *shard) newSeat(from source) *seat {
	t := &seat{session: *session.New(mqttsn.V12, s.g.configFor(from)), owner: s}
	s.g.seats.Add(1)
	s.settle(t, from)
	return t
}

// configFor is what holds for a session with who is there.
func (g *Gateway) configFor(from source) *session.Config {
	user, _ := g.userOf(from)
	return g.cfg.Session.Of(user)
}

// nowhere is the slot of a seat that is gone, or on its way.
const nowhere = -1

// settle gives t its places in this shard.
func (s *shard) settle(t *seat, from source) {
	s.settleNowhere(t)
	s.bind(t, from)
}

// settleNowhere is settle for a client without an address.
func (s *shard) settleNowhere(t *seat) {
	s.enter(t)
	if int(t.slot) < len(s.paces) {
		s.paces[t.slot] = pace{}
	}
	s.wheel.Grow(len(s.slots))
	s.count.states[t.state].Add(1)
}

// vacate takes t's places in this shard away.
func (s *shard) vacate(t *seat) {
	s.count.states[t.state].Add(-1)
	s.unbind(t)
	s.wheel.Cancel(t.slot)
	s.leave(t)
	t.slot = nowhere
}

// bury ends a seat. Its client has to connect again.
func (s *shard) bury(t *seat, why session.Reason) {
	s.count.ended[why].Add(1)
	s.vacate(t)
	s.g.seats.Add(-1)
	s.g.clients.drop(t.session.ClientID(), t)
	t.mu.Lock()
	e := t.told
	t.owner, t.told = nil, nil
	t.mu.Unlock()
	if e != nil && e.claim != nil {
		s.out.add(e.claim.from, 0, goodbye)
	}
}
