package report

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dormouse/configs/strict"
	"dormouse/sim"
	"dormouse/sim/energy"
)

// thresholdForm is [GROUP:] METRIC OP BOUND. A metric has no colon, so that the
// last one ends the group.
var thresholdForm = regexp.MustCompile(`^(?:(.*\S)\s*:)?\s*([^\s:<>=!]+)\s*([<>=!]+)\s*([^\s<>=!].*?)\s*$`)

var operators = []string{"<", "<=", "==", ">=", ">"}

// ParseThreshold reads a threshold such as
//
//	reports.lost == 0
//	drain.p99 < 5s
//	meters: battery.years > 5
//
// which is a metric of [Metrics], one of < <= == >= >, and a bound in the
// metric's unit: times as 200ms, 5s, 1m30s, 3d; shares as 1% or 0.01; years as
// 5 or 5y; charges as 0.1 or 0.1mAh; octets as 1200 or 4KiB; counts as 100. The
// name of a group may come first; whether there is such a group is not asked.
func ParseThreshold(text string) (sim.Threshold, error) {
	f := thresholdForm.FindStringSubmatch(text)
	if f == nil {
		return sim.Threshold{}, fmt.Errorf("threshold %q is not METRIC OP BOUND, such as reports.lost == 0 or meters: drain.p99 < 5s", text)
	}
	t := sim.Threshold{Group: f[1], Metric: f[2], Op: f[3], Text: text}
	m, ok := MetricNamed(t.Metric)
	switch {
	case !ok:
		return sim.Threshold{}, fmt.Errorf("threshold %q: there is no metric %s; did you mean %s?", text, t.Metric, nearest(t.Metric))
	case !slices.Contains(operators, t.Op):
		return sim.Threshold{}, fmt.Errorf("threshold %q: there is no operator %s; it must be one of %s", text, t.Op, strings.Join(operators, " "))
	case m.Run && t.Group != "":
		return sim.Threshold{}, fmt.Errorf("threshold %q: %s is of the whole run; leave out %q", text, t.Metric, t.Group+":")
	}
	var err error
	if t.Bound, err = parseBound(f[4], m.Unit); err != nil {
		return sim.Threshold{}, fmt.Errorf("threshold %q: %w", text, err)
	}
	return t, nil
}

// suffixes are what a number of each unit may end in, and what that is worth.
var suffixes = map[Unit][]struct {
	text  string
	worth float64
}{
	Count:  {{"", 1}},
	Share:  {{"%", 0.01}, {"", 1}},
	Octets: {{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"octets", 1}, {"B", 1}, {"", 1}},
	Years:  {{"years", 1}, {"year", 1}, {"y", 1}, {"", 1}},
	Charge: {{"mAh/day", 1}, {"mAh", 1}, {"", 1}},
}

// forms is how a bound of each unit is written, for messages.
var forms = map[Unit]string{
	Count:   "a number, such as 100",
	Seconds: "a time with its unit, such as 200ms, 5s or 1m30s",
	Share:   "a share, such as 1% or 0.01",
	Octets:  "a number of octets, such as 1200 or 4KiB",
	Years:   "a number of years, such as 5 or 5y",
	Charge:  "a number of mAh a day, such as 0.1",
}

func parseBound(s string, u Unit) (float64, error) {
	v, err := parseQuantity(s, u)
	switch {
	case err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0:
		return 0, fmt.Errorf("the bound %q is not %s", s, forms[u])
	case u == Share && v > 1:
		return 0, fmt.Errorf("the bound %q is more than all; it must be %s", s, forms[u])
	case u == Years && v > energy.ShelfLife:
		return 0, fmt.Errorf("the bound %q is beyond the shelf life of any cell; projections end at %d years", s, energy.ShelfLife)
	}
	return v, nil
}

var errBound = errors.New("not a bound")

func parseQuantity(s string, u Unit) (float64, error) {
	if u == Seconds {
		if days, ok := strings.CutSuffix(s, "d"); ok {
			v, err := number(days)
			return v * (24 * time.Hour).Seconds(), err
		}
		d, err := time.ParseDuration(s)
		return d.Seconds(), err
	}
	for _, x := range suffixes[u] {
		if rest, ok := strings.CutSuffix(s, x.text); ok {
			v, err := number(strings.TrimSpace(rest))
			return v * x.worth, err
		}
	}
	return 0, errBound
}

// number is a plain decimal number: what strconv takes besides, such as
// 0x1p-2, is not for people.
func number(s string) (float64, error) {
	if strings.Trim(s, "0123456789.e-") != "" {
		return 0, errBound
	}
	return strconv.ParseFloat(s, 64)
}

// nearest is the metric whose name is most like name.
func nearest(name string) string {
	var names []string
	for i := range metrics {
		names = append(names, metrics[i].Name)
	}
	closest, _ := strict.Closest(name, names)
	return closest
}

// A Failure is a threshold that a run did not meet.
type Failure struct {
	Threshold string   `json:"threshold"` // as it was written
	Metric    string   `json:"metric"`
	Group     string   `json:"group,omitempty"` // empty: all of them taken together
	Value     *float64 `json:"value"`           // null: it was never measured
	Bound     float64  `json:"bound"`
	Text      string   `json:"text"`
}

// Check returns the thresholds that r does not meet. What was never measured
// meets none.
func (r *Result) Check(ts []sim.Threshold) (failed []Failure) {
	for i := range ts {
		t := &ts[i]
		f := Failure{Threshold: t.Text, Metric: t.Metric, Group: t.Group, Value: r.figure(t.Group, t.Metric), Bound: t.Bound}
		m, _ := MetricNamed(t.Metric)
		whose := ""
		if t.Group != "" {
			whose = " of " + t.Group
		}
		switch {
		case r.group(t.Group) == nil:
			f.Text = fmt.Sprintf("%s: there is no group %s", t.Text, t.Group)
		case f.Value == nil:
			f.Text = fmt.Sprintf("%s: %s%s was never measured", t.Text, t.Metric, whose)
		case meets(*f.Value, t.Op, t.Bound):
			continue
		default:
			f.Text = fmt.Sprintf("%s%s is %s; it must be %s %s",
				t.Metric, whose, quantity(*f.Value, m.Unit), t.Op, strings.TrimPrefix(quantity(t.Bound, m.Unit), "≥ "))
		}
		failed = append(failed, f)
	}
	return failed
}

// figure is a figure of a group, or nil.
func (r *Result) figure(group, metric string) *float64 {
	if g := r.group(group); g != nil {
		if v, ok := g.Metrics[metric]; ok {
			return &v
		}
	}
	return nil
}

func meets(v float64, op string, bound float64) bool {
	switch op {
	case "<":
		return v < bound
	case "<=":
		return v <= bound
	case "==":
		return v == bound
	case ">=":
		return v >= bound
	case ">":
		return v > bound
	}
	return false
}
