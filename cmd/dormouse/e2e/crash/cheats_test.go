package crash

import (
	"testing"
)

// TestCheckerFindsCheats: a store that breaks its promise is found out, however
// it does that. No kind of cheat may pass for honest in all of its worlds.
func TestCheckerFindsCheats(t *testing.T) {
	for name, c := range map[string]cheat{
		"acknowledges before it is durable": answersEarly,
		"forgets one message in 1,000":      forgetsMessages,
		"forgets accepted QoS 2 ids":        forgetsAccepted,
		"forgets ids in flight":             forgetsInFlight,
		"loses the last write at a crash":   losesTheLast,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 100; seed++ {
				w, err := newWorld(seed, newForgetful(seed, c))
				if err != nil {
					t.Fatal(err)
				}
				if wrong := w.live(6); len(wrong) > 0 {
					t.Logf("seed %d: %s", seed, wrong[0])
					return
				}
			}
			t.Error("100 worlds with such a store, and nothing was wrong")
		})
	}
}
