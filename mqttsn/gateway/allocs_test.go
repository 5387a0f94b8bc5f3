//go:build !race

// The race detector allocates too, and takes memory.

package gateway

import "testing"

// TestHotPathsAllocate: no more than is recorded.
func TestHotPathsAllocate(t *testing.T) {
	for _, h := range hotPaths {
		once := h.path(t)
		once() // what is made once is made
		if n := testing.AllocsPerRun(1000, once); n > h.allocs {
			t.Errorf("%s takes %v allocations, %v at most are recorded", h.name, n, h.allocs)
		}
	}
}

// TestSleepersAreSmall: many, and a few, among whom what the gateway has once
// makes up a sixth.
func TestSleepersAreSmall(t *testing.T) {
	for sensors, most := range map[int]int{1000: 1075, 40_000: 900} {
		if each := sleeperOctets(t, sensors); each > most {
			t.Errorf("each of %d sleepers takes %d octets, %d at most are promised", sensors, each, most)
		}
	}
}
