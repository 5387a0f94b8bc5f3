// Package view shows a run of the simulator to a person while it goes on: as a
// screen that is kept up to date, or as lines where there is no terminal.
package view

import (
	"fmt"
	"io"
	"time"

	"dormouse/sim"
)

// About is what is known of a run before it starts.
type About struct {
	Plan    *sim.Plan
	Target  string // where the gateway is, in words
	Virtual bool
}

// whole is how long the run takes, by its own time.
func (a *About) whole() time.Duration { return a.Plan.Duration() + a.Plan.Settle }

// devices says how many there are.
func (a *About) devices() string {
	n := 0
	for _, g := range a.Plan.Groups {
		n += g.Count
	}
	if n == 1 {
		return "1 device"
	}
	return count(uint64(n)) + " devices"
}

// A View shows samples. It is for one goroutine.
type View interface {
	// Show shows where the run stands at now. It keeps s, which does not change
	// any more.
	Show(s *sim.Stats, now time.Time)

	// Close leaves the terminal as it was.
	Close() error
}

var (
	_ View = (*Lines)(nil)
	_ View = (*Screen)(nil)
)

// Lines is a View of plain lines: one now and then, and one for each invariant
// that is broken.
type Lines struct {
	out   io.Writer
	about *About
	pace  pace
	told  int // violations
	shown *sim.Stats
}

// A pace says when the next line is due: by the clock, or in a run that has
// its own by the progress made.
type pace struct {
	virtual bool
	next    time.Time
	parts   int // of the run that have a line
}

const (
	lineEach = 5 * time.Second
	allParts = 20
)

// NewLines returns a View that writes to out.
func NewLines(out io.Writer, a *About) *Lines {
	l := &Lines{out: out, about: a, pace: pace{virtual: a.Virtual}}
	fmt.Fprintf(out, "%s: %s, %s, seed %d, %s\n",
		a.Plan.Name, a.devices(), span(a.whole()), a.Plan.Seed, a.Target)
	return l
}

// Show writes a line if one is due.
func (l *Lines) Show(s *sim.Stats, now time.Time) {
	for ; l.told < len(s.Violations); l.told++ {
		fmt.Fprintln(l.out, broken(&s.Violations[l.told]))
	}
	if !l.pace.due(progress(s, l.about), now) {
		return
	}
	fmt.Fprintln(l.out, line(s, l.shown, l.about))
	l.shown = s
}

// Close does nothing: what was written stays.
func (l *Lines) Close() error { return nil }

func (p *pace) due(done float64, now time.Time) bool {
	if p.virtual {
		parts := 1 + int(done*allParts)
		due := parts > p.parts
		p.parts = max(parts, p.parts)
		return due
	}
	if now.Before(p.next) {
		return false
	}
	p.next = now.Add(lineEach)
	return true
}

// line is where a run stands, in one line. Rates are since the line before.
func line(s, before *sim.Stats, a *About) string {
	f := sum(s)
	text := fmt.Sprintf("%3.0f %%  %s  %s", 100*progress(s, a), span(s.At), s.Stage)
	for _, st := range shownStates {
		if n := f.states[st.state]; n > 0 {
			text += fmt.Sprintf("  %s %s", count(uint64(n)), st.name)
		}
	}
	u, d := &f.ledger.Uplink, &f.ledger.Downlink
	text += fmt.Sprintf("  reports %s sent %s received", count(u.Sent), count(u.Received))
	if d.Published > 0 {
		text += fmt.Sprintf("  commands %s sent %s delivered", count(d.Published), count(d.Delivered))
	}
	if before != nil {
		r := since(s, before)
		text += fmt.Sprintf("  up %s down %s", rate(r.up), rate(r.down))
	}
	if p, ok := quantiles(s, sim.ToAck); ok {
		text += fmt.Sprintf("  ack p50 %s p99 %s", short(p.p50), short(p.p99))
	}
	if s.Shed > 0 {
		text += fmt.Sprintf("  %s shed by this machine", count(s.Shed))
	}
	if s.Broken > 0 {
		text += fmt.Sprintf("  %s BROKEN", count(s.Broken))
	}
	return text
}
