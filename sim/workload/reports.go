package workload

import (
	"time"

	"dormouse/mqttsn/clock"
)

// late is how late something may be made that was due: a fleet that is behind
// for a moment catches up, a device that was away for an hour does not.
const late = time.Second

// reports is when reports are due, by the device's own clock.
func (c *Config) reports(s *State, i *Ills) grid {
	r := &c.Reports
	every, jitter := r.Every, r.Jitter
	if i.Cries(s) {
		every = max(time.Duration(float64(every)/i.CryingRate), 1)
		jitter = time.Duration(float64(jitter) / i.CryingRate)
	}
	g := grid{every: every, early: jitter, late: jitter, curve: r.Curve, noon: s.timeOfDay(), state: s, purpose: forJitter}
	if !r.Aligned {
		g.offset = time.Duration(s.draw(forOffset, 0) * float64(every))
	}
	return g
}

func (s *State) timeOfDay() time.Duration { return time.Duration(s.noon) * time.Millisecond }

// Report returns when the next report is due: the first moment that has not
// been Reported, which may be past. It is zero if there are none.
func (c *Config) Report(s *State, i *Ills) clock.Time {
	if c.Reports.Every <= 0 {
		return 0
	}
	g := c.reports(s, i)
	at := i.Instant(s, g.at(g.last(i.Local(s, s.reported))+1))
	if s.left > 0 {
		return min(at, s.burst)
	}
	return at
}

// Reported says that what Report returns was made, or skipped by the caller.
// Of what else is due by now, all that is more than a second late is skipped,
// and missed is how many those are. What is skipped that way begins no bursts,
// and neither does a report that falls into one.
func (c *Config) Reported(s *State, i *Ills, now clock.Time) (missed int) {
	if c.Reports.Every <= 0 {
		return 0
	}
	g := c.reports(s, i)
	k := g.last(i.Local(s, s.reported)) + 1
	at := i.Instant(s, g.at(k))
	b := &c.Reports.Bursts
	spacing := i.Lasts(s, b.Spacing)
	switch {
	case s.left > 0 && s.burst < at:
		s.left--
		s.burst += clock.Time(spacing)
	case s.left > 0:
		s.reported = at
		s.burst = max(s.burst, at+1) // two reports are not made at one moment
	default:
		s.reported = at
		if b.Share > 0 && s.draw(forBurst, k) < b.Share {
			s.left = uint32(b.Count)
			s.burst = at + clock.Time(spacing)
		}
	}
	// What is still not made by then is too late.
	by := now - clock.Time(late)
	if n := g.last(i.Local(s, by)) - g.last(i.Local(s, s.reported)); n > 0 {
		missed = int(n)
		s.reported = by
	}
	if s.left > 0 && s.burst <= by {
		n := min(uint32(by.Sub(s.burst)/max(spacing, 1))+1, s.left)
		s.left -= n
		s.burst += clock.Time(n) * clock.Time(spacing)
		missed += int(n)
	}
	return missed
}
