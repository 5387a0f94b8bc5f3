package sim

import (
	"errors"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/energy"
	"dormouse/sim/radio"
)

// What is charged when. The meter of a device is told of all its time: that it
// slept, and when it is awake that it waited for the answer to what it sent
// last, or just listened. Sending, receiving and waking take time of their own;
// what happens meanwhile happens after it, see ready. Without power no time
// passes for the meter.
//
// How long a datagram is on the air is said by the plan's links, if they state
// a rate or a preamble: then the hardware says what it costs and the links when
// it arrives. If they do not, the hardware says both, and the latency of the
// links is added to that.

// ready is when a device can do something that it is to do at now: when it is
// done with what it does.
func (f *Fleet) ready(d *device, now clock.Time) clock.Time {
	if f.groups[d.group].energy == nil {
		return now
	}
	return max(now, d.born.Add(d.meter.Elapsed()))
}

// spend charges a device for the time until now.
func (f *Fleet) spend(d *device, g *group, now clock.Time) {
	if g.energy == nil || d.client == nil {
		return
	}
	gap := now.Sub(d.born) - d.meter.Elapsed()
	switch {
	case gap <= 0:
	case !d.is(awake):
		d.meter.Slept(g.energy, gap)
	case d.is(greeting):
		d.meter.Waited(g.energy, 0, gap, energy.InHandshake)
	default:
		t, again := d.client.Awaits()
		d.meter.Waited(g.energy, t, gap, how(again))
	}
}

func how(again bool) energy.How {
	if again {
		return energy.Again
	}
	return energy.First
}

// rouse has a device wake up, if it does not run.
func (f *Fleet) rouse(d *device, g *group, now clock.Time) {
	if d.is(awake) {
		return
	}
	d.set(awake, true)
	if g.energy != nil {
		d.meter.Woke(g.energy)
	}
}

// chargeUp charges a device for a datagram. What the hardware cannot send
// becomes of it then.
func (f *Fleet) chargeUp(d *device, g *group, octets int, t mqttsn.Type, h energy.How, fate radio.Fate) radio.Fate {
	if g.energy == nil {
		return fate
	}
	if fate.Lost() {
		h |= energy.Lost
	}
	err := d.meter.Sent(g.energy, t, octets, h)
	switch {
	case errors.Is(err, energy.ErrDutyCycle):
		return radio.Fate{Outcome: radio.DutyCycle}
	case err != nil:
		return radio.Fate{Outcome: radio.MTU}
	}
	return fate
}

// chargeDown charges a device for a datagram that it has heard.
func (f *Fleet) chargeDown(d *device, g *group, t mqttsn.Type, octets int, h energy.How) {
	if g.energy != nil {
		// It has been found to be short enough when it was sent.
		_ = d.meter.Received(g.energy, t, octets, h)
	}
}

// crypt charges a device for sealing or opening a record.
func (f *Fleet) crypt(d *device, g *group) {
	if g.energy != nil && g.secured != nil {
		d.meter.Computed(g.energy, sealing, energy.First)
	}
}

// air is how long receiving so many octets takes, if the hardware says so. The
// error is that it cannot.
func (g *group) air(octets int) (time.Duration, error) {
	if g.energy == nil {
		return 0, nil
	}
	use, err := g.energy.Radio.Link.Down(octets)
	return use.Tx + use.Rx + use.Wait, err
}
