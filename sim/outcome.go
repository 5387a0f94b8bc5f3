package sim

import (
	"errors"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
	"dormouse/sim/workload"
)

// carryOut does what the client of device i asks for.
func (f *Fleet) carryOut(i int32, now clock.Time) {
	d, g := f.at(i)
	for b, s := range f.acts.Sent {
		f.send(i, now, b, s)
	}
	for k := range f.acts.Messages {
		f.hear(i, now, &f.acts.Messages[k])
	}
	g.stats.Down.Resent += uint64(f.acts.Repeats)
	ended, gone := f.acts.Ended, f.acts.Gone
	f.acts.Reset()
	f.unanswered(i, ended.Err)
	f.unanswered(i, gone)
	f.ended(i, now, ended)
	if gone != nil && !d.is(napping) {
		g.stats.Lost++
		f.retreat(i, now, gone)
	}
}

// ended takes how a request went.
func (f *Fleet) ended(i int32, now clock.Time, o client.Outcome) {
	d, g := f.at(i)
	f.congested(d, g, now, o.Err)
	inVain := d.is(outdated)
	if o.Request != 0 {
		d.set(outdated, false)
	}
	switch o.Request {
	case client.ToConnect:
		f.connected(i, now, o.Err)
	case client.ToPublish:
		f.published(i, now, o.Err)
	case client.ToSubscribe:
		if inVain {
			break
		}
		if o.Err == nil || refused(o.Err) && d.hold <= now { // what is refused for good is not asked for again
			d.set(subscribed, true)
			f.list(d, g, now)
		} else if errors.Is(o.Err, client.ErrNoAnswer) {
			d.hold = now.Add(g.client.RetryInterval)
		}
	case client.ToSleep:
		d.set(napping, d.client.State() == client.Disconnected)
		d.poll = g.workload.Poll(&d.work, &g.plan.Ills, now)
	case client.ToWake:
		if o.Err == nil {
			f.measure(g, ToDrain, d.asked, now)
			d.failures = 0
		}
		if d.client.State() == client.Asleep {
			d.poll = g.workload.Poll(&d.work, &g.plan.Ills, now)
		}
	case client.ToDisconnect:
		f.retire(i, now)
	}
}

func (f *Fleet) connected(i int32, now clock.Time, err error) {
	d, g := f.at(i)
	switch {
	case err == nil:
		if d.is(durable) || !g.keeps() {
			g.stats.Connects++
			f.measure(g, ToConnect, d.asked, now)
		}
		d.failures = 0
		d.hold = 0
		d.set(estranged, false)
		if d.is(napping) {
			d.linger = now.Add(max(nap, g.workload.Sleep.Linger))
		}
		d.set(passing, !d.is(known) && !g.plan.Session.CleanSession && g.command != nil)
		d.set(known, true)
		d.set(napping, false)
		return
	case refused(err):
		g.stats.Refused++
	}
	f.retreat(i, now, err)
}

func (f *Fleet) published(i int32, now clock.Time, err error) {
	d, g := f.at(i)
	if !d.is(speaking) {
		return
	}
	d.set(speaking, false)
	switch dev := g.dev(i); {
	case err == nil:
		g.book.Acknowledged(dev, d.report, now)
		if g.workload.Reports.QoS > 0 {
			f.measure(g, ToAck, d.said, now)
		}
	case errors.Is(err, client.ErrNoAnswer), errors.Is(err, client.ErrDisconnected), errors.Is(err, client.ErrAbandoned):
		g.book.TimedOut(dev, d.report, now)
	default:
		g.book.Refused(dev, d.report, now)
	}
	if d.waiting > 0 {
		return
	}
	d.linger = now.Add(g.workload.Sleep.Linger)
	if d.client.State() == client.Asleep && g.workload.Sleep.Policy == workload.Sleeping {
		d.poll = now // while it is awake anyway
	}
}

// congested has a device leave the gateway alone for T_WAIT.
func (f *Fleet) congested(d *device, g *group, now clock.Time, err error) {
	if err == nil {
		return
	}
	var r *client.RefusedError
	if errors.Is(err, client.ErrCongested) || errors.As(err, &r) && r.Reason == mqttsn.Congestion {
		d.hold = max(d.hold, now.Add(max(g.client.Wait, tick)))
	}
}

func refused(err error) bool {
	var r *client.RefusedError
	return errors.As(err, &r)
}

// retreat has a device that lost its connection, or got none, wait before it
// tries again.
func (f *Fleet) retreat(i int32, now clock.Time, why error) {
	d, _ := f.at(i)
	d.set(subscribed|napping, false)
	f.wait(i, now, why)
}

// wait has a device that has failed try nothing for a while, the longer the more
// often it has.
func (f *Fleet) wait(i int32, now clock.Time, why error) {
	d, g := f.at(i)
	d.failures = min(d.failures, 250) + 1
	luck := unit(seed(g.seed, forBackoff, uint64(g.member(i)), uint64(f.elapsed(now))))
	d.hold = max(d.hold, now.Add(backoff.After(why, int(d.failures), luck)))
	if d.client.State() == client.Asleep {
		d.poll = max(d.poll, d.hold)
	}
}

var backoff = client.DefaultBackoff()

// hear takes a message that the client of device i yields: a command, or what
// is no business of this run.
func (f *Fleet) hear(i int32, now clock.Time, m *client.Message) {
	d, g := f.at(i)
	tag, ok := payload.Parse(m.Payload)
	if !ok || tag.Stream != payload.Command && tag.Stream != payload.Broadcast {
		return
	}
	if tag.Stream == payload.Broadcast {
		f.castUpTo(g, tag, now)
	}
	g.book.Delivered(g.dev(i), tag, now)
	owner, ours := g.device(tag.Device)
	switch {
	case tag.Stream == payload.Command && ours && owner == i && tag.Sequence == d.command:
		f.measure(g, ToDevice, d.told, now)
		d.command = 0 // a copy is no news
	case tag.Stream == payload.Broadcast && tag.Device == uint32(g.index) && tag.Sequence == g.cast.accepted && d.command != tag.Sequence:
		f.measure(g, ToDevice, g.cast.told, now)
		d.command = tag.Sequence
	}
}
