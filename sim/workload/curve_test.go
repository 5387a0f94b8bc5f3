package workload

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// office is a day at work: nothing at night, most at eight. Its mean is 1.
var office = Curve{0, 0, 0, 0, 0, 0, 1, 3, 4, 2, 2, 1, 1, 1, 1, 1, 2, 3, 1, 1, 0, 0, 0, 0}

// TestCurve has as many reports in each hour as the curve says, and on each day
// as the mean says.
func TestCurve(t *testing.T) {
	c := Config{Reports: Reports{Every: 10 * time.Minute, Curve: office}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	const devices = 100
	var hours [48]int
	for n := range devices {
		var s State
		Begin(&s, seed, n, devices, start, 9*hour)
		at := made(&c, &well, &s, 39*hour)
		today := 0
		for _, a := range at {
			h := int((a + 9*hour) / hour) // since midnight
			hours[h]++
			if h < 24 {
				today++
			}
		}
		if tomorrow := len(at) - today; tomorrow < 143 || tomorrow > 145 {
			t.Errorf("device %d reports %d times on the second day; want 144", n, tomorrow)
		}
	}
	for h, n := range hours {
		want := 6 * devices * office[h%24]
		if h < 9 {
			want = 0
		}
		if float64(n) < 0.97*want || float64(n) > 1.03*want {
			t.Errorf("%d reports in hour %d; want %v", n, h, want)
		}
	}
}

// TestCurveJitter keeps to the jitter asked for, by day and by night, and not
// only on average.
func TestCurveJitter(t *testing.T) {
	night := Curve{.1, .1, .1, .1, .1, .1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, .4, .1, .1, .1, .1}
	exact := Config{Reports: Reports{Every: 10 * time.Minute, Curve: night, Aligned: true}}
	jittery := exact
	jittery.Reports.Jitter = 2 * time.Minute
	if err := jittery.Validate(); err != nil {
		t.Fatal(err)
	}
	a, b := made(&exact, &well, device(0), 24*hour), made(&jittery, &well, device(0), 24*hour)
	for k := range a[:len(a)-1] {
		if off := b[k] - a[k]; off < -2*time.Minute || off > 2*time.Minute {
			t.Errorf("report %d is due at %v; want %v, at most 2m off", k, b[k], a[k])
		}
	}
}

var anyCurve = rapid.Custom(func(t *rapid.T) Curve {
	c := Curve(rapid.SliceOfN(rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.001, 1000)), 24, 24).Draw(t, "curve"))
	c[rapid.IntRange(0, 23).Draw(t, "hour")] = 1
	return c
})

// TestRise integrates: a day's worth in a day, never falling, and hour takes it
// back.
func TestRise(t *testing.T) {
	anyTime := func(t *rapid.T, name string) time.Duration {
		return time.Duration(rapid.Int64Range(-int64(10*day), int64(400*day)).Draw(t, name))
	}
	rapid.Check(t, func(t *rapid.T) {
		c, a, b := anyCurve.Draw(t, "curve"), anyTime(t, "a"), anyTime(t, "b")
		if a > b {
			a, b = b, a
		}
		if c.rise(a) > c.rise(b) {
			t.Fatalf("%v at %v, and %v at %v", c.rise(a), a, c.rise(b), b)
		}
		if got := c.rise(a+day) - c.rise(a); got != day {
			t.Fatalf("%v in a day from %v on", got, a)
		}
		if c.hour(a) > c.hour(b) {
			t.Fatalf("%v is reached at %v, and %v at %v", a, c.hour(a), b, c.hour(b))
		}
		// Nanoseconds are rounded down, twice.
		off := c.rise(c.hour(a)) - a
		if most := time.Duration(c.Peak()) + 2; off < -most || off > most {
			t.Fatalf("%v is reached at %v, where it is %v more", a, c.hour(a), off)
		}
		if at := c.hour(a); c[(at%day+day)%day/hour] == 0 && at%hour != 0 {
			t.Fatalf("%v is reached at %v, when nothing happens", a, at)
		}
	})
}

func TestPeak(t *testing.T) {
	for _, tt := range []struct {
		c    Curve
		want float64
	}{{nil, 1}, {office, 4}, {append(make(Curve, 23), 5), 24}} {
		if got := tt.c.Peak(); got != tt.want {
			t.Errorf("%v peaks at %v; want %v", tt.c, got, tt.want)
		}
	}
}
