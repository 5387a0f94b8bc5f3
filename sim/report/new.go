package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/sim"
	"dormouse/sim/drive"
	"dormouse/sim/energy"
)

// New is what the run o came to, with the thresholds of its plan checked. Who
// knows more of it says so in Command, Target and Version.
func New(o *drive.Outcome) *Result {
	r := &Result{
		Format: Format, Schema: Schema,
		Name: o.Plan.Name, About: o.Plan.About, Seed: o.Plan.Seed,
		Command: fmt.Sprintf("dormouse sim run %s --seed %d", o.Plan.Name, o.Plan.Seed),
		Target:  "a gateway by the wall clock",
		Virtual: o.Virtual,
		Planned: o.Plan.Duration().Seconds(), Ran: o.Ran.Seconds(), Elapsed: o.Elapsed.Seconds(),
		Broken: o.Final.Broken, Shed: o.Final.Shed, Late: o.Final.Late.Seconds(), Silent: o.Final.Silent.Seconds(),
		Violations: []Violation{}, Failures: []Failure{}, Thresholds: []Threshold{},
		Events: events(o.Plan), Stages: stages(o.Plan),
	}
	if o.Virtual {
		r.Target = "a gateway in virtual time"
	}
	if o.Cut != nil {
		r.Cut = o.Cut.Error()
	}
	for _, v := range o.Final.Violations {
		r.Violations = append(r.Violations, Violation{
			string(v.Rule), v.At.Seconds(), v.Group, v.Device, v.Text, slices.Concat([]string{}, v.Trace)})
	}
	all := together(o.Final)
	r.All = newGroup(all)
	for i := range o.Final.Groups {
		g := newGroup(of(&o.Final.Groups[i]))
		if p := planned(o.Plan, g.Name); p != nil {
			g.describe(p, &o.Final.Groups[i])
		}
		r.Groups = append(r.Groups, g)
	}
	r.Samples = newSamples(slices.Concat(o.Samples, []*sim.Stats{o.Final}))
	for i := range o.Plan.Thresholds {
		t := &o.Plan.Thresholds[i]
		failed := r.Check(o.Plan.Thresholds[i : i+1])
		if o.Cut == nil { // else there may be time yet to meet it, or not to
			r.Failures = append(r.Failures, failed...)
		}
		r.Thresholds = append(r.Thresholds, Threshold{t.Text, t.Metric, t.Group, r.figure(t.Group, t.Metric), len(failed) == 0})
	}
	r.Passed = len(r.Failures) == 0 && r.Broken == 0
	return r
}

func planned(p *sim.Plan, name string) *sim.Group {
	for _, g := range p.Groups {
		if g.Name == name {
			return g
		}
	}
	return nil
}

func stages(p *sim.Plan) (all []Stage) {
	var at time.Duration
	for i := range p.Stages {
		s := &p.Stages[i]
		all = append(all, Stage{s.Name, at.Seconds(), s.For.Seconds()})
		at += s.For
	}
	return all
}

func events(p *sim.Plan) (all []Event) {
	for i := range p.Events {
		e := &p.Events[i]
		all = append(all, Event{string(e.Kind), e.At.Seconds(), e.For.Seconds(), e.Group, e.Share})
	}
	slices.SortStableFunc(all, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return all
}

func newGroup(s *subject) *Group {
	g := &Group{Name: s.Name, Metrics: s.figures(), Latencies: map[string]*Latency{}, Packets: packets(s), Life: newLife(s.years)}
	for l, name := range latencies {
		if d := (distribution{s.Latency[l]}); d.count() > 0 {
			g.Latencies[name.name] = newLatency(&d)
		}
	}
	return g
}

// newLatency draws the curve to the last measurement but one: so many figures
// for each tenfold share of what is slower.
func newLatency(d *distribution) *Latency {
	l := &Latency{Count: d.count(), Min: float64(d.Min()) / 1e6, Mean: d.mean(), Max: d.at(1)}
	const perDecade = 24
	for i := 0; ; i++ {
		slower := math.Pow(10, -float64(i)/perDecade) // share of the measurements
		if slower*float64(l.Count) < 1 {
			break
		}
		l.Shares = append(l.Shares, round(1-slower, 9))
		l.Curve = append(l.Curve, d.at(1-slower))
	}
	l.Shares = append(l.Shares, 1)
	l.Curve = append(l.Curve, l.Max)
	return l
}

func packets(s *subject) []Packet {
	all := []Packet{}
	for typ := range mqttsn.NumTypes {
		up, down := s.Up.Types[typ], s.Down.Types[typ]
		p := Packet{typ.String(), up.Datagrams, down.Datagrams, up.Octets, down.Octets, 0}
		if p.DatagramsUp+p.DatagramsDown == 0 {
			continue
		}
		if e := s.Energy; e != nil && e.Total.Days > 0 {
			p.Charge = e.Traffic.Types[typ].Charge / microcoulombs / e.Total.Days
		}
		all = append(all, p)
	}
	if p, any := handshakes(s); any {
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b Packet) int { return cmp.Compare(b.Octets(), a.Octets()) })
	return all
}

const microcoulombs = 3.6e6 // of a mAh

// lifeBin is a width of bins, of which there are about thirty up to the longest
// life.
func lifeBin(longest float64) float64 {
	for _, bin := range []float64{1. / 365, 7. / 365, 1. / 12, 0.25} {
		if longest/bin < 30 {
			return bin
		}
	}
	return 0.5
}

func newLife(lives sample) *Life {
	longest, ok := lives.quantile(1)
	if !ok {
		return nil
	}
	var all float64
	bin := lifeBin(longest)
	l := &Life{Bin: bin}
	for _, d := range lives {
		i := int(min(d.years, energy.ShelfLife) / bin)
		for len(l.Shares) <= i {
			l.Shares = append(l.Shares, 0)
		}
		l.Shares[i] += d.weight
		all += d.weight
	}
	for i := range l.Shares {
		l.Shares[i] = round(l.Shares[i]/all, 6)
	}
	return l
}

// round keeps results short: they are read by machines, and stored.
func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}

// newSamples makes rates of sums. Moments at which no time has passed since
// the one before are left out.
func newSamples(all []*sim.Stats) Samples {
	s := Samples{At: []float64{}, All: newSeries()}
	if n := len(all); n > 0 {
		for range all[n-1].Groups {
			s.Groups = append(s.Groups, newSeries())
		}
	}
	before := &sim.Stats{}
	for i, now := range all {
		if i > 0 && now.At <= before.At {
			continue
		}
		elapsed := (now.At - before.At).Seconds()
		s.At = append(s.At, round(now.At.Seconds(), 3))
		s.All.add(elapsed, sums(before), sums(now))
		for g, to := range s.Groups {
			to.add(elapsed, groupAt(before, g), groupAt(now, g))
		}
		before = now
	}
	return s
}

func groupAt(s *sim.Stats, i int) *subject {
	if i >= len(s.Groups) {
		return &subject{}
	}
	return &subject{GroupStats: s.Groups[i]}
}

func newSeries() *Series {
	s := &Series{
		Up: []float64{}, Down: []float64{}, Sent: []float64{}, Received: []float64{}, Commands: []float64{},
		Again: []float64{}, LostUp: []float64{}, LostDown: []float64{}, States: map[string][]float64{},
	}
	for i := range sim.NumStates {
		s.States[stateName(i)] = []float64{}
	}
	return s
}

func (s *Series) add(elapsed float64, before, now *subject) {
	rate := func(to *[]float64, a, b uint64) {
		v := 0.0
		if elapsed > 0 {
			v = float64(less(b, a)) / elapsed
		}
		*to = append(*to, round(v, 3))
	}
	part := func(to *[]float64, a, b, wholeA, wholeB uint64) {
		v, _ := ratio(less(b, a), less(wholeB, wholeA))
		*to = append(*to, round(v, 5))
	}
	rate(&s.Up, before.Up.Datagrams, now.Up.Datagrams)
	rate(&s.Down, before.Down.Datagrams, now.Down.Datagrams)
	rate(&s.Sent, before.Ledger.Uplink.Sent, now.Ledger.Uplink.Sent)
	rate(&s.Received, before.Ledger.Uplink.Received, now.Ledger.Uplink.Received)
	rate(&s.Commands, before.Ledger.Downlink.Delivered, now.Ledger.Downlink.Delivered)
	part(&s.Again, before.Up.Resent, now.Up.Resent, before.Up.Datagrams, now.Up.Datagrams)
	part(&s.LostUp, lost(&before.Up), lost(&now.Up), before.Up.Radio.Sent, now.Up.Radio.Sent)
	part(&s.LostDown, lost(&before.Down), lost(&now.Down), before.Down.Radio.Sent, now.Down.Radio.Sent)
	for i, n := range now.States {
		s.States[stateName(i)] = append(s.States[stateName(i)], float64(n))
	}
}
