package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"dormouse/sim/drive"
)

// TestCut: a run that is cut short is not held to its thresholds, but to its
// invariants, and says so wherever it is told of.
func TestCut(t *testing.T) {
	cut := func(o *drive.Outcome) (r *Result, text, html string) {
		o.Cut = errors.New("ended by a key")
		o.Ran = time.Minute
		never, err := ParseThreshold("reports.sent > 1000000")
		if err != nil {
			t.Fatal(err)
		}
		o.Plan.Thresholds = append(o.Plan.Thresholds, never)
		r = New(o)
		var a, b strings.Builder
		if err := errors.Join(r.Text(&a), r.HTML(&b, nil)); err != nil {
			t.Fatal(err)
		}
		return r, a.String(), b.String()
	}
	r, text, html := cut(fabricated(t, 1))
	if !r.Passed || len(r.Failures) > 0 {
		t.Errorf("it has failed: %v", r.Failures)
	}
	for _, want := range []string{"field-trial: cut short", "after 1 min of 2 h (ended by a key); it is not held to its thresholds"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for _, want := range []string{"<strong>Cut short</strong>", "No invariant is broken so far.", "– <code>reports.sent &gt; 1000000</code>", "so far</span>"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if strings.Contains(html, "<strong>Passed</strong>") || strings.Contains(text, "passed") {
		t.Errorf("it is called passed:\n%s", text)
	}
	if r, text, html = cut(faulty(t)); r.Passed || !strings.Contains(text, "FAILED") || !strings.Contains(html, "<strong>Failed</strong>") {
		t.Errorf("a broken invariant is no failure in a run that is cut short:\n%s", text)
	}
}

// TestTimeless: a run whose times say nothing shows none.
func TestTimeless(t *testing.T) {
	for _, tt := range []struct {
		virtual bool
		took    int64 // microseconds
		want    bool
	}{{true, 1, false}, {true, 20_000, true}, {false, 1, true}} {
		o := fabricated(t, 1)
		o.Virtual = tt.virtual
		for i := range o.Final.Groups {
			for l, h := range o.Final.Groups[i].Latency {
				if h == nil || h.TotalCount() == 0 {
					continue
				}
				h.Reset()
				if err := h.RecordValue(tt.took); err != nil {
					t.Fatalf("%v: %v", l, err)
				}
			}
		}
		var b strings.Builder
		if err := New(o).Text(&b); err != nil {
			t.Fatal(err)
		}
		if shown := strings.Contains(b.String(), "p99"); shown != tt.want || shown == strings.Contains(b.String(), "times say nothing") {
			t.Errorf("with %d µs, virtual %v, it says\n%s", tt.took, tt.virtual, b.String())
		}
	}
}

// TestMachine: what this machine could not do is red on the page.
func TestMachine(t *testing.T) {
	o := fabricated(t, 1)
	o.Final.Shed, o.Final.Late = 3, time.Minute
	var b strings.Builder
	if err := New(o).HTML(&b, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"this machine dropped 3 datagrams", "this machine was up to 1 min late"} {
		if !strings.Contains(b.String(), `<li class="infeasible">`+want) {
			t.Errorf("%q is not on the page, in red", want)
		}
	}
}
