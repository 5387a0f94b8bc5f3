package session

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// An opening is a CONNECT on its way to a virtual connection. While there is
// one, the connection that may have been there before is out of use, but the
// broker still holds it: an opening that comes to nothing loses it.
type opening struct {
	clean     bool
	keepWill  bool
	dialogue  bool // the client was asked for its will
	asked     bool // the broker has had AskOpen: its answer is awaited
	keepAlive time.Duration
	will      *Will
}

// connect begins an opening, whatever state the client was in, rules 15 and
// 76. What the old connection had under way is forgotten; the broker hands
// out again what was not acknowledged.
func (s *Session) connect(now clock.Time, clientID string, o *opening) {
	if s.clientID != clientID {
		s.clientID = clientID // once: others read it when they look for its session
	}
	s.state = Connecting
	s.supervised = now.Add(s.cfg.DialogueTimeout)
	s.work.clear()
	s.oweSleep, s.leaving, s.lastStep = false, false, 0
	s.opening = o
}

// open asks the broker to attach the client. CONNACK waits for the answer.
func (s *Session) open(now clock.Time, out *Actions) {
	o := s.opening
	o.asked = true
	s.attached = true
	s.unsaved = false // of the old connection: the answer tells what is stored
	s.promise(now, promise{says: mqttsn.TypeConnack}, Request{
		Kind:         AskOpen,
		CleanSession: o.clean,
		KeepWill:     o.keepWill,
		Will:         o.will,
	}, out)
}

// opened takes in the topic ids and the will that the client's session has, or
// ends the matter. A refused AskOpen leaves nothing attached. If the session is
// kept, CONNACK waits once more: what is stored must be that the client is
// active, and where.
func (s *Session) opened(now clock.Time, a *Answer, r mqttsn.Reason, out *Actions) {
	if r != mqttsn.Accepted {
		s.attached = false
		s.refuse(r, out)
		return
	}
	o := s.opening
	s.clean, s.keepAlive, s.will = o.clean, o.keepAlive, a.Will
	s.sleep = 0
	switch {
	case !a.Present || s.clean:
		s.topics = nil
	case !s.restore(a.State):
		s.topics = nil
		out.count(BadState)
	}
	if s.clean {
		s.admit(now, r, out)
		return
	}
	s.unsaved = true
	s.promise(now, promise{says: mqttsn.TypeConnack}, Request{}, out)
}

// admit makes the client active, now that this is stored, or ends the matter.
func (s *Session) admit(now clock.Time, r mqttsn.Reason, out *Actions) {
	if r != mqttsn.Accepted {
		s.refuse(r, out)
		return
	}
	s.opening = nil
	s.state = Active
	s.supervised, s.retry, s.hold = s.silence(now), 0, 0
	s.dialect().connack(mqttsn.Accepted, out)
}

// abort ends an opening of which the broker can say nothing. The client, which
// hears nothing, asks again.
func (s *Session) abort(out *Actions) {
	s.detach(Lost, out)
	s.over(OpenRefused, out)
}

// refuse ends an opening, and what it was to replace.
func (s *Session) refuse(r mqttsn.Reason, out *Actions) {
	s.dialect().connack(r, out)
	s.detach(Lost, out)
	s.over(OpenRefused, out)
}
