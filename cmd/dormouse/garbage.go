package main

import (
	"os"
	"runtime/debug"
)

// A broker of a million sleepers would take twice the memory that it needs: Go
// lets the heap double before it looks for garbage. Letting it grow by less
// costs the time to look more often: with a million sleepers, at 60 % instead
// of 100, 8 % more to let them in, and 190 MiB less.
const (
	garbageMuch  = 256 << 20 // octets; this much is all right
	garbageLeast = 60        // percent of what is kept; less takes too much time
)

// garbage is by how many percent of what is kept the heap is to grow before the
// collector runs.
func garbage(kept uint64) int {
	const step = 5 // the world is stopped for each change
	percent := min(100, garbageMuch*100/max(kept, 1))
	return int(max(garbageLeast, percent/step*step))
}

// limitGarbage has the collector keep to that, unless GOGC says another.
func (m *memory) limitGarbage(u footprint) {
	if os.Getenv("GOGC") != "" {
		return
	}
	if percent := garbage(u.kept); percent != m.garbage {
		m.garbage = percent
		debug.SetGCPercent(percent)
	}
}
