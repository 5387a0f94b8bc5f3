package report

import (
	"strings"
	"testing"
)

func TestDelta(t *testing.T) {
	for _, tt := range []struct {
		metric   string
		old, now float64
		want     string
	}{
		{"connects", 500, 530, "+30 (+6 %)"},
		{"connects", 500, 500, "±0"},
		{"connects", 500, 0, "−500 (−100 %)"},
		{"connects", 0, 30, "+30"},
		{"drain.p99", 0.0565, 20.2, "+20.1 s (358 times as much)"},
		{"drain.p99", 1, 9.9, "+8.9 s (+890 %)"},
		{"reports.lost_share", 0.01, 0.004, "−0.6 points"},
		{"battery.years", 2, 1, "−1 year (−50 %)"},
	} {
		m, ok := MetricNamed(tt.metric)
		if !ok {
			t.Fatal(tt.metric)
		}
		if got := (&Change{Metric: m, Old: tt.old, New: tt.now}).Delta(); got != tt.want {
			t.Errorf("%s from %v to %v is %q; want %q", tt.metric, tt.old, tt.now, got, tt.want)
		}
	}
}

// TestCompareOneGroup: what is all there is, is said once.
func TestCompareOneGroup(t *testing.T) {
	old, now := fabricated(t, 1), fabricated(t, 1)
	old.Final.Groups, now.Final.Groups = old.Final.Groups[:1], now.Final.Groups[:1]
	now.Final.Groups[0].Connects += 1000
	var b strings.Builder
	if err := CompareText(&b, New(old), New(now)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), " connects "); n != 1 {
		t.Errorf("connects are compared %d times:\n%s", n, b.String())
	}
}
