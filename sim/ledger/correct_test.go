package ledger

import (
	"testing"
	"time"

	"dormouse/mqttsn"

	"pgregory.net/rapid"
)

// TestCorrectGatewayIsNotBlamed lives through lossy, repeating, reordering
// radios with all that can befall devices, in virtual time and across sockets.
func TestCorrectGatewayIsNotBlamed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := climate{
			devices:  rapid.IntRange(1, 4).Draw(r, "devices"),
			duration: rapid.SampledFrom([]time.Duration{20 * time.Minute, 2 * time.Hour}).Draw(r, "duration"),
			loss:     rapid.SampledFrom([]float64{0, .02, .2, .4}).Draw(r, "loss"),
			repeat:   rapid.SampledFrom([]float64{0, .02, .2}).Draw(r, "repeat"),
			late:     rapid.SampledFrom([]float64{0, .02, .1}).Draw(r, "late"),
			sockets:  rapid.SampledFrom([]time.Duration{0, 0, 20 * time.Millisecond, 2 * time.Second}).Draw(r, "sockets"),
			clean:    rapid.SampledFrom([]float64{0, .5, 1}).Draw(r, "clean"),
			ills:     rapid.Bool().Draw(r, "ills"),
			restarts: rapid.Bool().Draw(r, "restarts"),
			forgets:  rapid.Bool().Draw(r, "forgets"),
			quiet:    rapid.Bool().Draw(r, "quiet"),
			qos:      rapid.SampledFrom([][]mqttsn.QoS{{1}, {2}, {0}, {-1, 0, 1, 2}}).Draw(r, "qos"),
		}
		c.exact = c.sockets == 0
		seed := rapid.Uint64().Draw(r, "seed")
		for i := range uint64(5) {
			w := newWorld(t, seed+i, c)
			w.run()
			if s := w.complain(); s != "" {
				r.Fatal(s)
			}
		}
	})
}
