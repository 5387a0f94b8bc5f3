package workload

import (
	"time"

	"dormouse/mqttsn/clock"
)

// commands is when commands are due, since the start. A broadcast comes at
// whole multiples of Every, like all that many do at once.
func (c *Config) commands(s *State) grid {
	m := &c.Commands
	g := grid{every: m.Every, early: m.Jitter, late: m.Jitter, state: s, purpose: forCommandJitter}
	if !m.Broadcast {
		g.offset = time.Duration(s.draw(forCommandOffset, 0) * float64(m.Every))
	}
	return g
}

// Command returns when the next command to the device is due: the first moment
// that has not been Commanded, which may be past. It is zero if there are no
// more. stage is when the stage began. Commands are sent by the clock of who
// sends them, which is right.
//
// For broadcasts keep one State for the group.
func (c *Config) Command(s *State, stage clock.Time) (next clock.Time) {
	if c.Commands.Every > 0 {
		g := c.commands(s)
		next = s.start + clock.Time(g.at(g.last(s.commanded.Sub(s.start))+1))
	}
	for _, d := range c.Commands.At {
		if at := stage + clock.Time(d); at > s.commanded {
			next = clock.Sooner(next, at)
		}
	}
	return next
}

// Commanded says that what Command returns was sent, or skipped by the caller.
// Of what else is due by now, all that is more than a second late is skipped,
// and missed is how many those are.
func (c *Config) Commanded(s *State, stage, now clock.Time) (missed int) {
	next := c.Command(s, stage)
	if next == 0 {
		return 0
	}
	s.commanded = next
	by := now - clock.Time(late)
	if by <= next {
		return 0
	}
	if c.Commands.Every > 0 {
		g := c.commands(s)
		missed += int(g.last(by.Sub(s.start)) - g.last(next.Sub(s.start)))
	}
	for _, d := range c.Commands.At {
		if at := stage + clock.Time(d); next < at && at <= by && !c.regular(s, at) {
			missed++
		}
	}
	s.commanded = by
	return missed
}

// regular reports whether a command is due at a moment even if At does not say so.
func (c *Config) regular(s *State, at clock.Time) bool {
	if c.Commands.Every <= 0 {
		return false
	}
	g, since := c.commands(s), at.Sub(s.start)
	return g.at(g.last(since)) == since
}
