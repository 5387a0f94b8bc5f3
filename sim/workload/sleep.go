package workload

import (
	"time"

	"dormouse/mqttsn/clock"
)

// Interval is the time between two PINGREQ: Poll, or three quarters of For if
// that is not set.
func (s Sleep) Interval() time.Duration {
	if s.Poll == 0 {
		return s.For * 3 / 4
	}
	return s.Poll
}

// Poll returns when a device that went to sleep at now wakes, by its own
// clock, to ask what there is for it. It is after now, and zero if the device
// does not sleep.
func (c *Config) Poll(s *State, i *Ills, now clock.Time) clock.Time {
	p := &c.Sleep
	every := p.Interval()
	if p.Policy != Sleeping || every <= 0 {
		return 0
	}
	if p.Aligned {
		g := grid{every: every, early: p.Jitter, state: s, purpose: forPoll}
		return i.Instant(s, g.at(g.last(i.Local(s, now))+1))
	}
	early := time.Duration(s.draw(forPoll, int64(now)) * float64(p.Jitter))
	return now + clock.Time(max(i.Lasts(s, every-early), 1))
}
