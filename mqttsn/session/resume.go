package session

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// Resume returns the session of a client that had a virtual connection when the
// gateway stopped, as AskSave last stored it, time ago by the wall clock: to
// the client nothing has happened. False means that nothing can be made of
// what is stored, and the client has to connect.
//
// Nothing is stored when a client wakes and sleeps again, and while the gateway
// was away nobody heard it. So the client has from now on at least as long as
// it may be silent in good order: all of its keep alive and half as much, and
// all of its sleep and what 1.2 §7.2 allows a clock to be late. At most it has
// what it would have if it had just been heard, wherever the wall clock was
// set meanwhile: a client that is gone is lost in any case.
func Resume(v mqttsn.Version, cfg *Config, now clock.Time, k Kept, ago time.Duration) (*Session, bool) {
	s := New(v, cfg)
	s.clientID = k.ClientID
	was, ok := s.read(k.State)
	if !ok || was.state == Disconnected {
		return nil, false
	}
	s.state, s.keepAlive, s.sleep, s.topics = was.state, was.keepAlive, was.sleep, was.topics
	s.will = k.Will
	s.attached = true
	if s.state == Active {
		s.supervised = s.silence(now)
		return s, true
	}
	left := was.left - min(max(ago, 0), was.left)
	s.supervised = now.Add(min(max(left, sleepLate(s.sleep)), sleepGrace(s.sleep)))
	return s, true
}

// sleepLate is for how long a client that sleeps for d may be silent in good
// order: a tenth longer, as 1.2 §7.2 has it, but up to a minute half as long again.
func sleepLate(d time.Duration) time.Duration {
	return min(sleepGrace(d), max(d*11/10, d+30*time.Second))
}
