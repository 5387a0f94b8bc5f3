package main

import (
	"math"
	"testing"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/sim"
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
		g := endure(t, c)
		if got := g.Energy.Report.Drain.Sum(); math.Abs(got/c.Want-1) > 0.05 {
			t.Errorf("%s, %s: %.4f mAh a day; want %v within 5 %%", c.Radio, c.Column, got, c.Want)
		} else {
			t.Logf("%-10s %-22s %.4f (%+.2f %%)", c.Radio, c.Column, got, 100*(got/c.Want-1))
		}
	}
}

// endure has the device of a cell live its days, and wants all that it says to
// arrive.
func endure(t *testing.T, c simtest.Cell) *sim.GroupStats {
	t.Helper()
	keys, err := keysOf(c.Plan, true)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(config.Default(), c.Plan.Seed, drive.Start, store.Volatile{}, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out, err := drive.Virtual(t.Context(), c.Plan, w, drive.Options{Meet: w.meet})
	if err != nil {
		t.Fatal(err)
	}
	g := &out.Final.Groups[0]
	if u := g.Ledger.Uplink; u.Received != u.Sent || u.Sent < simtest.Days*96-1 {
		t.Errorf("%s, %s: %+v; want all of %d reports received", c.Radio, c.Column, u, simtest.Days*96)
	}
	if out.Final.Broken != 0 {
		t.Errorf("%s, %s: %+v", c.Radio, c.Column, out.Final.Violations[0])
	}
	return g
}

// TestEnergyTableOverDTLS: the columns with DTLS, of real handshakes and records.
// The table was computed, and leaves out what a device does after a handshake
// before it can report: CONNECT, which is dear where a datagram is.
func TestEnergyTableOverDTLS(t *testing.T) {
	t.Parallel()
	for _, c := range simtest.Secured() {
		g := endure(t, c)
		most := 1.06
		if !c.Plan.Groups[0].DTLS.CID {
			most = 1.35
		}
		got := g.Energy.Report.Drain.Sum()
		if ratio := got / c.Want; ratio < 0.97 || ratio > most {
			t.Errorf("%s, %s: %.4f mAh a day; want %v, or up to %v times that", c.Radio, c.Column, got, c.Want, most)
		}
		t.Logf("%-10s %-24s %.4f (%+.1f %%), %d handshakes", c.Radio, c.Column, got, 100*(got/c.Want-1), g.Handshakes)
	}
}
