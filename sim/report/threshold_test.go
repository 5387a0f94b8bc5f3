package report

import (
	"strings"
	"testing"

	"dormouse/sim"
)

func TestParseThreshold(t *testing.T) {
	for _, tt := range []struct {
		text string
		want sim.Threshold
	}{
		{"reports.lost == 0", sim.Threshold{Metric: "reports.lost", Op: "=="}},
		{"drain.p99 < 5s", sim.Threshold{Metric: "drain.p99", Op: "<", Bound: 5}},
		{"drain.p99<200ms", sim.Threshold{Metric: "drain.p99", Op: "<", Bound: 0.2}},
		{"  drain.max <= 1m30s ", sim.Threshold{Metric: "drain.max", Op: "<=", Bound: 90}},
		{"command.max <= 1.5d", sim.Threshold{Metric: "command.max", Op: "<=", Bound: 1.5 * 86400}},
		{"connect.p50 == 0", sim.Threshold{Metric: "connect.p50", Op: "=="}},
		{"reports.lost_share <= 1%", sim.Threshold{Metric: "reports.lost_share", Op: "<=", Bound: 0.01}},
		{"reports.lost_share <= 0.5 %", sim.Threshold{Metric: "reports.lost_share", Op: "<=", Bound: 0.005}},
		{"loss.up > 0.2", sim.Threshold{Metric: "loss.up", Op: ">", Bound: 0.2}},
		{"octets.up < 4KiB", sim.Threshold{Metric: "octets.up", Op: "<", Bound: 4096}},
		{"octets.per_report < 60", sim.Threshold{Metric: "octets.per_report", Op: "<", Bound: 60}},
		{"meters: battery.years > 5", sim.Threshold{Group: "meters", Metric: "battery.years", Op: ">", Bound: 5}},
		{"the meters : battery.years.p10 >= 5 years", sim.Threshold{Group: "the meters", Metric: "battery.years.p10", Op: ">=", Bound: 5}},
		{"a:b: battery.mah_per_day < 0.1 mAh", sim.Threshold{Group: "a:b", Metric: "battery.mah_per_day", Op: "<", Bound: 0.1}},
		{"connects >= 1e3", sim.Threshold{Metric: "connects", Op: ">=", Bound: 1000}},
		{"violations == 0", sim.Threshold{Metric: "violations", Op: "=="}},
	} {
		tt.want.Text = tt.text
		got, err := ParseThreshold(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("ParseThreshold(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestParseThresholdRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "is not METRIC OP BOUND",
		"reports.lost":                 "is not METRIC OP BOUND",
		"reports.lost ==":              "is not METRIC OP BOUND",
		": reports.lost == 0":          "is not METRIC OP BOUND",
		"reports.lots == 0":            "there is no metric reports.lots; did you mean reports.lost?",
		"drain.p99.9 < 5s":             "there is no metric drain.p99.9; did you mean drain.p999?",
		"reports.lost = 0":             "there is no operator =; it must be one of < <= == >= >",
		"reports.lost != 0":            "there is no operator !=",
		"drain.p99 < 5":                `the bound "5" is not a time with its unit`,
		"drain.p99 < -5s":              `the bound "-5s" is not a time`,
		"reports.lost_share < 150%":    `the bound "150%" is more than all`,
		"reports.lost < NaN":           `the bound "NaN" is not a number`,
		"reports.lost < 0x10":          `the bound "0x10" is not a number`,
		"reports.lost < 1e999":         `the bound "1e999" is not a number`,
		"reports.lost < 5s":            `the bound "5s" is not a number`,
		"battery.years > 20":           "projections end at 15 years",
		"meters: violations == 0":      `violations is of the whole run; leave out "meters:"`,
		"reports.sent > 5 or whatever": "is not a number",
	} {
		got, err := ParseThreshold(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("ParseThreshold(%q) = %+v, %v; want an error with %q", text, got, err, want)
		}
	}
}

// TestCheck meets a bound and misses it, with each operator on either side.
func TestCheck(t *testing.T) {
	r := &Result{
		All:    &Group{Metrics: map[string]float64{"connects": 7, "drain.p99": 5.25}},
		Groups: []*Group{{Name: "meters", Metrics: map[string]float64{"connects": 3}}},
	}
	for text, want := range map[string]string{
		"connects < 8": "", "connects < 7": "connects is 7; it must be < 7",
		"connects <= 7": "", "connects <= 6": "connects is 7; it must be <= 6",
		"connects == 7": "", "connects == 6": "connects is 7; it must be == 6",
		"connects >= 7": "", "connects >= 8": "connects is 7; it must be >= 8",
		"connects > 6": "", "connects > 7": "connects is 7; it must be > 7",
		"meters: connects == 3": "", "meters: connects == 7": "connects of meters is 3; it must be == 7",
		"drain.p99 < 6s": "", "drain.p99 < 5s": "drain.p99 is 5.25 s; it must be < 5 s",
		"ack.p99 < 5s":          "ack.p99 < 5s: ack.p99 was never measured",
		"soil: connects == 7":   "soil: connects == 7: there is no group soil",
		"meters: loss.up < 50%": "meters: loss.up < 50%: loss.up of meters was never measured",
	} {
		th, err := ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		failed := r.Check([]sim.Threshold{th})
		switch {
		case want == "" && len(failed) > 0:
			t.Errorf("%s: %s", text, failed[0].Text)
		case want != "" && (len(failed) != 1 || failed[0].Text != want || failed[0].Threshold != text):
			t.Errorf("%s: %+v; want %q", text, failed, want)
		}
	}
}

// TestThresholdFails has a threshold that is missed fail the run, and broken
// invariants too.
func TestThresholdFails(t *testing.T) {
	o := fabricated(t, 1)
	if r := New(o); !r.Passed || len(r.Failures) != 0 || len(r.Thresholds) != 3 {
		t.Fatalf("passed %v, failures %+v", r.Passed, r.Failures)
	}
	th, err := ParseThreshold("trackers: drain.p99 < 1s")
	if err != nil {
		t.Fatal(err)
	}
	o.Plan.Thresholds = append(o.Plan.Thresholds, th)
	r := New(o)
	if r.Passed || len(r.Failures) != 1 || r.Failures[0].Group != "trackers" || *r.Failures[0].Value != r.group("trackers").Metrics["drain.p99"] {
		t.Errorf("passed %v, failures %+v", r.Passed, r.Failures)
	}
	o = fabricated(t, 1)
	o.Final.Broken = 1
	if New(o).Passed {
		t.Error("passed with an invariant broken")
	}
}
