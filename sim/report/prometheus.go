package report

import (
	"io"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"dormouse/sim"
)

// Collector gives Prometheus the metrics of a run while it goes on. read is
// called for each scrape, and may return nil before there is anything.
//
// A metric is called dormouse_sim_, its name with underscores, its unit, and
// _total if it only grows. The label group is the name of the group; it is
// empty for all of them taken together. Latencies are summaries.
func Collector(read func() *sim.Stats) prometheus.Collector {
	return collector(func(yield func(group string, g *figures)) {
		s := read()
		if s == nil {
			return
		}
		yield("", statsFigures(together(s)))
		for i := range s.Groups {
			yield(s.Groups[i].Name, statsFigures(of(&s.Groups[i])))
		}
	})
}

// Prometheus writes the metrics of r in Prometheus' text format.
func (r *Result) Prometheus(w io.Writer) error {
	reg := prometheus.NewPedanticRegistry()
	err := reg.Register(collector(func(yield func(group string, g *figures)) {
		yield("", r.All.figures())
		for _, g := range r.Groups {
			yield(g.Name, g.figures())
		}
	}))
	if err != nil {
		return err
	}
	families, err := reg.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return nil
}

// figures are the metrics of a group, and what its latencies sum up to.
type figures map[string]float64

func statsFigures(s *subject) *figures { f := figures(s.figures()); return &f }
func (g *Group) figures() *figures     { f := figures(g.Metrics); return &f }

// A collector yields the figures of groups.
type collector func(yield func(group string, g *figures))

// Describe tells nothing in advance: what there is depends on the run.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the figures.
func (c collector) Collect(to chan<- prometheus.Metric) {
	c(func(group string, g *figures) {
		for i := range metrics {
			m := &metrics[i]
			if v, ok := (*g)[m.Name]; ok && !m.ofLatency() {
				kind := prometheus.GaugeValue
				if m.Counter {
					kind = prometheus.CounterValue
				}
				labels, values := []string{"group"}, []string{group}
				if m.Run {
					labels, values = nil, nil
				}
				to <- prometheus.MustNewConstMetric(prometheus.NewDesc(m.series(), m.Help, labels, nil), kind, v, values...)
			}
		}
		for _, l := range latencies {
			n, ok := (*g)[l.name+".count"]
			if !ok || n == 0 {
				continue
			}
			at := make(map[float64]float64)
			for _, q := range quantiles {
				at[q.of] = (*g)[l.name+"."+q.name]
			}
			to <- prometheus.MustNewConstSummary(prometheus.NewDesc(prefix+l.name+"_seconds", "The time from "+l.text+".", []string{"group"}, nil),
				uint64(n), n*(*g)[l.name+".mean"], at, group)
		}
	})
}

const prefix = "dormouse_sim_"

// ofLatency reports whether m is part of a summary.
func (m *Metric) ofLatency() bool {
	first, _, _ := strings.Cut(m.Name, ".")
	for _, l := range latencies {
		if l.name == first {
			return true
		}
	}
	return false
}

// series is what Prometheus calls m.
func (m *Metric) series() string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	if m.Unit == Share {
		name = strings.TrimSuffix(name, "_share") + "_ratio"
	}
	if m.Counter {
		name += "_total"
	}
	return prefix + name
}
