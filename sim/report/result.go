package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Format and Schema are in every result that is written as JSON. Schema grows
// when a name or a meaning changes; names that are added do not count.
const (
	Format = "dormouse-sim-result"
	Schema = 1
)

// A Result is what a run came to, with all that its report needs. Times are in
// seconds since the start of the run.
type Result struct {
	Format string `json:"format"`
	Schema int    `json:"schema"`

	Name    string `json:"name"`
	About   string `json:"about,omitempty"`
	Seed    uint64 `json:"seed,string"` // a string: not every reader keeps 64 bits
	Command string `json:"command"`     // the command line that repeats the run
	Target  string `json:"target"`      // what the devices spoke to, and by which clock
	Version string `json:"version,omitempty"`

	Virtual bool    `json:"virtual"`
	Planned float64 `json:"planned_s"` // what the stages take
	Ran     float64 `json:"ran_s"`     // the run's own time, with what it took to settle
	Elapsed float64 `json:"elapsed_s"` // by the clock on the wall
	Cut     string  `json:"cut,omitempty"`

	Passed     bool        `json:"passed"`     // no invariant is broken, and every threshold met; a run cut short is not held to them
	Thresholds []Threshold `json:"thresholds"` // all of them
	Failures   []Failure   `json:"failures"`   // those that are not met, unless the run was cut short
	Broken     uint64      `json:"broken"`     // invariants, all of them
	Violations []Violation `json:"violations"` // the first of them
	Shed       uint64      `json:"shed"`
	Late       float64     `json:"late_s"` // how late this machine was at most, by the wall clock

	Silent float64 `json:"silent_s"` // how long at the end the gateway owed an answer, and gave none

	Used []Use `json:"used,omitempty"` // of this machine

	Stages []Stage `json:"stages"`
	Events []Event `json:"events"`

	All    *Group   `json:"all"` // all groups taken together; its name is empty
	Groups []*Group `json:"groups"`

	Samples Samples `json:"samples"`
}

// A Threshold is a figure and its bound.
type Threshold struct {
	Text   string   `json:"text"` // as it was written
	Metric string   `json:"metric"`
	Group  string   `json:"group,omitempty"` // empty: all of them taken together
	Value  *float64 `json:"value"`           // null: it was never measured
	Met    bool     `json:"met"`
}

// Figure is the figure for people.
func (t *Threshold) Figure() string {
	if t.Value == nil {
		return "not measured"
	}
	m, _ := MetricNamed(t.Metric)
	return quantity(*t.Value, m.Unit)
}

// A Violation is one invariant broken, once.
type Violation struct {
	Rule   string   `json:"rule"`
	At     float64  `json:"at_s"`
	Group  string   `json:"group"`
	Device int      `json:"device"`
	Text   string   `json:"text"`
	Trace  []string `json:"trace"`
}

// A Stage is a time in which groups keep to their workloads.
type Stage struct {
	Name string  `json:"name"`
	At   float64 `json:"at_s"`
	For  float64 `json:"for_s"`
}

// An Event is something that befell a group, or all.
type Event struct {
	Kind  string  `json:"kind"`
	At    float64 `json:"at_s"`
	For   float64 `json:"for_s,omitempty"`
	Group string  `json:"group,omitempty"` // empty: all
	Share float64 `json:"share,omitempty"` // of the devices
}

// A Group is what one group came to, or all.
type Group struct {
	Name      string              `json:"name"`
	Metrics   map[string]float64  `json:"metrics"` // by the names of Metrics; what was not measured is not there
	Latencies map[string]*Latency `json:"latencies"`
	Packets   []Packet            `json:"packets"`        // the type with the most octets comes first
	Life      *Life               `json:"life,omitempty"` // nil: there is no battery
	Energy    *Energy             `json:"energy,omitempty"`
	Settings  []Setting           `json:"settings,omitempty"` // what the scenario says of the group
	Caveats   []string            `json:"caveats,omitempty"`  // what to bear in mind about the models
}

// A Latency is a distribution of times.
type Latency struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min_s"`
	Mean  float64 `json:"mean_s"`
	Max   float64 `json:"max_s"`

	// Curve is the time within which a share of the measurements lies. The
	// shares come close to 1 in steps that are even on a logarithmic scale of
	// 1/(1-share).
	Shares []float64 `json:"shares"`
	Curve  []float64 `json:"curve_s"`
}

// A Packet is what packets of one type came to.
type Packet struct {
	Type          string `json:"type"`
	DatagramsUp   uint64 `json:"datagrams_up"`
	DatagramsDown uint64 `json:"datagrams_down"`
	OctetsUp      uint64 `json:"octets_up"`
	OctetsDown    uint64 `json:"octets_down"`

	Charge float64 `json:"mah_per_day,omitempty"` // of the mean device, with waiting for answers to them
}

// Octets is both ways.
func (p *Packet) Octets() uint64 { return p.OctetsUp + p.OctetsDown }

// Life is how long batteries last: the share of the devices in each bin. Bin i
// begins at i times Bin years. What would live longer than a cell's shelf life
// is in the last one.
type Life struct {
	Bin    float64   `json:"bin_years"`
	Shares []float64 `json:"shares"`
}

// Energy is what a user reads about the battery of a group.
type Energy struct {
	Radio      string   `json:"radio"`
	Board      string   `json:"board"`
	Battery    string   `json:"battery"`
	Life       string   `json:"life"` // of the mean device, in words
	Capped     bool     `json:"capped"`
	Advice     []Advice `json:"advice"`
	Infeasible []string `json:"infeasible"`
	Pulse      string   `json:"pulse,omitempty"` // the radio asks for more than the battery gives
	Sources    []Source `json:"sources"`
}

// Advice is what to change, and what that saves of the mean device's charge.
type Advice struct {
	Text  string  `json:"text"`
	Saves float64 `json:"mah_per_day"`
}

// A Source says where a parameter comes from.
type Source struct {
	Parameter string `json:"parameter"`
	From      string `json:"from"`
	Assumed   bool   `json:"assumed"`
}

// A Setting is one thing that the scenario says.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Samples is how the run went, moment by moment: rates and shares are since
// the moment before, states are of the moment. Each Series has one figure for
// each moment of At.
type Samples struct {
	At     []float64 `json:"at_s"`
	All    *Series   `json:"all"`
	Groups []*Series `json:"groups"` // as Result.Groups
}

// A Series is how one group fares over time.
type Series struct {
	Up       []float64            `json:"datagrams_up_per_s"`
	Down     []float64            `json:"datagrams_down_per_s"`
	Sent     []float64            `json:"reports_sent_per_s"`
	Received []float64            `json:"reports_received_per_s"`
	Commands []float64            `json:"commands_delivered_per_s"`
	Again    []float64            `json:"retransmissions_share"` // of the datagrams up
	LostUp   []float64            `json:"lost_up_share"`         // of the datagrams handed to the radio
	LostDown []float64            `json:"lost_down_share"`
	States   map[string][]float64 `json:"states"` // devices
}

// group is the group of that name, all if it is empty, or nil.
func (r *Result) group(name string) *Group {
	if name == "" {
		return r.All
	}
	for _, g := range r.Groups {
		if g.Name == name {
			return g
		}
	}
	return nil
}

// Infeasible is what the radios of the run could not do, group by group, in
// sentences. If there is any, the figures hold for no device that exists.
func (r *Result) Infeasible() (all []string) {
	for _, g := range r.Groups {
		if g.Energy != nil && len(g.Energy.Infeasible) > 0 {
			for _, s := range g.Energy.Infeasible {
				all = append(all, g.Name+": "+strings.TrimPrefix(s, "infeasible "))
			}
			continue // the radio counted the same
		}
		for _, c := range Causes {
			if !c.outcome.Infeasible() {
				continue
			}
			for _, way := range ways {
				if n := g.Metrics["lost."+way.name+"."+c.Name]; n > 0 {
					all = append(all, fmt.Sprintf("%s: %s datagrams going %s were never sent: %s", g.Name, thousands(n), way.name, c.Text))
				}
			}
		}
	}
	return all
}

// JSON writes r. [ReadResult] reads it.
func (r *Result) JSON(w io.Writer) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// ReadResult reads what [Result.JSON] wrote.
func ReadResult(rd io.Reader) (*Result, error) {
	r := new(Result)
	d := json.NewDecoder(rd)
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("this is not the result of a run as JSON: %w", err)
	}
	switch {
	case r.Format != Format:
		return nil, fmt.Errorf("this is not the result of a run: format is %q, not %q", r.Format, Format)
	case r.Schema < 1 || r.Schema > Schema:
		return nil, fmt.Errorf("the result is of schema %d, and this program reads up to %d: use the program that wrote it", r.Schema, Schema)
	case r.All == nil || r.Samples.All == nil || len(r.Samples.Groups) != len(r.Groups):
		return nil, fmt.Errorf("the result is cut short: a group or its samples are not there")
	}
	return r, r.check()
}

// check wants what the page takes for granted, of a file that anyone wrote.
func (r *Result) check() error {
	for _, s := range append(r.Samples.Groups, r.Samples.All) {
		if s == nil {
			return fmt.Errorf("the result is cut short: samples of a group are not there")
		}
		for name, column := range s.columns() {
			if len(column) != len(r.Samples.At) {
				return fmt.Errorf("the result is cut short: %d samples of %s, but %d moments", len(column), name, len(r.Samples.At))
			}
		}
	}
	for _, g := range append(r.Groups, r.All) {
		if g == nil {
			return fmt.Errorf("the result is cut short: a group is not there")
		}
		for name, l := range g.Latencies {
			if l == nil || len(l.Shares) != len(l.Curve) {
				return fmt.Errorf("the result is cut short: the curve of %s is not whole", name)
			}
		}
	}
	return nil
}

// columns yields the figures of s by the name of what they are.
func (s *Series) columns() map[string][]float64 {
	m := map[string][]float64{
		"datagrams up": s.Up, "datagrams down": s.Down, "reports sent": s.Sent, "reports received": s.Received,
		"commands": s.Commands, "retransmissions": s.Again, "loss up": s.LostUp, "loss down": s.LostDown,
	}
	for state, column := range s.States {
		m["state "+state] = column
	}
	return m
}
