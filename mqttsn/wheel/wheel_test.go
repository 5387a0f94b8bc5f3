package wheel

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"dormouse/mqttsn/clock"
	"pgregory.net/rapid"
)

const (
	tick  = 100 * time.Millisecond
	start = clock.Time(time.Hour)
)

func newWheel(ids int) *Wheel {
	w := New(start, tick)
	w.Grow(ids)
	return w
}

// spans draws durations from every level of the wheel, and beyond the last.
func spans() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		reach := rapid.SampledFrom([]time.Duration{
			tick, 256 * tick, 1 << 16 * tick, 1 << 24 * tick, 1 << 32 * tick, 1 << 33 * tick,
		}).Draw(t, "reach")
		near := rapid.Int64Range(-3*int64(tick), 3*int64(tick)).Draw(t, "near")
		if rapid.Bool().Draw(t, "border") {
			return max(0, reach+time.Duration(near))
		}
		return time.Duration(rapid.Int64Range(0, int64(reach)).Draw(t, "span"))
	})
}

// TestWheelAgainstMap checks the wheel against the obvious implementation:
// nothing fires early, more than a tick late, twice, or out of order, and Next
// never promises more peace than there is.
func TestWheelAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ids = 20
		w, now, want := newWheel(ids), start, map[int32]clock.Time{}
		anyID := rapid.Int32Range(0, ids-1)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				id, at := anyID.Draw(t, "id"), now.Add(spans().Draw(t, "in"))
				w.Set(id, at)
				want[id] = at
			},
			"set in the past": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				w.Set(id, now.Add(-spans().Draw(t, "ago")))
				want[id] = now
			},
			"cancel": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				w.Cancel(id)
				delete(want, id)
			},
			"unset": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				w.Set(id, 0)
				delete(want, id)
			},
			"advance": func(t *rapid.T) {
				now = min(now.Add(spans().Draw(t, "by")), 1<<61) // 73 years; no overflow
				again := rapid.Bool().Draw(t, "set again while firing")
				last := clock.Time(0)
				w.Advance(now, func(id int32) {
					at, ok := want[id]
					if !ok || at > now {
						t.Fatalf("id %d fired at %v; its deadline is %v (%v)", id, now, at, ok)
					}
					if at < last.Add(-tick) {
						t.Fatalf("id %d of %v fired after one of %v", id, at, last)
					}
					last = at
					delete(want, id)
					if again {
						w.Set(id, now.Add(time.Hour))
						want[id] = now.Add(time.Hour)
					}
				})
			},
			"": func(t *rapid.T) {
				soonest := clock.Time(0)
				for id, at := range want {
					if now.Sub(at) > tick {
						t.Fatalf("id %d is %v late", id, now.Sub(at))
					}
					soonest = clock.Sooner(soonest, at)
				}
				if next := w.Next(); (next == 0) != (soonest == 0) || next > max(soonest, now).Add(2*tick) {
					t.Fatalf("Next is %v with a deadline at %v, now %v", next, soonest, now)
				}
			},
		})
	})
}

// TestStepping: following Next from one to the next meets every deadline in
// few steps, each at its tick.
func TestStepping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deadlines := rapid.SliceOfN(spans(), 1, 20).Draw(t, "deadlines")
		w := newWheel(len(deadlines))
		for id, d := range deadlines {
			w.Set(int32(id), start.Add(d))
		}
		steps, fired := 0, 0
		for w.Next() != 0 {
			now := w.Next()
			w.Advance(now, func(id int32) {
				fired++
				if late := now.Sub(start.Add(deadlines[id])); late < 0 || late > tick {
					t.Fatalf("id %d fired %v late", id, late)
				}
			})
			if steps++; steps > (levels+2)*len(deadlines) {
				t.Fatalf("%d steps and only %d of %d deadlines met", steps, fired, len(deadlines))
			}
		}
		if fired != len(deadlines) {
			t.Fatalf("%d of %d deadlines met", fired, len(deadlines))
		}
	})
}

// TestEmptyTimeIsCheap: a year costs what happens in it, not its 315 million
// ticks: stepped through, and in one stride.
func TestEmptyTimeIsCheap(t *testing.T) {
	const year = 365 * 24 * time.Hour
	w, now := newWheel(1), start
	w.Set(0, start.Add(time.Hour))
	steps, fired := 0, 0
	for ; now < start.Add(year); steps++ {
		now = w.Next()
		w.Advance(now, func(id int32) {
			fired++
			w.Set(id, now.Add(time.Hour))
		})
	}
	if fired < 365*24 || steps > 5*fired {
		t.Errorf("a year with a deadline each hour: %d met in %d steps", fired, steps)
	}
	w.Set(0, now.Add(year-tick))
	fired = 0
	w.Advance(now.Add(year), func(int32) { fired++ })
	if fired != 1 {
		t.Errorf("a deadline at the end of a stride of a year was met %d times", fired)
	}
}

func TestNoDeadline(t *testing.T) {
	w := newWheel(2)
	w.Cancel(1) // has none
	if next := w.Next(); next != 0 {
		t.Errorf("Next of an empty wheel is %v", next)
	}
	w.Set(1, math.MaxInt64) // as good as never
	w.Advance(start.Add(100*365*24*time.Hour), func(id int32) { t.Errorf("id %d fired after a century", id) })
	if w.Next() == 0 {
		t.Error("the last deadline of all is forgotten")
	}
}

func BenchmarkSet(b *testing.B) {
	const ids = 1 << 20
	w := newWheel(ids)
	rng := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		id := int32(rng.Uint32() % ids)
		w.Set(id, start.Add(time.Duration(rng.Uint32()%3600)*time.Second))
	}
}

func BenchmarkAdvanceMillion(b *testing.B) {
	const ids = 1 << 20
	w, now := newWheel(ids), start
	for id := range int32(ids) {
		w.Set(id, now.Add(time.Duration(id%5400)*time.Second+time.Hour))
	}
	fired := 0
	for b.Loop() {
		now = now.Add(tick)
		w.Advance(now, func(id int32) { fired++; w.Set(id, now.Add(90*time.Minute)) })
	}
	b.ReportMetric(float64(fired)/float64(b.N), "fired/op")
}
