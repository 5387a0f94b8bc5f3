package core

import (
	"testing"

	"pgregory.net/rapid"
)

type appointment struct{ deadline }

// TestDeadlinesFallDueInOrder compares the heap with a plain map.
func TestDeadlinesFallDueInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all [8]appointment
		var d deadlines[*appointment]
		model := map[*appointment]int64{}
		which := rapid.Custom(func(t *rapid.T) *appointment { return &all[rapid.IntRange(0, 7).Draw(t, "which")] })
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				x, at := which.Draw(t, "x"), rapid.Int64Range(0, 20).Draw(t, "at")
				d.set(x, at)
				model[x] = at
			},
			"cancel": func(t *rapid.T) {
				x := which.Draw(t, "x")
				d.cancel(x)
				delete(model, x)
			},
			"next": func(t *rapid.T) {
				now := rapid.Int64Range(0, 20).Draw(t, "now")
				first := now + 1
				for _, at := range model {
					first = min(first, at)
				}
				x, ok := d.next(now)
				if ok != (first <= now) || ok && model[x] != first {
					t.Fatalf("at %d: %v due at %d; the first is due at %d", now, ok, model[x], first)
				}
				delete(model, x)
			},
		})
		if len(d.heap) != len(model) {
			t.Fatalf("%d are left, want %d", len(d.heap), len(model))
		}
	})
}
