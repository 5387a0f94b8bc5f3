package report

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// A Change is one figure of two runs.
type Change struct {
	Metric   Metric
	Group    string // empty: all of them taken together
	Old, New float64
	Verdict  Verdict
}

// A Verdict is whether a change is for the better.
type Verdict string

// The verdicts. What differs by less than a hundredth is the Same, unless one
// of the two is zero; what may go either way is Different.
const (
	Same      Verdict = "same"
	Better    Verdict = "better"
	Worse     Verdict = "worse"
	Different Verdict = "different"
)

// Compare returns each figure that both runs have, in the order of [Metrics],
// all groups taken together first. Figures that are zero in both are left out.
func Compare(old, now *Result) (all []Change) {
	all = compare(old.All, now.All)
	for _, g := range now.Groups {
		if o := old.group(g.Name); o != nil {
			all = append(all, compare(o, g)...)
		}
	}
	return all
}

func compare(old, now *Group) (all []Change) {
	for _, m := range metrics {
		a, ok1 := old.Metrics[m.Name]
		b, ok2 := now.Metrics[m.Name]
		if ok1 && ok2 && (a != 0 || b != 0) {
			all = append(all, Change{m, now.Name, a, b, judge(m.Wish, a, b)})
		}
	}
	return all
}

func judge(w Wish, old, now float64) Verdict {
	const noise = 0.01
	switch {
	case old == now || old != 0 && now != 0 && math.Abs(now-old) < noise*max(math.Abs(old), math.Abs(now)):
		return Same
	case w == Either:
		return Different
	case (now < old) == (w == Lower):
		return Better
	}
	return Worse
}

// Delta is the change for people: absolute, and as a share of the old figure;
// of shares, in percentage points.
func (c *Change) Delta() string {
	d := c.New - c.Old
	if d == 0 {
		return "±0"
	}
	s := quantity(math.Abs(d), c.Metric.Unit)
	if c.Metric.Unit == Share {
		s = significant(100*math.Abs(d), 3) + " points"
	}
	sign := "+"
	if d < 0 {
		sign = "−"
	}
	s = sign + s
	const manifold = 10
	switch times := c.New / c.Old; {
	case c.Old == 0 || c.Metric.Unit == Share:
	case times >= manifold:
		s += fmt.Sprintf(" (%s times as much)", significant(times, 2))
	default:
		s += fmt.Sprintf(" (%s%s)", sign, percent(math.Abs(d/c.Old)))
	}
	return s
}

// CompareText writes what differs between two runs, one figure a line.
func CompareText(w io.Writer, old, now *Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if old.Name != now.Name || old.Seed != now.Seed {
		fmt.Fprintf(t, "Not the same run: %s with seed %d, and %s with seed %d.\n", old.Name, old.Seed, now.Name, now.Seed)
	}
	same := 0
	fmt.Fprintf(t, "GROUP\tMETRIC\tBEFORE\tNOW\tCHANGE\t\n")
	for _, c := range Compare(old, now) {
		if c.Group != "" && len(now.Groups) == 1 {
			break // it is all there is
		}
		if c.Verdict == Same {
			same++
			continue
		}
		group := c.Group
		if group == "" {
			group = "all"
		}
		verdict := string(c.Verdict)
		if c.Verdict == Different {
			verdict = ""
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", group, c.Metric.Name,
			quantity(c.Old, c.Metric.Unit), quantity(c.New, c.Metric.Unit), c.Delta(), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d more figures are the same, within a hundredth.\n", same)
	return err
}
