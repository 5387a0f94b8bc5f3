package report

import (
	"slices"
	"strings"

	"dormouse/sim/energy"
)

// A shown is a group as the template shows it.
type shown struct {
	*Group
	Index  int
	before *Group
}

// A timed is one latency.
type timed struct {
	titled
	Cells []cell
}

// Times are the latencies that were measured.
func (s *shown) Times() (all []timed) {
	for _, l := range latencies {
		if s.Metrics[l.name+".count"] == 0 {
			continue
		}
		t := timed{titled: titled{strings.ReplaceAll(l.name, "_", " "), l.text}}
		for _, q := range []string{"count", "mean", "p50", "p90", "p95", "p99", "p999", "max"} {
			name := l.name + "." + q
			t.Cells = append(t.Cells, cell{Metric: name, Text: s.Figure(name)})
		}
		all = append(all, t)
	}
	return all
}

// Ways are what the radio did in each direction.
func (s *shown) Ways() (all []timed) {
	for _, way := range ways {
		t := timed{titled: titled{Title: way.name}}
		names := []string{"datagrams." + way.name, "octets." + way.name, "retransmissions." + way.name, "loss." + way.name}
		for _, c := range Causes {
			names = append(names, "lost."+way.name+"."+c.Name)
		}
		for i, name := range names {
			c := cell{Metric: name, Text: s.Figure(name)}
			switch v := s.Metrics[name]; {
			case v == 0:
				c.Class = "zero"
			case i >= 4 && Causes[i-4].outcome.Infeasible():
				c.Class = "infeasible"
			}
			t.Cells = append(t.Cells, c)
		}
		all = append(all, t)
	}
	return all
}

// A spent is what went into one bucket.
type spent struct {
	Bucket, Text string
	Percent      float64 // of the wider of the bars that are compared
}

// Spent is the mean device's charge by bucket, what is nothing left out.
func (s *shown) Spent() []spent { return spentBy(s.Group, s.widest()) }

// SpentBefore is that of the run before.
func (s *shown) SpentBefore() []spent {
	if s.before == nil {
		return nil
	}
	return spentBy(s.before, s.widest())
}

func (s *shown) widest() float64 {
	w := s.Metrics["battery.mah_per_day"]
	if s.before != nil {
		w = max(w, s.before.Metrics["battery.mah_per_day"])
	}
	return w
}

func spentBy(g *Group, widest float64) (all []spent) {
	for b := range energy.NumBuckets {
		name := b.String()
		if v := g.Metrics["battery.mah_per_day."+name]; v > 0 {
			all = append(all, spent{name, significant(v, 3), round(100*v/widest, 3)})
		}
	}
	return all
}

// Charged reports whether there is a battery to charge packets to.
func (s *shown) Charged() bool {
	return slices.ContainsFunc(s.Packets, func(p Packet) bool { return p.Charge > 0 })
}

// A shared is a packet type with its share of the octets.
type shared struct {
	Packet
	Text    string
	Percent float64
}

// Shared are the packets with their shares of the octets.
func (s *shown) Shared() (all []shared) {
	var sum uint64
	for i := range s.Packets {
		sum += s.Packets[i].Octets()
	}
	for _, p := range s.Packets {
		v, _ := ratio(p.Octets(), sum)
		all = append(all, shared{p, percent(v), round(100*v, 3)})
	}
	return all
}

// Assumed is how many parameters have no public source.
func (s *shown) Assumed() (n int) {
	if s.Energy != nil {
		for _, src := range s.Energy.Sources {
			if src.Assumed {
				n++
			}
		}
	}
	return n
}
