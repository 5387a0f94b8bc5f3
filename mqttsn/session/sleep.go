package session

import (
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// sleepGrace is how long a client that asked to sleep for d may be silent:
// half as long again, and 10 s at least, 1.2 §7.2.
func sleepGrace(d time.Duration) time.Duration { return max(d*3/2, d+10*time.Second) }

// sleepFor puts the client to sleep, rules 69 and 77: keep alive supervision
// stops and nothing is sent until it wakes, except the acknowledgement, which
// waits until everything that was promised before has been said and the sleep
// is stored. To ask again, or for another duration, is fine.
func (s *Session) sleepFor(now clock.Time, d time.Duration, out *Actions) {
	d = min(d, s.cfg.MaxSleep)
	answer := promise{says: mqttsn.TypeDisconnect, sum: uint32(d / time.Second)}
	if s.expected(answer.says, 0, answer.sum, out) {
		return
	}
	if s.sleep != d {
		s.sleep = d
		s.unsaved = true
	}
	s.fallAsleep(now)
	s.oweSleep = true
	if s.unsaved && !s.clean {
		s.promise(now, answer, Request{}, out)
	}
}

// fallAsleep moves the client to Asleep. The message in the slot stays for the
// next wake.
func (s *Session) fallAsleep(now clock.Time) {
	s.state = Asleep
	s.supervised = now.Add(sleepGrace(s.sleep))
	s.retry = 0
}

// wake begins a flush, rule 71: the message that was under way when the client
// fell asleep goes first. The sleep timer rests; what is outstanding is
// supervised by its own. A client that asks while it is awake may have missed
// what it waits for, but gets it no faster for asking often, rule 74.
func (s *Session) wake(now clock.Time, out *Actions) {
	if s.state == Awake {
		s.nudge(now, out)
		return
	}
	s.state = Awake
	s.supervised = 0
	s.drained, s.oweSleep = false, false
	if s.busy() && s.hold == 0 {
		s.resume(now, out)
	}
}

// Drained says that Link.Next had nothing for a session that was Ready: an
// awake client may be sent back to sleep.
func (s *Session) Drained(now clock.Time, out *Actions) {
	s.rouse(out)
	defer s.calm(out)
	s.drained = true
	s.rest(now, out)
}

// rest lets the client close its radio when there is nothing left to say to
// it: no promise is open, and what it asked for is done. It acknowledges the
// request to sleep, or ends the flush by the one PINGRESP (rule 73).
func (s *Session) rest(now clock.Time, out *Actions) {
	if len(s.promises) > 0 {
		return
	}
	switch {
	case s.state == Asleep && s.oweSleep:
		s.oweSleep = false
		s.dialect().slept(out)
	case s.state == Awake && (s.drained && !s.busy() || s.hold != 0):
		s.dialect().flushed(out)
		s.fallAsleep(now)
		if s.unsaved {
			s.save(now, s.nextTag(), 0, out) // nobody waits for it
		}
	default:
		return
	}
	s.trim()
}

// abandon ends the flush of a client that stopped acknowledging, rule 67: it is
// asleep, one may suppose, and what it has not heard it will ask for again.
func (s *Session) abandon(now clock.Time) {
	for i := range s.promises {
		s.promises[i].mute = true
	}
	s.fallAsleep(now)
	s.trim()
}

// trim lets go of the memory that a sleeper does not need.
func (s *Session) trim() {
	s.repeats = nil
	if s.busy() && len(s.promises) == 0 {
		s.promises = nil
	}
	if cap(s.topics) > len(s.topics)*5/4 {
		s.topics = slices.Clone(s.topics)
	}
}
