package chance_test

import (
	"testing"

	"dormouse/sim/chance"
)

// TestMix has the first numbers of SplitMix64 with seed 0, as others make them.
func TestMix(t *testing.T) {
	state := uint64(0)
	for i, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		if got := chance.Mix(state); got != want {
			t.Errorf("number %d is %#x, want %#x", i, got, want)
		}
		state += chance.Golden
	}
}
