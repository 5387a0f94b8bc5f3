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

// TestCompleteAwaitsWhatIsUnderWay: what is acknowledged only after everybody
// has everything is owed from then on, and would be taken for lost.
func TestCompleteAwaitsWhatIsUnderWay(t *testing.T) {
	h := newHistory()
	from, to := h.subscriber("from"), h.subscriber("to")
	to.filters["all"] = 1
	h.begun(from, "1") // and the broker is killed, or the topic registered
	if h.complete() {
		t.Error("complete, with a message under way")
	}
	h.sent("from", "all", "1", 1, false)
	h.acked("1")
	if h.complete() {
		t.Error("complete, with an acknowledged message that did not come")
	}
	h.received(to, reception{topic: "all", payload: "1", qos: 1})
	if !h.complete() {
		t.Error("not complete, though all that was acknowledged has come")
	}
	h.begun(from, "2")
	h.refrained("2")
	h.begun(from, "3")
	if from.left = true; !h.complete() {
		t.Error("not complete for a message that nobody will send any more")
	}
}
