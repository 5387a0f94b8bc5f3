package sim

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim/energy"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// A device is one sensor: the client of its firmware, its radio, its battery,
// and what it has in mind. What follows from its number and its group is
// computed when needed.
type device struct {
	client *client.Client // nil: off
	radio  radio.State
	meter  energy.Meter
	work   workload.State

	born   clock.Time // when the meter began; what it has seen and what it has not been told of yet is since then
	hold   clock.Time // nothing is asked of the gateway before; off: when it is switched on, or zero
	linger clock.Time // it stays awake until then
	poll   clock.Time // Asleep: when it wakes
	reboot clock.Time

	asked  clock.Time  // when the request under way was made
	said   clock.Time  // when the last report was
	report payload.Tag // the last
	told   clock.Time  // when the broker took the last command over

	endpoint Endpoint
	era      uint32 // how often the gateway has accepted it: what was sent to where it had spoken before is not for it
	command  uint32 // sequence of that command
	group    uint16
	state    uint8 // as counted in States
	failures uint8 // in a row
	waiting  uint8 // reports
	stream   uint8 // of the next
	flags    flags
}

type flags uint16

const (
	awake      flags = 1 << iota // the processor runs, the radio may hear
	known                        // it has been connected in this run
	durable                      // the gateway keeps the session that it has, or asks for
	passing                      // its session is the clean one that begins a run, and would end with the connection
	subscribed                   // to what it is told
	outdated                     // what is under way may be to subscribe to what it is no longer told
	listed                       // it has been, and is sent what there is to tell
	speaking                     // a report is under way
	unheard                      // the subscriber has not got the last report yet
	napping                      // asleep with a client that thinks itself disconnected
	greeting                     // it is at a handshake
	estranged                    // it has another association than the one it connected by
	leaving                      // it is about to say goodbye
	retired                      // and it does not come back
)

// lasting is what outlives a reboot.
const lasting = known | listed | unheard | retired

func (d *device) is(f flags) bool { return d.flags&f != 0 }

func (d *device) set(f flags, on bool) {
	d.flags &^= f
	if on {
		d.flags |= f
	}
}

const (
	// maxWaiting is how many reports wait for a device that is busy or not
	// connected; what falls due beyond is skipped.
	maxWaiting = 4

	// minute is how long a device waits to do again what could not even be
	// begun.
	minute = time.Minute

	// nap is how long a firmware that cannot wake, but connects instead, hears
	// at least what the gateway has for it.
	nap = 2 * time.Second
)

// live does what is due for device i.
func (f *Fleet) live(i int32, now clock.Time) {
	d, g := f.at(i)
	f.tell(i, now)
	if d.client == nil && d.hold.Reached(now) {
		f.boot(i, now)
	}
	switch {
	case d.client == nil:
	case g.plan.Ills.Silent(&d.work).Reached(now):
		f.retire(i, now)
	case d.reboot.Reached(now):
		f.powerOff(i, now, now.Add(max(g.plan.Ills.RebootFor, tick)))
	default:
		f.spend(d, g, now)
		f.fallDue(d, g, now)
		if d.client.Deadline().Reached(now) {
			f.tick(i, now)
		}
		f.proceed(i, now)
	}
	f.settle(i, now)
}

func (f *Fleet) at(i int32) (*device, *group) {
	d := &f.devices[i]
	return d, f.groups[d.group]
}

// boot switches a device on.
func (f *Fleet) boot(i int32, now clock.Time) {
	d, g := f.at(i)
	d.client = client.New(mqttsn.V12, &g.client)
	d.born = now.Add(-d.meter.Elapsed())
	d.hold, d.linger, d.poll = 0, 0, 0
	d.failures, d.waiting = 0, 0
	d.flags &= lasting
	d.work.Switch(now)
	d.reboot = 0
	if f.stage < len(f.plan.Stages) {
		d.reboot = g.plan.Ills.Reboot(&d.work, now)
	}
}

// powerOff takes the power from a device until then, zero for good: all that
// its client knew is lost.
func (f *Fleet) powerOff(i int32, now, until clock.Time) {
	d, g := f.at(i)
	if d.client == nil {
		return
	}
	f.spend(d, g, now)
	f.forget(i)
	d.client, d.hold = nil, until
	d.flags &= lasting
	g.book.Rebooted(g.dev(i), now)
	if until != 0 {
		g.stats.Reboots++
	}
}

// retire makes a device fall silent for good, without a word.
func (f *Fleet) retire(i int32, now clock.Time) {
	d, _ := f.at(i)
	d.set(retired, true)
	f.powerOff(i, now, 0)
	d.hold = 0
}

// fallDue notes the reports that are due.
func (f *Fleet) fallDue(d *device, g *group, now clock.Time) {
	if f.settling() {
		return
	}
	for at := g.workload.Report(&d.work, &g.plan.Ills); at.Reached(now); at = g.workload.Report(&d.work, &g.plan.Ills) {
		g.stats.Skipped += uint64(g.workload.Reported(&d.work, &g.plan.Ills, now))
		if d.waiting == maxWaiting {
			g.stats.Skipped++
			continue
		}
		d.waiting++
	}
}

// proceed has a device ask for what it wants next, until it has to wait.
func (f *Fleet) proceed(i int32, now clock.Time) {
	d, _ := f.at(i)
	for d.client != nil && !d.client.Busy() {
		ask := f.want(i, now)
		if ask == nil {
			return
		}
		if f.speechless(i) && !d.is(leaving) {
			f.shake(i, now)
			return
		}
		_, g := f.at(i)
		f.rouse(d, g, now)
		at := f.ready(d, now)
		if err := ask(f, i, at); err != nil {
			d.hold, d.linger, d.poll = now.Add(minute), now.Add(minute), now.Add(minute)
			f.acts.Reset()
			return
		}
		f.carryOut(i, now)
	}
}

// A request is what a device may ask of its client at a time.
type request func(f *Fleet, i int32, at clock.Time) error

// want is what a device that is not busy asks for next, or nil.
func (f *Fleet) want(i int32, now clock.Time) request {
	d, g := f.at(i)
	free := d.hold <= now
	sleeps := g.workload.Sleep.Policy == workload.Sleeping
	switch d.client.State() {
	case client.Disconnected:
		return f.wantDisconnected(d, g, now)
	case client.Active:
		switch {
		case d.is(leaving):
			return (*Fleet).disconnect
		case free && (d.is(passing) || d.is(estranged)):
			return (*Fleet).connect
		case free && !d.is(durable) && g.keeps():
			return (*Fleet).connect
		case free && g.command != nil && !d.is(subscribed):
			return (*Fleet).subscribe
		case free && d.waiting > 0:
			return (*Fleet).publish
		case sleeps && d.linger <= now:
			return (*Fleet).sleep
		}
	case client.Asleep:
		switch {
		case d.is(leaving):
			return (*Fleet).disconnect
		case free && d.waiting > 0 && g.client.Quirks.Has(client.SleepTalk):
			return (*Fleet).publish
		case free && (d.waiting > 0 || !sleeps || g.command != nil && !d.is(subscribed)):
			return (*Fleet).connect
		case d.poll.Reached(now):
			return (*Fleet).wake
		}
	}
	return nil
}

func (f *Fleet) wantDisconnected(d *device, g *group, now clock.Time) request {
	switch {
	case d.is(leaving):
		return (*Fleet).leave
	case g.silent:
		if d.waiting > 0 {
			return (*Fleet).publish
		}
		return nil
	case d.hold > now, d.is(napping) && d.waiting == 0 && !d.poll.Reached(now):
		return nil
	}
	return (*Fleet).connect
}

// connect asks for a connection. The first of a run is clean, so that nothing
// is left of an earlier one, and a clean session is not kept by what comes
// after it: who needs one that is kept connects once more.
func (f *Fleet) connect(i int32, at clock.Time) error {
	d, g := f.at(i)
	state := d.client.State()
	back := state == client.Asleep || d.is(napping)
	clean := !back && state != client.Active && (!d.is(known) || g.plan.Session.CleanSession)
	d.asked = at
	d.set(durable, !clean)
	if !back {
		d.set(subscribed, false)
	}
	return d.client.Connect(at, g.session(i, clean, back || clean && g.keeps()), &f.acts)
}

func (f *Fleet) subscribe(i int32, at clock.Time) error {
	d, g := f.at(i)
	f.name = g.command.append(f.name[:0], g.named(i))
	topic := mqttsn.Topic{Kind: mqttsn.TopicName, Name: f.name}
	return d.client.Subscribe(at, topic, g.workload.Commands.QoS, &f.acts)
}

func (f *Fleet) publish(i int32, at clock.Time) error {
	d, g := f.at(i)
	r := &g.workload.Reports
	d.waiting--
	d.report = g.book.Send(g.dev(i), d.stream, r.QoS, at)
	d.said = at
	d.set(speaking|unheard, true)
	topic := f.topic(g, i, d.stream)
	d.stream = uint8((int(d.stream) + 1) % len(g.topics))
	m := client.Message{Topic: topic, Payload: f.reading(g, d, d.report, at), QoS: r.QoS, Retain: r.Retain}
	err := d.client.Publish(at, &m, &f.acts)
	if err != nil {
		g.book.Refused(g.dev(i), d.report, at)
	}
	if err != nil || r.QoS == mqttsn.QoSMinusOne {
		d.set(speaking, false)
	}
	return err
}

func (f *Fleet) sleep(i int32, at clock.Time) error {
	d, g := f.at(i)
	return d.client.Sleep(at, g.workload.Sleep.For, &f.acts)
}

func (f *Fleet) wake(i int32, at clock.Time) error {
	d, g := f.at(i)
	d.asked = at
	g.stats.Wakes++
	return d.client.Wake(at, &f.acts)
}

func (f *Fleet) disconnect(i int32, at clock.Time) error {
	d, _ := f.at(i)
	return d.client.Disconnect(at, &f.acts)
}

func (f *Fleet) leave(i int32, at clock.Time) error {
	f.retire(i, at)
	return nil
}

// settle notes what a device's state is after something was done, and when it
// wants attention next.
func (f *Fleet) settle(i int32, now clock.Time) {
	d, g := f.at(i)
	state := uint8(Off)
	if d.client != nil {
		state = uint8(d.client.State())
	}
	if state != d.state {
		g.stats.States[d.state]--
		g.stats.States[state]++
		d.state = state
		g.book.State(g.dev(i), now, state)
	}
	before := d.is(awake)
	d.set(awake, d.listens(g, now))
	if before && !d.is(awake) && g.plan.DTLS != nil && !g.plan.DTLS.CID {
		f.forget(i) // it may have another address when it wakes
	}
	f.wheel.Set(i, f.deadline(i))
}

// listens reports whether a device hears what comes: its radio is on.
func (d *device) listens(g *group, now clock.Time) bool {
	if d.client == nil {
		return false
	}
	if d.is(greeting) {
		return true
	}
	if t, _ := d.client.Awaits(); t != 0 {
		return true
	}
	switch g.workload.Sleep.Policy {
	case workload.RadioOff:
		return d.linger > now
	case workload.Sleeping:
		return d.client.State() == client.Active
	}
	return true
}

// deadline is when a device wants attention next, or zero for never. What is
// past is not waited for any more.
func (f *Fleet) deadline(i int32) clock.Time {
	d, g := f.at(i)
	t := f.order(d, g)
	if d.client == nil {
		return clock.Sooner(t, d.hold)
	}
	switch due := d.client.Deadline(); {
	case due == 0 || d.is(greeting):
	case f.speechless(i), d.is(estranged):
		t = clock.Sooner(t, max(due, d.hold))
	default:
		t = clock.Sooner(t, due)
	}
	t = clock.Sooner(t, d.reboot)
	t = clock.Sooner(t, g.plan.Ills.Silent(&d.work))
	if !f.settling() {
		t = clock.Sooner(t, g.workload.Report(&d.work, &g.plan.Ills))
	}
	later := func(u clock.Time) {
		if u > f.now {
			t = clock.Sooner(t, u)
		}
	}
	if d.client.Busy() {
		return t
	}
	later(d.hold)
	later(d.linger)
	if d.client.State() == client.Asleep || d.is(napping) {
		later(d.poll)
	}
	return t
}
