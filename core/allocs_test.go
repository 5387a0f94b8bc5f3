//go:build !race

// The race detector allocates too.

package core

import "testing"

// TestHotPathsAllocate: no more than is recorded.
func TestHotPathsAllocate(t *testing.T) {
	for _, h := range hotPaths {
		once := h.path(t)
		once() // what is made once is made
		if n := testing.AllocsPerRun(100, once); n > h.allocs {
			t.Errorf("%s takes %v allocations, %v at most are recorded", h.name, n, h.allocs)
		}
	}
}
