package sim

import (
	"errors"
	"fmt"

	"dormouse/mqttsn/clock"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// A darkness is an outage that an event brings: nothing of those it befalls is
// carried.
type darkness struct {
	event *Event
	index int
	until clock.Time
}

// befalls reports whether an event concerns a group.
func (e *Event) befalls(g *group) bool { return e.Group == "" || e.Group == g.plan.Name }

// chosen reports whether event index concerns device n of a group.
func (f *Fleet) chosen(e *Event, index int, g *group, n int) bool {
	return e.befalls(g) && (e.Share == 0 || workload.Chosen(e.Share, seed(f.plan.Seed, forEvent, uint64(index), uint64(g.index)), n, g.plan.Count))
}

// those yields the devices that an event concerns.
func (f *Fleet) those(e *Event, index int) func(yield func(i int32) bool) {
	return func(yield func(i int32) bool) {
		for _, g := range f.groups {
			for n := range g.count {
				if f.chosen(e, index, g, g.low+n) && !yield(g.first+int32(n)) {
					return
				}
			}
		}
	}
}

// befall carries out an event. Restart is the driver's.
func (f *Fleet) befall(index int, e *Event, now clock.Time) {
	switch e.Kind {
	case Outage:
		f.dark = append(f.dark, darkness{e, index, now.Add(e.For)})
	case Rebind:
		for i := range f.those(e, index) {
			f.rebind(i, now)
		}
	case Reuse:
		f.reuse(e, index, now)
	case Set:
		if err := f.Apply(now, e.Set); err != nil {
			panic(fmt.Sprintf("sim: event %d of the plan: %v", index, err)) // New has tried it
		}
	default:
		for i := range f.those(e, index) {
			f.strike(i, e, now)
		}
	}
}

// strike does to one device what an event does to each.
func (f *Fleet) strike(i int32, e *Event, now clock.Time) {
	d, _ := f.at(i)
	if d.client == nil {
		return
	}
	switch e.Kind {
	case Reboot:
		f.powerOff(i, now, now.Add(max(e.For, tick)))
	case WakeUp:
		d.poll = now
	case Stuck:
		f.retire(i, now)
	case Leave:
		d.set(leaving, true)
	}
	f.live(i, now)
}

// reuse gives devices each other's addresses: each has that of the next.
func (f *Fleet) reuse(e *Event, index int, now clock.Time) {
	for _, g := range f.groups {
		var all []int32
		for n := range g.count {
			if f.chosen(e, index, g, g.low+n) {
				all = append(all, g.first+int32(n))
			}
		}
		if len(all) < 2 {
			continue
		}
		spare := f.devices[all[0]].endpoint
		for k, i := range all {
			d := &f.devices[i]
			if k+1 < len(all) {
				d.endpoint = f.devices[all[k+1]].endpoint
			} else {
				d.endpoint = spare
			}
			f.ends.owner[d.endpoint] = i
			g.stats.Rebindings++
			g.book.Moved(g.dev(i), now)
		}
	}
}

// inTheDark reports whether an event keeps the radio of device i from carrying
// anything.
func (f *Fleet) inTheDark(i int32, now clock.Time) bool {
	if len(f.dark) == 0 {
		return false
	}
	kept := f.dark[:0]
	for _, d := range f.dark {
		if !d.until.Reached(f.now) {
			kept = append(kept, d)
		}
	}
	f.dark = kept
	_, g := f.at(i)
	for _, d := range f.dark {
		if now < d.until && f.chosen(d.event, d.index, g, g.member(i)) {
			return true
		}
	}
	return false
}

// rehearse finds out whether the plan's changes can be made.
func (f *Fleet) rehearse() error {
	var errs []error
	for i := range f.plan.Events {
		e := &f.plan.Events[i]
		if e.Kind != Set {
			continue
		}
		g := f.groupNamed(e.Set.Group.Name)
		if g == nil {
			errs = append(errs, fmt.Errorf("event %d: there is no group %q", i, e.Set.Group.Name))
		} else if _, err := f.try(g, e.Set.Group); err != nil {
			errs = append(errs, fmt.Errorf("event %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func (f *Fleet) groupNamed(name string) *group {
	for _, g := range f.groups {
		if g.plan.Name == name {
			return g
		}
	}
	return nil
}

// Apply puts another group in place of the one of that name, from now on. The
// error is what is wrong with it, or differs and may not; then nothing changes.
func (f *Fleet) Apply(now clock.Time, c *Change) error {
	g := f.groupNamed(c.Group.Name)
	if g == nil {
		return fmt.Errorf("there is no group %q", c.Group.Name)
	}
	f.now = max(f.now, now)
	return f.apply(g, c.Group, f.now)
}

// try makes of a changed group what comes of it, or says what is wrong.
func (f *Fleet) try(g *group, p *Group) (*group, error) {
	errs := append(g.differences(p), p.Validate()...)
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	sites, err := makeSites(f.plan, f.start)
	if err != nil {
		return nil, err
	}
	next := &group{plan: p, index: g.index}
	return next, next.tune(f.plan, sites, f.start)
}

func (f *Fleet) apply(g *group, p *Group, now clock.Time) error {
	next, err := f.try(g, p)
	if err != nil {
		return err
	}
	topic := g.workload.Commands.Topic
	if err := g.put(p); err != nil {
		return err
	}
	g.radio = next.radio
	g.work(p.Workload, now)
	f.switched(g, topic, now)
	f.appointCast(g)
	return nil
}

// differences is what of another group may not differ from this while it runs.
func (g *group) differences(p *Group) (errs []error) {
	old := g.plan
	require := func(same bool, key string) {
		if !same {
			errs = append(errs, &KeyError{Group: p.Name, Key: key, Err: fmt.Errorf("cannot be changed while the fleet runs")})
		}
	}
	require(p.Count == old.Count, "count")
	require(p.ClientID == old.ClientID, "client_id")
	require(p.Firmware == old.Firmware && p.Client.Quirks == old.Client.Quirks, "firmware")
	require(p.Site == old.Site, "site")
	require(p.Address == old.Address, "address")
	require((p.DTLS == nil) == (old.DTLS == nil), "transport")
	require(len(p.Topics) == len(old.Topics), "topics")
	require((p.Session.Will == nil) == (old.Session.Will == nil), "will")
	rebinding := func(n radio.NAT) bool { return n.Every > 0 || n.Idle > 0 }
	require(!rebinding(p.Radio.NAT) || g.pool.size > g.count || g.count == 0, "radio.nat")
	return errs
}
