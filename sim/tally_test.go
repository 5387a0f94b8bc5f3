package sim

import (
	"testing"
	"time"

	"dormouse/mqttsn/clock"
)

// TestLongLatency keeps how long a command really waited for a sleeper of many
// hours.
func TestLongLatency(t *testing.T) {
	f, g := new(Fleet), new(group)
	from := clock.Time(time.Hour)
	for _, d := range []time.Duration{0, 40 * time.Millisecond, 18 * time.Hour, 7 * 24 * time.Hour} {
		f.measure(g, ToDevice, from, from.Add(d))
		got := time.Duration(g.stats.Latency[ToDevice].Max()) * time.Microsecond
		if got < d || got > d+d/100+time.Microsecond {
			t.Errorf("%v is kept as %v", d, got)
		}
	}
}
