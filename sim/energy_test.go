package sim_test

import (
	"math"
	"testing"
	"time"

	"dormouse/sim"
	"dormouse/sim/simtest"
)

// TestEnergyTable runs real clients for the energy model's first results, and
// wants the same within 5 %.
func TestEnergyTable(t *testing.T) {
	for _, c := range simtest.Cells() {
		w := sim.NewWorld(t, c.Plan)
		w.Until(c.Plan.Duration())
		s := w.Close()
		got := s.Groups[0].Energy.Report.Drain.Sum()
		if math.Abs(got/c.Want-1) > 0.05 {
			t.Errorf("%s, %s: %.4f mAh a day; want %v within 5 %%", c.Radio, c.Column, got, c.Want)
		}
		if u := s.Groups[0].Ledger.Uplink; u.Received != u.Sent || u.Sent < simtest.Days*96-1 {
			t.Errorf("%s, %s: %+v; want all of %d reports received", c.Radio, c.Column, u, simtest.Days*96)
		}
		if d := s.Groups[0].Energy.Total.Days; math.Abs(d-simtest.Days) > float64(time.Minute)/float64(24*time.Hour) {
			t.Errorf("%s, %s: %v days are charged; want %v", c.Radio, c.Column, d, simtest.Days)
		}
		t.Logf("%-10s %-22s %.4f (%+.2f %%)  %v", c.Radio, c.Column, got, 100*(got/c.Want-1), s.Groups[0].Energy.Report.Drain)
	}
}
