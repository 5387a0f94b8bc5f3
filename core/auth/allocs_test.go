//go:build !race

// The race detector allocates too.

package auth

import "testing"

// TestAskingTakesNoMemory, whoever asks for what.
func TestAskingTakesNoMemory(t *testing.T) {
	l := fleet(t)
	for _, r := range requests {
		if n := testing.AllocsPerRun(100, func() { l.Allows(r.who, r.a) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", r.name, n)
		}
	}
}
