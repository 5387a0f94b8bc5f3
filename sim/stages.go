package sim

import (
	"cmp"
	"math"
	"slices"
	"time"

	"dormouse/mqttsn/clock"
)

// An appointment is what the plan brings at a time.
type appointment struct {
	at   clock.Time
	keep func(f *Fleet, now clock.Time)
}

// schedule puts the stages and events of the plan on the agenda.
func (f *Fleet) schedule() {
	f.stage = -1
	var since time.Duration
	for i := range f.plan.Stages {
		f.agenda = append(f.agenda, appointment{f.start.Add(since), func(f *Fleet, now clock.Time) { f.begin(i, now) }})
		since += f.plan.Stages[i].For
	}
	f.agenda = append(f.agenda, appointment{f.start.Add(since), func(f *Fleet, now clock.Time) { f.begin(len(f.plan.Stages), now) }})
	for i := range f.plan.Events {
		e := &f.plan.Events[i]
		f.agenda = append(f.agenda, appointment{f.start.Add(e.At), func(f *Fleet, now clock.Time) { f.befall(i, e, now) }})
	}
	slices.SortStableFunc(f.agenda, func(a, b appointment) int { return cmp.Compare(a.at, b.at) })
}

// meet puts something on the agenda that comes up in between.
func (f *Fleet) meet(at clock.Time, keep func(f *Fleet, now clock.Time)) {
	i, _ := slices.BinarySearchFunc(f.agenda, at, func(a appointment, t clock.Time) int {
		if a.at <= t { // behind those of the same time
			return -1
		}
		return 1
	})
	f.agenda = slices.Insert(f.agenda, i, appointment{at, keep})
}

// begin begins a stage, or settling, which comes after the last.
func (f *Fleet) begin(stage int, now clock.Time) {
	f.stage = stage
	if f.settling() {
		for i := range f.devices {
			f.devices[i].reboot = 0
			f.live(int32(i), now) // what is due now, too, would be forgotten
		}
		return
	}
	for _, g := range f.groups {
		w, ok := f.plan.Stages[stage].Workloads[g.plan.Name]
		if ok {
			before := g.workload
			g.work(w, now)
			f.switched(g, before.Commands.Topic, now)
		}
		if ok || stage == 0 {
			f.appointCast(g)
		}
	}
}

// switched tells the devices of a group that another workload is in force.
func (f *Fleet) switched(g *group, topic string, now clock.Time) {
	elsewhere := g.workload.Commands.Topic != topic
	g.crowd.Switch(now)
	for n := range g.count {
		i := g.first + int32(n)
		d := &f.devices[i]
		f.spend(d, g, now)
		d.work.Switch(now)
		if elsewhere {
			d.set(subscribed, false)
			d.set(outdated, d.client != nil && d.client.Busy())
			g.book.Unsubscribed(int32(n), now)
		}
		f.live(i, now)
	}
}

// appointCast notes when a group is next told something.
func (f *Fleet) appointCast(g *group) {
	turn := g.turn
	if at := f.nextCast(g); at != 0 {
		f.meet(at, func(f *Fleet, now clock.Time) {
			if g.turn != turn {
				return // another workload has appointments of its own
			}
			f.broadcasts(g, now)
			f.appointCast(g)
		})
	}
}

// settling reports whether all stages are over: nothing new is done.
func (f *Fleet) settling() bool { return f.stage >= len(f.plan.Stages) }

// Stage names the stage that now is in. What comes after the last is "settle".
func (f *Fleet) Stage(now clock.Time) string {
	since := f.elapsed(now)
	for i := range f.plan.Stages {
		s := &f.plan.Stages[i]
		if since -= s.For; since < 0 {
			return s.Name
		}
	}
	return "settle"
}

// arrival is when device n of a group is switched on for the first time.
func (f *Fleet) arrival(g *group, n int) clock.Time {
	at := f.start
	for i := range f.plan.Stages {
		s := &f.plan.Stages[i]
		if r, ok := s.Arrive[g.plan.Name]; ok {
			return at.Add(r.of(n, g.plan.Count))
		}
		at = at.Add(s.For)
	}
	return f.start
}

// of is when, in a ramp, the turn of n of count comes.
func (r Ramp) of(n, count int) time.Duration {
	x := (float64(n) + 0.5) / float64(count)
	if r.Spread == Normal {
		// Three standard deviations to either side; who is outside comes at the end.
		x = 0.5 + math.Sqrt2*math.Erfinv(2*x-1)/6
		x = min(max(x, 0), 1)
	}
	return time.Duration(x * float64(r.Over))
}
