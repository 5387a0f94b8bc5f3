package main

import (
	"runtime/debug"
	"testing"
)

func TestGarbage(t *testing.T) {
	for kept, want := range map[uint64]int{0: 100, 10: 100, 256: 100, 300: 85, 400: 60, 10_000: 60} {
		if got := garbage(kept << 20); got != want {
			t.Errorf("with %d MiB kept the heap may grow by %d %%, want %d", kept, got, want)
		}
	}
}

// TestGarbageIsLimited: the collector is told, unless the user has told it.
func TestGarbageIsLimited(t *testing.T) {
	const before = 123
	for gogc, want := range map[string]int{"": 60, "200": before} {
		t.Setenv("GOGC", gogc)
		restore := debug.SetGCPercent(before)
		m := new(memory)
		m.limitGarbage(footprint{kept: 1 << 30})
		if got := debug.SetGCPercent(restore); got != want {
			t.Errorf("GOGC=%q: the heap may grow by %d %%, want %d", gogc, got, want)
		}
	}
}
