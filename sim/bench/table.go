package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// A Table is what was measured. Its JSON is an interface.
type Table struct {
	Scale   float64   `json:"scale"`
	Seconds float64   `json:"seconds"` // Options.For
	Cores   int       `json:"cores"`
	Figures []*Figure `json:"figures"`
}

func newTable(o Options) *Table {
	return &Table{Scale: o.Scale, Seconds: o.For.Seconds(), Cores: runtime.NumCPU(), Figures: []*Figure{}}
}

// A Figure is one that was measured. No other has the same Row, What and
// Durability.
type Figure struct {
	Row        string     `json:"row"`
	What       string     `json:"what"`
	Durability Durability `json:"durability,omitempty"`
	Value      float64    `json:"value"`
	Unit       string     `json:"unit"`

	// Goal is what Value should be at least, or at most. Ratio is how many times
	// better than that it is: 1 or more reaches it. Both are zero without a goal.
	Goal  float64 `json:"goal,omitempty"`
	Less  bool    `json:"at_most,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`

	// Peers are what others had, under the same load in turn.
	Peers map[string]float64 `json:"peers,omitempty"`

	// Counts are of what was done, such as messages. They do not depend on the machine.
	Counts map[string]int `json:"counts,omitempty"`
}

// add adds a figure of the row that is being measured.
func (h *harness) add(d Durability, what string, value float64, unit string) *Figure {
	f := &Figure{Row: h.row, What: what, Durability: d, Value: finite(value), Unit: unit}
	h.table.Figures = append(h.table.Figures, f)
	fmt.Fprintf(h.tell, "%s: %s %s %s\n", h.row, f.name(), number(value), unit)
	return f
}

func (f *Figure) name() string {
	if f.Durability == "" {
		return f.What
	}
	return f.What + ", durability " + string(f.Durability)
}

// atLeast says what f should be, or more.
func (f *Figure) atLeast(goal float64) *Figure {
	f.Goal, f.Ratio = goal, finite(f.Value/goal)
	return f
}

// atMost says what f should be, or less. Nothing at all is as good as can be told.
func (f *Figure) atMost(goal float64) *Figure {
	f.Goal, f.Less, f.Ratio = goal, true, finite(goal/f.Value)
	return f
}

// finite is v, or something else that JSON can say. What took no time that can be
// told is infinitely fast.
func finite(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return min(max(v, -1e9), 1e9)
}

// peer says what another had, unless there is none.
func (f *Figure) peer(name string, value float64) *Figure {
	if f.Peers == nil {
		f.Peers = make(map[string]float64)
	}
	f.Peers[name] = finite(value)
	return f
}

// count says what was done.
func (f *Figure) count(name string, n int) *Figure {
	if f.Counts == nil {
		f.Counts = make(map[string]int)
	}
	f.Counts[name] = n
	return f
}

// WriteJSON writes it for programs.
func (t *Table) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(t)
}

// WriteText writes it for people.
func (t *Table) WriteText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\twhat\tfigure\tgoal\ttimes the goal\tpeers")
	before := ""
	for _, f := range t.Figures {
		name := f.Row
		if name == before {
			name = ""
		}
		before = f.Row
		goal, ratio := "", ""
		if f.Goal > 0 {
			goal, ratio = "at least "+number(f.Goal), number(f.Ratio)
			if f.Less {
				goal = "at most " + number(f.Goal)
			}
			if f.Ratio < 1 {
				ratio += " missed"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\t%s\t%s\n", name, f.name(), number(f.Value), f.Unit, goal, ratio, f.peers())
	}
	return w.Flush()
}

// peers are figures of others, and how many times ours they are.
func (f *Figure) peers() string {
	var said []string
	for _, name := range slices.Sorted(maps.Keys(f.Peers)) {
		said = append(said, fmt.Sprintf("%s %s (x%s)", name, number(f.Peers[name]), number(f.Peers[name]/f.Value)))
	}
	return strings.Join(said, ", ")
}

// number has three digits that count, and all of those before the point.
func number(v float64) string {
	digits := 0
	if v != 0 && !math.IsInf(v, 0) && !math.IsNaN(v) {
		digits = min(6, max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))))
	}
	s := fmt.Sprintf("%.*f", digits, v)
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest = strings.TrimRight(rest, "0"); rest != "" {
		return whole + "." + rest
	}
	return whole
}
