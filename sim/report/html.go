package report

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
	"strings"
)

// What the page is made of. uPlot is by Leon Sorokin, under the MIT licence.
var (
	//go:embed page/report.html
	pageHTML string
	//go:embed page/report.css
	pageCSS string
	//go:embed page/report.js
	pageJS string
	//go:embed page/uPlot.iife.min.js
	uplotJS string
	//go:embed page/uPlot.min.css
	uplotCSS string
	//go:embed page/uPlot.LICENSE
	uplotLicence string
)

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"quantity": func(v float64, u Unit) string { return quantity(v, u) },
	"count":    func(n uint64) string { return thousands(float64(n)) },
	"seconds":  seconds,
	"octets":   octets,
	"words":    func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"len64":    func(v []Violation) uint64 { return uint64(len(v)) },
	"grave":    func(s string) bool { return strings.HasPrefix(s, "infeasible") || strings.HasPrefix(s, "this machine") },
	"mark": func(v Verdict) string {
		return map[Verdict]string{Better: "▲ better", Worse: "▼ worse"}[v]
	},
}).Parse(pageHTML))

// HTML writes r as a page that needs no network. before may be nil, or an older
// run to compare with.
func (r *Result) HTML(w io.Writer, before *Result) error {
	return pageTemplate.Execute(w, newPage(r, before))
}

// A page is what the template shows of a Result.
type page struct {
	*Result
	Style      template.CSS
	Library    template.JS
	Script     template.JS
	Data       data
	Tiles      []tile
	Comparison *comparison
	Groups     []*shown
	Everyone   []*shown // all taken together, then the groups; only the group if there is one
	Powered    []*shown // groups with a battery
	Timeline   []moment
	Causes     []titled
	Caveats    []string
	Rows       []row
}

// A titled thing has a short name and an explanation.
type titled struct{ Title, Text string }

// A cell is one figure in a table.
type cell struct{ Metric, Group, Text, Class string }

// A row is one metric of everyone.
type row struct {
	Metric Metric
	Cells  []cell
}

// A moment is a stage or an event.
type moment struct{ At, For, What string }

// A tile is one of the figures that are read first.
type tile struct {
	Name, Metric, Value, More string
	Bad                       bool
	Change                    *Change
}

func newPage(r, before *Result) *page {
	p := &page{
		Result: r, Data: newData(r, before),
		Style:    template.CSS(uplotCSS + "\n" + pageCSS),
		Library:  template.JS("/*! uPlot\n" + uplotLicence + "*/\n" + uplotJS),
		Script:   template.JS(pageJS),
		Tiles:    tiles(r, before),
		Timeline: timeline(r),
	}
	for i, g := range r.Groups {
		s := &shown{Group: g, Index: i}
		if before != nil {
			s.before = before.group(g.Name)
		}
		p.Groups = append(p.Groups, s)
		if g.Energy != nil {
			p.Powered = append(p.Powered, s)
		}
		for _, c := range g.Caveats {
			if !slices.Contains(p.Caveats, c) {
				p.Caveats = append(p.Caveats, c)
			}
		}
	}
	p.Everyone = p.Groups
	if len(p.Groups) != 1 {
		p.Everyone = slices.Concat([]*shown{{Group: r.All}}, p.Groups)
	}
	for _, c := range Causes {
		p.Causes = append(p.Causes, titled{strings.ReplaceAll(c.Name, "_", " "), c.Text})
	}
	for _, m := range metrics {
		p.Rows = append(p.Rows, newRow(m, p.Everyone, r.All))
	}
	if before != nil {
		p.Comparison = newComparison(before, r)
	}
	return p
}

func newRow(m Metric, everyone []*shown, all *Group) row {
	r := row{Metric: m}
	for _, g := range everyone {
		of := g.Group
		if m.Run && len(everyone) == 1 {
			of = all
		}
		c := cell{Metric: m.Name, Group: of.Name}
		if v, ok := of.Metrics[m.Name]; ok {
			c.Text = quantity(v, m.Unit)
		}
		r.Cells = append(r.Cells, c)
	}
	return r
}

func timeline(r *Result) (all []moment) {
	at := func(s float64) string {
		if s == 0 {
			return "0"
		}
		return seconds(s)
	}
	for _, s := range r.Stages {
		all = append(all, moment{at(s.At), seconds(s.For), "stage " + s.Name})
	}
	for _, e := range r.Events {
		m := moment{At: at(e.At), What: strings.ReplaceAll(e.Kind, "-", " ")}
		if e.For > 0 {
			m.For = seconds(e.For)
		}
		if e.Group != "" {
			m.What += ", " + e.Group
		}
		if e.Share > 0 && e.Share < 1 {
			m.What += ", " + percent(e.Share) + " of the devices"
		}
		all = append(all, m)
	}
	return all
}

// tiles are the figures that are read first.
func tiles(r, before *Result) (all []tile) {
	m := r.All.Metrics
	add := func(name, metric string, bad bool, more string) {
		v, ok := m[metric]
		if !ok {
			return
		}
		what, _ := MetricNamed(metric)
		t := tile{Name: name, Metric: metric, Value: quantity(v, what.Unit), More: more, Bad: bad}
		if before != nil {
			if old, ok := before.All.Metrics[metric]; ok {
				if c := (Change{what, "", old, v, judge(what.Wish, old, v)}); c.Verdict != Same {
					t.Change = &c
				}
			}
		}
		all = append(all, t)
	}
	figure := func(name string) string {
		what, _ := MetricNamed(name)
		return r.All.figure(name, what.Unit)
	}
	if m["reports.sent"] > 0 {
		add("Reports received", "reports.received", false, "of "+figure("reports.sent")+" sent; "+figure("reports.lost_share")+" lost")
	}
	if m["commands.accepted"] > 0 {
		add("Commands delivered", "commands.delivered", false, "of "+figure("commands.accepted")+"; "+figure("commands.lost_share")+" lost, "+figure("commands.late")+" late")
	}
	for _, l := range []struct{ name, of string }{
		{"End to end, p99", "end_to_end"}, {"Wake to drained, p99", "drain"}, {"Connect, p99", "connect"}} {
		if m[l.of+".count"] > 0 {
			add(l.name, l.of+".p99", false, "half within "+figure(l.of+".p50"))
		}
	}
	add("Sent again", "retransmissions.share", false, figure("loss.up")+" lost on the radio")
	add("Battery, shortest life", "battery.years", false, "of the mean device of a group")
	add("Invariants broken", "violations", r.Broken > 0, "among "+devices(m["devices"]))
	return all
}

// Figure is the figure of that name for people.
func (g *Group) Figure(name string) string {
	m, _ := MetricNamed(name)
	return g.figure(name, m.Unit)
}

// A comparison is what changed since a run before.
type comparison struct {
	Before              *Result
	Differs             bool // it was another scenario or seed
	Better, Worse, Same int
	Groups              []compared
}

// A compared group has what changed in it.
type compared struct {
	Name          string
	Changed, Same []Change
}

func newComparison(before, now *Result) *comparison {
	c := &comparison{Before: before, Differs: before.Name != now.Name || before.Seed != now.Seed}
	for _, x := range Compare(before, now) {
		if x.Group != "" && len(now.Groups) == 1 {
			break // it is all there is
		}
		switch {
		case x.Group != "":
		case x.Verdict == Better:
			c.Better++
		case x.Verdict == Worse:
			c.Worse++
		case x.Verdict == Same:
			c.Same++
		}
		if n := len(c.Groups); n == 0 || c.Groups[n-1].Name != x.Group {
			c.Groups = append(c.Groups, compared{Name: x.Group})
		}
		g := &c.Groups[len(c.Groups)-1]
		if x.Verdict == Same {
			g.Same = append(g.Same, x)
		} else {
			g.Changed = append(g.Changed, x)
		}
	}
	return c
}

// data is what the script draws.
type data struct {
	*drawn
	Stages []Stage `json:"stages"`
	Events []Event `json:"events"`
	Before *drawn  `json:"before"`
}

// drawn is what the script draws of one run; all groups taken together first.
type drawn struct {
	At     []float64             `json:"at"`
	Names  []string              `json:"names"`
	Series []*Series             `json:"series"`
	Times  []map[string]*Latency `json:"times"`
	Lives  []*Life               `json:"lives"`
}

func newData(r, before *Result) data {
	return data{newDrawn(r, r), r.Stages, r.Events, newDrawn(before, r)}
}

// newDrawn is what to draw of r in the order of the groups of now, nil for those
// that r does not have.
func newDrawn(r, now *Result) *drawn {
	if r == nil {
		return nil
	}
	d := &drawn{At: r.Samples.At}
	add := func(name string, g *Group, s *Series) {
		d.Names = append(d.Names, name)
		d.Series = append(d.Series, s)
		if g == nil {
			g = &Group{}
		}
		d.Times = append(d.Times, g.Latencies)
		d.Lives = append(d.Lives, g.Life)
	}
	add("", r.All, r.Samples.All)
	for _, g := range now.Groups {
		i := slices.IndexFunc(r.Groups, func(o *Group) bool { return o.Name == g.Name })
		if i < 0 {
			add(g.Name, nil, nil)
			continue
		}
		add(g.Name, r.Groups[i], r.Samples.Groups[i])
	}
	return d
}
