package bridge

import (
	"errors"
	"slices"
	"sync"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// A link is one sensor's attachment.
type link struct {
	seat session.Seat

	mu       sync.Mutex
	answered bool                  // core has
	session  *core.Session         // nil until then, and if core refused
	early    []func(*core.Session) // asked for before then
}

// opened takes in core's answer: s is nil if there is no attachment. What was
// asked for meanwhile is done now, but not on core's own stack.
func (l *link) opened(s *core.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered, l.session = true, s
	if s != nil && len(l.early) > 0 {
		go func(early []func(*core.Session)) {
			for _, do := range early {
				do(s)
			}
		}(l.early)
	}
	l.early = nil
}

// Next takes the next message for the sensor.
func (l *link) Next() (session.Delivery, bool) {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	if s == nil {
		return session.Delivery{}, false
	}
	d, ok := s.Next()
	if !ok {
		return session.Delivery{}, false
	}
	to := session.Delivery{
		ID:       d.ID,
		QoS:      mqttsn.QoS(d.QoS),
		Retain:   d.Retain,
		DUP:      d.DUP,
		Released: d.Released,
	}
	if d.Message != nil {
		to.Topic, to.Payload = d.Topic, d.Payload
	}
	return to, true
}

// Ask carries out r, as soon as the session is open.
func (l *link) Ask(r *session.Request) {
	l.mu.Lock()
	s := l.session
	if !l.answered {
		kept := *r
		kept.Payload, kept.State = slices.Clone(r.Payload), slices.Clone(r.State)
		l.early = append(l.early, func(s *core.Session) { l.ask(s, &kept) })
	}
	l.mu.Unlock()
	if s != nil {
		l.ask(s, r)
	}
}

func (l *link) ask(s *core.Session, r *session.Request) {
	switch r.Kind {
	case session.AskPublish:
		s.Publish(message(r), r.ID, l.publishedTo(r))
	case session.AskRelease:
		s.Release(r.ID, l.done(r))
	case session.AskSubscribe:
		tag := r.Tag
		s.Subscribe(core.Subscription{Filter: r.Topic, QoS: core.QoS(r.QoS)}, func(granted core.QoS, err error) {
			l.seat.Answer(session.Answer{Kind: session.AskSubscribe, Tag: tag, Result: result(err), QoS: mqttsn.QoS(granted)})
		})
	case session.AskUnsubscribe:
		done := l.done(r)
		s.Unsubscribe(r.Topic, func(_ bool, err error) { done(err) })
	case session.AskAck:
		s.Ack(r.ID)
	case session.AskReceived:
		s.Received(r.ID)
	case session.AskSetWill:
		s.SetWill(will(r.Will), l.done(r))
	case session.AskSave:
		s.SaveEdge(r.State, l.done(r))
	case session.AskDetach:
		s.Detach(ending(r.Ending), l.done(r))
	}
}

// publishedTo answers a publish, which nobody waits for at QoS 0.
func (l *link) publishedTo(r *session.Request) func(error) {
	if r.QoS == 0 {
		return func(error) {}
	}
	return l.done(r)
}

// done answers r.
func (l *link) done(r *session.Request) func(error) {
	kind, tag := r.Kind, r.Tag
	return func(err error) {
		l.seat.Answer(session.Answer{Kind: kind, Tag: tag, Result: result(err)})
	}
}

func ending(e session.Ending) core.Ending {
	return [...]core.Ending{
		session.Clean:    core.Clean,
		session.Lost:     core.Lost,
		session.Shutdown: core.Shutdown,
	}[e]
}

// result says in the port's words what core answered. What is not the
// request's own fault may work later.
func result(err error) session.Result {
	switch {
	case err == nil:
		return session.Done
	case errors.Is(err, core.ErrNotAuthorized):
		return session.NotAuthorized
	case errors.Is(err, core.ErrInvalidTopic), errors.Is(err, core.ErrUnsupported):
		return session.Refused
	}
	return session.Busy
}
