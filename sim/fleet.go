package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/wheel"
	"dormouse/sim/chance"
	"dormouse/sim/energy"
	"dormouse/sim/ledger"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// tick is how late a device's own deadline is met at most. Radio arrivals are
// met exactly.
const tick = time.Millisecond

// A Fleet is the devices of a plan, or a shard of them, with their radios. It
// does no input or output, starts no goroutine and reads no clock. Who drives
// it
//
//  1. calls Step at Next, or whenever time has passed;
//  2. sends what Datagrams yields, and calls Receive with what the gateway
//     sends; and does the handshakes that Handshakes yields, with Say and
//     Agreed;
//  3. subscribes to Filters over MQTT and calls Heard with what comes,
//     publishes what Publications yields and reports with Published;
//  4. carries out the plan's Restart events and tells so with Restarted;
//  5. calls Close at the end.
//
// The same plan and the same calls give the same datagrams. It is not safe for
// concurrent use; the shards of a plan share nothing.
type Fleet struct {
	plan    *Plan
	start   clock.Time
	now     clock.Time // of the last Step
	lead    bool       // it has the first shard
	groups  []*group
	devices []device
	ends    endpoints
	wheel   *wheel.Wheel
	air     air
	agenda  []appointment // what the plan has yet to bring, soonest first
	dark    []darkness
	stage   int // of Plan.Stages; as many as there are: the run settles

	arrived []datagram // at the gateway's side
	lent    []datagram // yielded, and not to be touched before the next call
	pubs    []*Publication
	shakes  []*Handshake // that have begun

	decoder mqttsn.Decoder
	acts    client.Actions
	name    []byte
	message []byte

	sealed, overheard []byte
}

// New returns the devices of p that are in one of shards, switched off: of each
// group a contiguous range, the same for the same p. start is not zero. The
// error is everything that is wrong with the groups, see [Group.Validate].
func New(p *Plan, start clock.Time, shard, shards int) (*Fleet, error) {
	f := &Fleet{plan: p, start: start, now: start, lead: shard == 0, wheel: wheel.New(start, tick)}
	sites, err := makeSites(p, start)
	errs := list(err)
	var number uint64
	for k, plan := range p.Groups {
		g := &group{index: k, number: uint32(number), seed: seed(p.Seed, forWork, uint64(k))}
		if err := g.put(plan); err != nil {
			errs = append(errs, list(err)...)
			continue
		}
		if err := g.tune(p, sites, start); err != nil {
			errs = append(errs, err)
			continue
		}
		low, high := share(plan.Count, shard, shards)
		g.low, g.count, g.first = low, high-low, int32(len(f.devices))
		number += uint64(plan.Count)
		if number > math.MaxInt32 {
			return nil, fmt.Errorf("%d devices and more are too many for one run: %d is the most", number, math.MaxInt32)
		}
		f.groups = append(f.groups, g)
		f.devices = append(f.devices, make([]device, g.count)...)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	f.populate()
	f.schedule()
	if err := f.rehearse(); err != nil {
		return nil, err
	}
	return f, nil
}

// tune makes the parts that a group has for itself.
func (g *group) tune(p *Plan, sites map[string]*radio.Site, start clock.Time) error {
	c := g.plan.Radio
	if name := g.plan.Site; name != "" {
		if c.Site = sites[name]; c.Site == nil {
			return &KeyError{Group: g.plan.Name, Key: "site", Err: fmt.Errorf("is %q, which the plan does not know", name)}
		}
	}
	m, err := radio.New(c, seed(p.Seed, forRadio, uint64(g.index)), start)
	if err != nil {
		return &KeyError{Group: g.plan.Name, Key: "radio", Err: fmt.Errorf("is not possible: %w", err)}
	}
	g.radio = m
	if g.plan.Hardware != nil {
		g.energy = &energy.Group{Hardware: *g.plan.Hardware}
	}
	return nil
}

func makeSites(p *Plan, start clock.Time) (map[string]*radio.Site, error) {
	sites := make(map[string]*radio.Site)
	var errs []error
	for name, o := range p.Sites {
		s, err := radio.NewSite(o, seed(p.Seed, forSite, hash(name)), start)
		if err != nil {
			errs = append(errs, fmt.Errorf("site %s is not possible: %w", name, err))
		}
		sites[name] = s
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return sites, errors.Join(errs...)
}

// populate gives every device its beginning.
func (f *Fleet) populate() {
	var base Endpoint
	for _, g := range f.groups {
		base += Endpoint(g.count)
		if f.rebinds(g) {
			base += Endpoint(g.count)
		}
	}
	f.ends = newEndpoints(int(base))
	f.wheel.Grow(len(f.devices))
	base = 0
	for _, g := range f.groups {
		g.pool = f.ends.newPool(base, g.first, g.count, f.rebinds(g))
		g.book = ledger.New(f.ledger(g), f.start)
		g.stats = GroupStats{Name: g.plan.Name, Devices: g.count}
		g.stats.States[Off] = g.count
		if g.plan.DTLS != nil {
			g.secured, g.stats.Secured = make([]secured, g.count), true
		}
		g.work(g.plan.Workload, f.start)
		workload.Begin(&g.crowd, g.seed, 0, 1, f.start, f.plan.Noon)
		for n := range g.count {
			i := g.first + int32(n)
			d := &f.devices[i]
			d.group, d.state = uint16(g.index), uint8(Off)
			d.endpoint = base + Endpoint(n)
			d.radio = radio.Device(uint32(g.low + n))
			workload.Begin(&d.work, g.seed, g.low+n, g.plan.Count, f.start, f.plan.Noon)
			d.hold = f.arrival(g, g.low+n)
			f.wheel.Set(i, f.deadline(i))
		}
		base += Endpoint(g.pool.size)
	}
}

// share is the range of one shard.
func share(count, shard, shards int) (low, high int) {
	return int(int64(count) * int64(shard) / int64(shards)), int(int64(count) * int64(shard+1) / int64(shards))
}

// Shard returns which of shards has the device of that number in the run. ok is
// false if the plan has no such device.
func (p *Plan) Shard(number uint32, shards int) (shard int, ok bool) {
	n := int(number)
	for _, g := range p.Groups {
		if n >= g.Count {
			n -= g.Count
			continue
		}
		shard = int(int64(n) * int64(shards) / int64(g.Count))
		for low, high := share(g.Count, shard, shards); ; low, high = share(g.Count, shard, shards) {
			switch {
			case n < low:
				shard--
			case n >= high:
				shard++
			default:
				return shard, true
			}
		}
	}
	return 0, false
}

// Step does everything that is due at now, which does not go back.
func (f *Fleet) Step(now clock.Time) {
	f.reclaim()
	f.now = max(f.now, now)
	now = f.now
	for {
		switch {
		case len(f.agenda) > 0 && f.agenda[0].at <= now:
			a := f.agenda[0]
			f.agenda = f.agenda[1:]
			a.keep(f, now)
		case f.wheel.Next().Reached(now):
			f.wheel.Advance(now, func(i int32) { f.live(i, now) })
		case f.air.next().Reached(now):
			f.land(now)
		default:
			return
		}
	}
}

// Next returns when Step next has something to do, or zero for never. It may be
// a moment at which there is nothing after all.
func (f *Fleet) Next() clock.Time {
	t := clock.Sooner(f.wheel.Next(), f.air.next())
	if len(f.agenda) > 0 {
		t = clock.Sooner(t, f.agenda[0].at)
	}
	return t
}

// Endpoints returns how many endpoints there are. Which is whose is the fleet's
// business.
func (f *Fleet) Endpoints() int { return len(f.ends.owner) }

// Addressing returns how the devices of an endpoint's group are told apart.
func (f *Fleet) Addressing(e Endpoint) Addressing {
	if g := f.groupAt(e); g != nil {
		return g.plan.Address
	}
	return OwnAddress
}

// Secured reports whether what comes from an endpoint is DTLS.
func (f *Fleet) Secured(e Endpoint) bool {
	g := f.groupAt(e)
	return g != nil && g.plan.DTLS != nil
}

func (f *Fleet) groupAt(e Endpoint) *group {
	for _, g := range f.groups {
		if e < g.pool.base+Endpoint(g.pool.size) {
			return g
		}
	}
	return nil
}

// Datagrams yields what has reached the gateway's side of the radio since the
// last call, in order. What it yields is valid until the next Step or Receive.
func (f *Fleet) Datagrams(yield func(e Endpoint, b []byte) bool) {
	f.reclaim()
	f.lent, f.arrived = f.arrived, f.lent
	for _, d := range f.lent {
		if !yield(d.endpoint, d.data) {
			return
		}
	}
}

// reclaim takes back what Datagrams has lent.
func (f *Fleet) reclaim() {
	for i := range f.lent {
		f.air.release(f.lent[i].data)
		f.lent[i].data = nil
	}
	f.lent = f.lent[:0]
}

// elapsed is the time since the start.
func (f *Fleet) elapsed(now clock.Time) time.Duration { return now.Sub(f.start) }

func hash(s string) (h uint64) {
	for i := range len(s) {
		h = chance.Mix(h ^ uint64(s[i]))
	}
	return h
}
