package main

import (
	"math"
	"testing"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/sim/drive"
	"dormouse/sim/simtest"
)

// TestEnergyTable: the energy model's first results, but for DTLS, come out
// within 5 % of real clients at the real gateway.
func TestEnergyTable(t *testing.T) {
	t.Parallel()
	cells := simtest.Cells()
	if len(cells) != 20 {
		t.Errorf("the table has %d cells, want 5 radios by 4 columns", len(cells))
	}
	for _, c := range cells {
		w, err := newWorld(config.Default(), c.Plan.Seed, drive.Start, store.Volatile{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := drive.Virtual(t.Context(), c.Plan, w, drive.Options{})
		if err != nil {
			t.Fatal(err)
		}
		g := &out.Final.Groups[0]
		if got := g.Energy.Report.Drain.Sum(); math.Abs(got/c.Want-1) > 0.05 {
			t.Errorf("%s, %s: %.4f mAh a day; want %v within 5 %%", c.Radio, c.Column, got, c.Want)
		} else {
			t.Logf("%-10s %-22s %.4f (%+.2f %%)", c.Radio, c.Column, got, 100*(got/c.Want-1))
		}
		if u := g.Ledger.Uplink; u.Received != u.Sent || u.Sent < simtest.Days*96-1 {
			t.Errorf("%s, %s: %+v; want all of %d reports received", c.Radio, c.Column, u, simtest.Days*96)
		}
		if out.Final.Broken != 0 {
			t.Errorf("%s, %s: %+v", c.Radio, c.Column, out.Final.Violations[0])
		}
	}
}
