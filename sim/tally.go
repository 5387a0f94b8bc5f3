package sim

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim/energy"
	"dormouse/sim/ledger"
)

// ledger is what a group's book is made with.
func (f *Fleet) ledger(g *group) ledger.Config {
	c := ledger.Config{
		Group:   g.plan.Name,
		Devices: g.count,
		First:   g.number + uint32(g.low),
		Index:   g.low,
		GroupID: uint32(g.index),
		Streams: max(len(g.topics), 1),
		Forgets: f.plan.Forgets,
		Exact:   !f.plan.Live,
		States:  stateNames[:],
	}
	if f.plan.Live {
		c.Slack = 5 * time.Second
	}
	return c
}

var stateNames = func() (names [NumStates]string) {
	for s := range Off {
		names[s] = client.State(s).String()
	}
	names[Off] = "off"
	return names
}()

// The range of a histogram, in µs, and how exact it is: 1 %. A command waits
// for a sleeper as long as that sleeps, which is up to 18 h in each poll; 30
// days are beyond all of that.
const (
	shortest = 1
	longest  = 30 * 24 * 3_600_000_000
	digits   = 2
)

// measure notes how long something took.
func (f *Fleet) measure(g *group, l Latency, from, to clock.Time) {
	h := &g.stats.Latency[l]
	if *h == nil {
		*h = hdrhistogram.New(shortest, longest, digits)
	}
	// Within the range nothing goes wrong.
	_ = (*h).RecordValue(min(max(to.Sub(from).Microseconds(), shortest), longest))
}

// Stats adds where the fleet stands to s.
func (f *Fleet) Stats(s *Stats) {
	s.At, s.Stage = f.elapsed(f.now), f.Stage(f.now)
	if s.Groups == nil {
		s.Groups = make([]GroupStats, len(f.groups))
	}
	for k, g := range f.groups {
		g.stats.Ledger = g.book.Counts()
		s.Groups[k].add(&g.stats)
		violations, broken := g.book.Violations()
		s.Broken += broken
		s.Violations = append(s.Violations, violations[:min(len(violations), max(0, shown-len(s.Violations)))]...)
		if g.energy != nil {
			f.weigh(g, &s.Groups[k])
		}
	}
}

// shown is how many violations Stats has at most.
const shown = 100

// add adds what another shard counted of the group.
func (s *GroupStats) add(o *GroupStats) {
	s.Name = o.Name
	s.Count(o)
	for l, h := range o.Latency {
		if h == nil {
			continue
		}
		if s.Latency[l] == nil {
			s.Latency[l] = hdrhistogram.New(shortest, longest, digits)
		}
		s.Latency[l].Merge(h)
	}
}

// Count adds what another group or fleet counted, without latencies and energy.
func (s *GroupStats) Count(o *GroupStats) {
	s.Devices += o.Devices
	for i, n := range o.States {
		s.States[i] += n
	}
	s.Up.Add(&o.Up)
	s.Down.Add(&o.Down)
	s.Ledger.Add(&o.Ledger)
	s.Connects += o.Connects
	s.Refused += o.Refused
	s.Lost += o.Lost
	s.Wakes += o.Wakes
	s.Reboots += o.Reboots
	s.Rebindings += o.Rebindings
	s.Secured = s.Secured || o.Secured
	s.Handshakes += o.Handshakes
	s.HandshakesAgain += o.HandshakesAgain
	s.HandshakesFailed += o.HandshakesFailed
	s.Skipped += o.Skipped
	s.Deaf += o.Deaf
}

// Add adds what another group or fleet counted.
func (d *Direction) Add(o *Direction) {
	d.Datagrams += o.Datagrams
	d.Octets += o.Octets
	d.Resent += o.Resent
	for t, n := range o.Types {
		d.Types[t].Datagrams += n.Datagrams
		d.Types[t].Octets += n.Octets
	}
	d.Handshake.Datagrams += o.Handshake.Datagrams
	d.Handshake.Octets += o.Handshake.Octets
	d.Sealing += o.Sealing
	d.Radio.Sent += o.Radio.Sent
	d.Radio.Copies += o.Radio.Copies
	for i, n := range o.Radio.Outcomes {
		d.Radio.Outcomes[i] += n
	}
}

// weigh adds what a group took from its batteries.
func (f *Fleet) weigh(g *group, s *GroupStats) {
	if s.Energy == nil {
		s.Energy = &EnergyStats{}
	}
	e := s.Energy
	for n := range g.count {
		e.Total.Add(&f.devices[int(g.first)+n].meter)
	}
	e.Traffic.Add(&g.energy.Traffic)
	e.Years = append(e.Years, g.years...)
	sum := energy.Group{Hardware: g.energy.Hardware, Traffic: e.Traffic, Lasting: g.plan.DTLS != nil && g.plan.DTLS.CID}
	e.Report = sum.Report(&e.Total, g.registered())
}

// registered is the topics that a group's devices register, as patterns.
func (g *group) registered() (names []string) {
	for _, t := range g.plan.Topics {
		if t.Kind == Registered {
			names = append(names, t.Name)
		}
	}
	return names
}

// Close ends the run: what is still owed counts as broken. After it Stats has
// the projected lives of batteries.
func (f *Fleet) Close(now clock.Time) {
	f.Cut(now)
	for _, g := range f.groups {
		g.book.Close(now)
	}
}

// Cut ends a run before its time: as Close does, but nothing counts as broken
// that is owed.
func (f *Fleet) Cut(now clock.Time) {
	f.now = max(f.now, now)
	for _, g := range f.groups {
		if g.energy == nil {
			continue
		}
		step := max(1, f.sample(g))
		g.years = nil
		for n := range g.count {
			d := &f.devices[int(g.first)+n]
			f.spend(d, g, now)
			if (g.low+n)%step == 0 && d.meter.Elapsed() > 0 {
				life := g.energy.Battery.Life(d.meter.Drain().Sum(), g.energy.Celsius)
				g.years = append(g.years, life.Years)
			}
		}
	}
}

// sample is of how many devices one's battery life is told: some 1,000 are.
func (f *Fleet) sample(g *group) int { return (g.plan.Count + 999) / 1000 }

// Settled reports whether there is nothing left to wait for: nothing is under
// way, no device has anything to say, and nobody is owed anything.
func (f *Fleet) Settled() bool {
	if len(f.air.heap) > 0 || len(f.arrived) > 0 || len(f.pubs) > 0 {
		return false
	}
	for _, g := range f.groups {
		c := g.book.Counts()
		s := &g.stats.States
		busy := s[client.Connecting] + s[client.Dozing] + s[client.Awake] + s[client.Leaving]
		if busy > 0 || c.Uplink.InFlight+c.Uplink.Missing+c.Downlink.Missing > 0 || c.Downlink.Accepted < c.Downlink.Published {
			return false
		}
	}
	for i := range f.devices {
		if d := &f.devices[i]; d.client != nil && (d.waiting > 0 || d.is(greeting)) {
			return false
		}
	}
	return true
}

// Broken returns how many invariants have been broken.
func (f *Fleet) Broken() (n uint64) {
	for _, g := range f.groups {
		_, broken := g.book.Violations()
		n += broken
	}
	return n
}

// Trace returns the last that a device and the gateway said, oldest first;
// number is that of the device in the run.
func (f *Fleet) Trace(number uint32) []string {
	for _, g := range f.groups {
		if i, ok := g.device(number); ok {
			return g.book.Trace(g.dev(i))
		}
	}
	return nil
}
