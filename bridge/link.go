package bridge

import (
	"bytes"
	"sync"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// A link is one attachment of a client.
type link struct {
	seat session.Seat

	mu      sync.Mutex
	session *core.Session      // nil: not opened yet, or refused and of no use
	early   *[]session.Request // made before the Open was answered, or nil
}

var _ session.Link = (*link)(nil)

// opened takes in what came of the Open, and tells the seat. Requests that
// could not wait for it have a goroutine of their own: this may be core's,
// which must not be called back.
func (l *link) opened(s *core.Session, a session.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seat.Answer(a)
	switch {
	case l.early == nil:
		l.session = s
	case s == nil:
		for _, r := range *l.early {
			l.done(&r)(core.ErrDetached)
		}
		l.early = nil
	default:
		go l.catchUp(s)
	}
}

// catchUp carries out the early requests. While it does, others join them.
func (l *link) catchUp(s *core.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range *l.early {
		l.carryOut(s, &r)
	}
	l.early, l.session = nil, s
	l.seat.Mail() // if there was any, Next has denied it so far
}

// Ask carries out r, or has it wait for the Open to be answered.
func (l *link) Ask(r *session.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		early := *r
		early.Payload, early.State = bytes.Clone(r.Payload), bytes.Clone(r.State)
		if l.early == nil {
			l.early = new([]session.Request)
		}
		*l.early = append(*l.early, early)
		return
	}
	l.carryOut(l.session, r)
}

// Next takes the next message out of the client's queue.
func (l *link) Next() (session.Delivery, bool) {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	if s == nil {
		return session.Delivery{}, false // there is mail after the Open is answered
	}
	d, ok := s.Next()
	if !ok {
		return session.Delivery{}, false
	}
	out := session.Delivery{ID: d.ID, QoS: mqttsn.QoS(d.QoS), Retain: d.Retain, DUP: d.DUP, Released: d.Released}
	if d.Message != nil {
		out.Topic, out.Payload = d.Topic, d.Payload
	}
	return out, true
}

// Coming reports whether the next message waits for the store.
func (l *link) Coming() bool {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	return s != nil && s.Coming()
}

// carryOut asks core. None of its answers comes before this returns to a shard
// that would look for them: they go to the seat, which the shard holds.
func (l *link) carryOut(s *core.Session, r *session.Request) {
	switch r.Kind {
	case session.AskPublish:
		if r.QoS == 0 {
			s.Publish(message(r), 0, func(error) {})
			return
		}
		s.Publish(message(r), r.ID, l.done(r))
	case session.AskRelease:
		s.Release(r.ID, l.done(r))
	case session.AskSubscribe:
		kind, tag := r.Kind, r.Tag
		s.Subscribe(core.Subscription{Filter: r.Topic, QoS: core.QoS(r.QoS)}, func(granted core.QoS, err error) {
			l.seat.Answer(session.Answer{Kind: kind, Tag: tag, Result: result(err), QoS: mqttsn.QoS(granted)})
		})
	case session.AskUnsubscribe:
		done := l.done(r)
		s.Unsubscribe(r.Topic, func(_ bool, err error) { done(err) })
	case session.AskAck:
		s.Ack(r.ID)
	case session.AskReceived:
		done := l.done(r)
		s.Received(r.ID, func(attached bool) {
			if attached {
				done(nil)
			} else {
				done(core.ErrDetached)
			}
		})
	case session.AskSetWill:
		s.SetWill(will(r.Will), l.done(r))
	case session.AskSave:
		s.SaveEdge(r.State, l.done(r))
	case session.AskDetach:
		s.Detach(ending[r.Ending], l.done(r))
	}
}

var ending = [...]core.Ending{
	session.Clean:    core.Clean,
	session.Lost:     core.Lost,
	session.Shutdown: core.Shutdown,
}

// done answers r.
func (l *link) done(r *session.Request) func(error) {
	kind, tag := r.Kind, r.Tag
	return func(err error) {
		l.seat.Answer(session.Answer{Kind: kind, Tag: tag, Result: result(err)})
	}
}
