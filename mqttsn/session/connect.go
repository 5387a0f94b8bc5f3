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
	s.clientID = clientID
	s.state = Connecting
	s.deadline = [numTimers]clock.Time{supervise: now.Add(s.cfg.DialogueTimeout)}
	s.promises, s.slot, s.repeats, s.newWill = nil, nil, nil, nil
	s.oweSleep, s.lastStep = false, 0
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

// opened makes the client active, with the topic ids and the will that its
// session has, or ends the matter. A refused AskOpen leaves nothing attached.
func (s *Session) opened(now clock.Time, a *Answer, r mqttsn.Reason, out *Actions) {
	if r != mqttsn.Accepted {
		s.attached = false
		s.refuse(r, out)
		return
	}
	o := s.opening
	s.opening = nil
	s.state = Active
	s.clean, s.keepAlive, s.will = o.clean, o.keepAlive, a.Will
	s.deadline = [numTimers]clock.Time{supervise: s.silence(now)}
	s.sleep = 0
	switch {
	case !a.Present || s.clean:
		s.topics = nil
	case !s.restore(a.State):
		s.topics = nil
		out.count(BadState)
	}
	s.dialect().connack(mqttsn.Accepted, out)
	if s.sleep != 0 { // as stored: from now on it is active
		s.sleep = 0
		s.unsaved = true
	}
	if s.unsaved {
		s.save(s.nextTag(), out)
	}
}

// refuse ends an opening, and what it was to replace.
func (s *Session) refuse(r mqttsn.Reason, out *Actions) {
	s.dialect().connack(r, out)
	s.detach(Lost, out)
	s.over(OpenRefused, out)
}
