package ledger

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestFaultsAreFound has a gateway, correct but for one thing, serve a fleet
// on a radio that loses a tenth each way, and some devices fall silent in the
// end. The book says what it did, where it did it.
func TestFaultsAreFound(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults faults
		qos    mqttsn.QoS
		inOne  bool // it is done once, and blamed once
		want   Rule
		seldom bool // it is excused if the gateway may have given the device up
	}{
		{"loses a report at QoS 1", faults{loseReport: 300}, 1, false, LostReport, false},
		{"loses a report at QoS 2", faults{loseReport: 300}, 2, true, LostReport, false},
		{"loses a report at QoS 0", faults{loseReport: 300}, 0, true, LostReport, true},
		{"doubles a report at QoS 2", faults{doubleReport: 300}, 2, true, DoubledReport, false},
		{"doubles a report at QoS 0", faults{doubleReport: 300}, 0, true, DoubledReport, false},
		{"overtakes itself", faults{swap: 300}, 2, true, Order, false},
		{"loses a command", faults{loseCommand: 200}, 1, false, LostCommand, false},
		{"loses a command, and says it has no more", faults{loseCommand: 200}, 1, false, EarlyPingresp, false},
		{"doubles a command", faults{doubleCommand: 50}, 1, true, DoubledCmd, false},
		{"speaks to a sleeper", faults{toSleeper: 100}, 1, true, SleeperHeard, true},
		{"says too early that it has no more", faults{early: 20}, 1, false, EarlyPingresp, false},
		{"takes a device for lost that has pinged", faults{falseWill: 20}, 1, true, FalseWill, true},
		{"takes devices for lost in half their time", faults{eagerWill: true}, 1, false, FalseWill, false},
		{"publishes no wills", faults{noWill: true}, 1, false, LostWill, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, done := 0, 0
			for seed := range uint64(8) {
				w := newWorld(t, seed, climate{devices: 6, duration: 3 * time.Hour, loss: .1, repeat: .02, late: .01,
					exact: true, quiet: true, qos: []mqttsn.QoS{tt.qos}})
				w.g.grace = 1.5
				for _, d := range w.devices {
					d.session.CleanSession = seed%2 == 0
				}
				w.g.faults = tt.faults
				w.run()
				if w.g.faults.done > 0 || tt.faults.noWill {
					done++
				}
				n := w.book.Broken()[tt.want]
				if n > 0 {
					found++
				}
				if _, all := w.book.Violations(); tt.inOne && (n > 1 || all != n) {
					t.Errorf("seed %d: one thing is wrong; %s", seed, w.complain())
				}
			}
			t.Logf("found %d of %d", found, done)
			least := done - 1
			if tt.seldom {
				least = done / 2
			}
			if done < 6 || found < least {
				t.Errorf("%s was found %d times, of %d that it was done", tt.want, found, done)
			}
		})
	}
}
