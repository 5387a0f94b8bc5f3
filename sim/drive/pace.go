package drive

import (
	"context"
	"time"

	"dormouse/mqttsn/clock"
)

// A pace keeps virtual time from running away, and does what the user wants in
// between.
type pace struct {
	v       *virtual
	epoch   time.Time // of the wall clock, when virtual time was at Start
	timer   *time.Timer
	moments int

	paused  bool
	since   time.Time // paused
	changed bool      // by the user: what is next may be another
}

// glance is how many moments pass before the user is asked again, who may also
// end the run at any: to ask costs as much as a short moment.
const glance = 32

// always is a time that has come.
var always = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// until returns when virtual time may be next, or why it never will.
func (p *pace) until(ctx context.Context, next clock.Time) error {
	p.changed = false
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if p.v.o.Speed <= 0 {
		if p.moments++; p.moments%glance != 0 {
			return nil
		}
		return p.serve(ctx, always)
	}
	wall := p.epoch.Add(time.Duration(float64(next.Sub(Start)) / p.v.o.Speed))
	if p.timer == nil {
		p.timer = time.NewTimer(time.Until(wall))
	} else {
		p.timer.Reset(time.Until(wall))
	}
	defer p.timer.Stop()
	return p.serve(ctx, p.timer.C)
}

// serve does what the user asks until then.
func (p *pace) serve(ctx context.Context, then <-chan time.Time) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		on := then
		if p.paused {
			on = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-p.v.o.Changes:
			p.changed = true
			r.Done <- p.v.fleet.Apply(p.v.now, r.Change)
		case pause := <-p.v.o.Pause:
			p.pause(pause)
		case <-on:
			return nil
		}
	}
}

func (p *pace) pause(pause bool) {
	if pause && !p.paused {
		p.since = time.Now()
	}
	if p.paused && !pause {
		p.epoch = p.epoch.Add(time.Since(p.since))
	}
	p.paused = pause
}
