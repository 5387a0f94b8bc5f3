package drive

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim"
)

// Start is when virtual time begins.
const Start = clock.Time(time.Hour)

// Virtual runs p against w, as fast as it can: the same plan and the same
// world give the same run. A run that ctx ends early is no error, see
// Outcome.Cut.
func Virtual(ctx context.Context, p *sim.Plan, w World, o Options) (*Outcome, error) {
	if o.Meet == nil && secured(p) {
		return nil, fmt.Errorf("%s has devices that speak DTLS, and the gateway does not", p.Name)
	}
	f, err := sim.New(p, Start, 0, 1)
	if err != nil {
		return nil, err
	}
	return newVirtual(p, f, w, o).run(ctx)
}

// A virtual is a run in virtual time. Its loop goes from one moment to the
// next. In each, fleet and world are told what there is for them until neither
// has anything more to do or say.
type virtual struct {
	plan  *sim.Plan
	fleet fleet
	world World
	o     Options

	now, end clock.Time
	faults   []fault
	up       clock.Time // when a gateway that is down starts again; zero: it is not down
	samples  samples

	heard   heard
	pubs    []*sim.Publication // to hand to the world
	answers []answer
	meets   *meetings
	moved   bool // something was said at this moment since it was last looked at

	// The functions that are handed around, made once.
	carry func(sim.Endpoint, []byte) bool
	bring func(netip.AddrPort, []byte) bool
	note  func(*sim.Publication) bool

	pace pace
}

// An answer is what the broker says of a publication.
type answer struct {
	p   *sim.Publication
	err error
}

func newVirtual(p *sim.Plan, f fleet, w World, o Options) *virtual {
	v := &virtual{
		plan: p, fleet: f, world: w, o: o,
		now: Start, end: Start.Add(length(p)), faults: faultsOf(p), samples: newSamples(p, &o),
	}
	v.meets = newMeetings(v)
	v.carry = func(e sim.Endpoint, b []byte) bool {
		v.moved = true
		if v.up == 0 && !(f.Secured(e) && v.meets.up(e, b)) {
			w.Receive(address(e), b)
		}
		return true
	}
	v.bring = func(to netip.AddrPort, b []byte) bool {
		v.moved = true
		if e, ok := endpoint(to); ok {
			f.Receive(v.now, e, b)
		}
		return true
	}
	v.note = func(p *sim.Publication) bool {
		v.pubs = append(v.pubs, p)
		return true
	}
	return v
}

func (v *virtual) run(ctx context.Context) (*Outcome, error) {
	began := time.Now()
	out := &Outcome{Plan: v.plan, Virtual: true}
	if err := subscribe(v.world, v.fleet, v.hear); err != nil {
		return nil, fmt.Errorf("subscribe to what the fleet publishes: %w", err)
	}
	v.pace = pace{v: v, epoch: began}
	for {
		if err := v.moment(ctx); err != nil {
			return nil, err
		}
		if v.now >= v.end {
			break
		}
		if v.now.Sub(Start) >= v.samples.due {
			v.sample()
		}
		next := v.next()
		if out.Cut = v.pace.until(ctx, next); out.Cut != nil {
			break
		}
		if !v.pace.changed {
			v.now = next
		}
	}
	if out.Cut != nil {
		v.fleet.Cut(v.now)
	} else {
		v.fleet.Close(v.now)
	}
	out.Ran, out.Elapsed = v.now.Sub(Start), time.Since(began)
	out.Samples, out.Final = v.samples.kept, finish(&v.o, sim.Stats{At: out.Ran}, v.fleet)
	return out, nil
}

// finish tells the final figures of a run: those of the driver and those of
// the fleets.
func finish(o *Options, of sim.Stats, fleets ...fleet) *sim.Stats {
	s := new(sim.Stats)
	for _, f := range fleets {
		f.Stats(s)
	}
	s.At, s.Shed, s.Late, s.Silent = of.At, of.Shed, of.Late, of.Silent
	if o.Sample != nil {
		o.Sample(s)
	}
	return s
}

func (v *virtual) sample() {
	v.fleet.Step(v.now)
	s := new(sim.Stats)
	v.fleet.Stats(s)
	v.samples.take(v.now.Sub(Start), s)
}

// next is when something is to be done next.
func (v *virtual) next() clock.Time {
	t := clock.Sooner(v.end, Start.Add(v.samples.due))
	t = clock.Sooner(t, clock.Sooner(v.fleet.Next(), v.meets.wheel.Next()))
	if len(v.faults) > 0 {
		t = clock.Sooner(t, max(Start.Add(v.faults[0].at), v.up))
	}
	if v.up != 0 {
		return min(t, v.up)
	}
	return clock.Sooner(t, v.world.Next())
}

// restless is how often fleet and world may answer each other within one
// moment: a radio that takes no time lets them say much in it.
const restless = 1 << 20

// moment has everything done that is due now.
func (v *virtual) moment(ctx context.Context) error {
	if v.up == 0 {
		v.world.Step(v.now)
	}
	if err := v.breakAndMend(); err != nil {
		return err
	}
	for round := 1; ; round++ {
		v.moved = false
		v.turn()
		if !v.moved && !v.due(v.fleet.Next()) && !v.due(v.meets.wheel.Next()) && (v.up != 0 || !v.due(v.world.Next())) {
			return nil
		}
		if round%1024 == 0 && ctx.Err() != nil {
			return nil // the fleet goes on where it is, if at all
		}
		if round == restless {
			return fmt.Errorf("fleet and gateway never come to rest %v after the start", v.now.Sub(Start))
		}
	}
}

func (v *virtual) due(t clock.Time) bool { return t.Reached(v.now) }

// turn hands to each side what the other has said.
func (v *virtual) turn() {
	if v.due(v.fleet.Next()) {
		v.fleet.Step(v.now)
	}
	v.fleet.Handshakes(v.meets.greet)
	v.meets.turn()
	v.fleet.Datagrams(v.carry)
	v.fleet.Publications(v.note)
	for _, p := range v.pubs {
		v.publish(p)
	}
	v.pubs = v.pubs[:0]
	if v.up == 0 {
		if v.moved || v.due(v.world.Next()) {
			v.world.Step(v.now)
		}
		v.world.Sent(v.bring)
	}
	v.tell()
}

func (v *virtual) publish(p *sim.Publication) {
	v.moved = true
	if v.up != 0 {
		v.answers = append(v.answers, answer{p, ErrDown})
		return
	}
	v.world.Publish(p.Topic, p.Payload, p.QoS, p.Retain, func(err error) {
		v.answers = append(v.answers, answer{p, err})
	})
}

func (v *virtual) hear(topic string, payload []byte, _ byte, retained bool) {
	v.heard.add(topic, payload, retained)
}

// tell tells the fleet what the observer knows. It does so between the calls
// of the world, in which the observer learns it.
func (v *virtual) tell() {
	for i := range v.answers {
		v.moved = true
		v.fleet.Published(v.now, v.answers[i].p, v.answers[i].err)
	}
	clear(v.answers)
	v.answers = v.answers[:0]
	for _, m := range v.heard.messages {
		v.moved = true
		v.fleet.Heard(v.now, m.topic, v.heard.payload(m), m.retained)
	}
	v.heard.reset()
}

// breakAndMend restarts the gateway if it is time to. While it is down the
// world is not asked for anything, and stays as the kill found it.
func (v *virtual) breakAndMend() error {
	for {
		if v.up == 0 {
			if len(v.faults) == 0 || !v.due(Start.Add(v.faults[0].at)) {
				return nil
			}
			v.up = max(v.now, Start.Add(v.faults[0].at+v.faults[0].down))
			v.faults = v.faults[1:]
			if !v.due(v.up) {
				v.fleet.Restarted(v.now) // what comes while it is down is lost, too
			}
		}
		if !v.due(v.up) {
			return nil
		}
		v.up = 0
		if err := v.world.Restart(v.now); err != nil {
			return fmt.Errorf("restart the gateway %v after the start: %w", v.now.Sub(Start), err)
		}
		v.world.Step(v.now)
		v.tell() // what it had heard and answered before
		v.fleet.Restarted(v.now)
	}
}

// The addresses of endpoints are those of 10.0.0.0/8 from 10.0.0.1 on.
const virtualPort = 10000

func address(e sim.Endpoint) netip.AddrPort {
	n := uint32(e) + 1
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), virtualPort)
}

func endpoint(a netip.AddrPort) (sim.Endpoint, bool) {
	ip := a.Addr().Unmap()
	if !ip.Is4() || a.Port() != virtualPort {
		return 0, false
	}
	b := ip.As4()
	n := uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return sim.Endpoint(n) - 1, b[0] == 10 && n > 0
}
