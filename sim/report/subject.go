package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/sim"
	"dormouse/sim/energy"
)

// A subject is what figures are of: one group, or all taken together.
type subject struct {
	sim.GroupStats
	run   *sim.Stats // nil: a group
	life  float64    // years, of the mean device of the group that fares worst; 0: not known
	years sample
}

// of returns one group as a subject.
func of(g *sim.GroupStats) *subject {
	s := &subject{GroupStats: *g}
	if e := g.Energy; e != nil {
		if e.Report.Drain.Sum() > 0 {
			s.life = e.Report.Life.Years
		}
		s.years.add(e.Years, g.Devices)
	}
	return s
}

// together returns all groups as one subject.
func together(run *sim.Stats) *subject {
	s := &subject{run: run}
	for i := range run.Groups {
		g := of(&run.Groups[i])
		s.Count(&g.GroupStats)
		s.merge(&g.GroupStats)
		s.years = append(s.years, g.years...)
		if g.life > 0 && (s.life == 0 || g.life < s.life) {
			s.life = g.life
		}
	}
	return s
}

// sums is as together, without latencies and energy.
func sums(run *sim.Stats) *subject {
	s := new(subject)
	for i := range run.Groups {
		s.Count(&run.Groups[i])
	}
	return s
}

// merge adds what is dear to add: latencies and energy.
func (s *subject) merge(g *sim.GroupStats) {
	for i, h := range g.Latency {
		switch {
		case h == nil:
		case s.Latency[i] == nil:
			s.Latency[i] = h.Clone()
		default:
			s.Latency[i].Merge(h)
		}
	}
	if g.Energy != nil {
		if s.Energy == nil {
			s.Energy = new(sim.EnergyStats)
		}
		t, o := &s.Energy.Total, &g.Energy.Total
		t.Devices += o.Devices
		t.Days += o.Days
		for b := range t.Charge {
			t.Charge[b] += o.Charge[b]
		}
		t.Payload += o.Payload
		t.DutyCycle += o.DutyCycle
		s.Energy.Traffic.Add(&g.Energy.Traffic)
	}
}

// drain is the charge that the mean device takes a day.
func (s *subject) drain() (energy.Drain, bool) {
	if s.Energy == nil || s.Energy.Total.Days == 0 {
		return energy.Drain{}, false
	}
	return s.Energy.Total.Drain(), true
}

// figures are all that s has.
func (s *subject) figures() map[string]float64 {
	f := make(map[string]float64, len(metrics))
	for i := range metrics {
		if v, ok := metrics[i].of(s); ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
			f[metrics[i].Name] = v
		}
	}
	return f
}

// A sample is lives of devices, each of which stands for some.
type sample []struct{ years, weight float64 }

func (s *sample) add(years []float64, devices int) {
	for _, y := range years {
		*s = append(*s, struct{ years, weight float64 }{y, float64(devices) / float64(len(years))})
	}
}

// quantile is what a share q of the devices does not reach; false if there are
// none.
func (s sample) quantile(q float64) (float64, bool) {
	if len(s) == 0 {
		return 0, false
	}
	sorted := slices.Clone(s)
	slices.SortFunc(sorted, func(a, b struct{ years, weight float64 }) int { return cmp.Compare(a.years, b.years) })
	var all, sum float64
	for _, d := range sorted {
		all += d.weight
	}
	for _, d := range sorted {
		if sum += d.weight; sum >= q*all {
			return d.years, true
		}
	}
	return sorted[len(sorted)-1].years, true
}

// A distribution is a histogram of microseconds read in seconds. Without one
// it is empty.
type distribution struct{ *hdrhistogram.Histogram }

func (d *distribution) count() int64 {
	if d.Histogram == nil {
		return 0
	}
	return d.TotalCount()
}

func (d *distribution) mean() float64 { return d.Mean() / 1e6 }

// at is the quantile q, 0 to 1.
func (d *distribution) at(q float64) float64 {
	if q >= 1 {
		return float64(d.Max()) / 1e6
	}
	return float64(d.ValueAtQuantile(100*q)) / 1e6
}
