package workload

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dormouse/mqttsn/clock"
)

// TestClock has a device's clock run on, and what it shows and when it shows it
// agree.
func TestClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, s := anyIlls.Draw(t, "ills"), anyDevice(t)
		if ppm := i.PPM(s); math.Abs(ppm) > i.Drift {
			t.Fatalf("a clock is %v ppm fast; want %v at most", ppm, i.Drift)
		}
		now := start.Add(time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "now")))
		l := i.Local(s, now)
		if i.Local(s, now+1) < l {
			t.Fatal("the clock goes back")
		}
		want := float64(now.Sub(start)) * (1 + i.PPM(s)/1e6)
		if math.Abs(float64(l)-want) > 1+want/1e15 {
			t.Fatalf("the clock shows %v after %v; want %v", l, now.Sub(start), time.Duration(want))
		}
		at := i.Instant(s, l)
		if i.Local(s, at) < l || i.Local(s, at-1) >= l {
			t.Fatalf("the clock shows %v first at %v, and there %v, and %v before", l, at, i.Local(s, at), i.Local(s, at-1))
		}
		if got := i.Lasts(s, l); got != at.Sub(start) {
			t.Fatalf("%v last %v; want %v", l, got, at.Sub(start))
		}
	})
}

// TestDrift spreads evenly either way, and a fast clock reports sooner.
func TestDrift(t *testing.T) {
	c, i := Config{Reports: Reports{Every: time.Hour, Aligned: true}}, Ills{Drift: 100}
	fast, sum := 0, 0.0
	for n := range 1000 {
		s := device(n)
		ppm := i.PPM(s)
		sum += math.Abs(ppm)
		if ppm > 0 {
			fast++
		}
		at := made(&c, &i, s, 1001*hour)[999]
		if want := 1000 * float64(hour) / (1 + ppm/1e6); math.Abs(float64(at)-want) > 2 {
			t.Fatalf("%v ppm fast: the report of 1000h is made at %v; want %v", ppm, at, time.Duration(want))
		}
	}
	if fast < 450 || fast > 550 || sum < 47_000 || sum > 53_000 {
		t.Errorf("of 1,000 clocks %d are fast, and on average they are %v ppm off; want 500 and 50", fast, sum/1000)
	}
}

// TestShares are exact, whatever the number of devices: rounded, halves up.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "devices")
		share := float64(rapid.IntRange(0, 1000).Draw(t, "per mille")) / 1000
		seed := rapid.Uint64().Draw(t, "seed")
		i := Ills{Crying: share, Stuck: 1 - share, StuckAfter: time.Hour}
		chosen, cries, silent, both := 0, 0, 0, 0
		for d := range n {
			if Chosen(share, seed, d, n) {
				chosen++
			}
			var s State
			Begin(&s, seed, d, n, start, 0)
			if i.Cries(&s) {
				cries++
			}
			if i.Silent(&s) != 0 {
				silent++
				if i.Cries(&s) {
					both++
				}
			}
		}
		want := int(math.Floor(share*float64(n) + 0.5 + 1e-9))
		wantSilent := int(math.Floor((1-share)*float64(n) + 0.5 + 1e-9))
		if chosen != want || cries != want || silent != wantSilent || both > 1 {
			t.Fatalf("of %d devices %d are chosen and %d cry; want %d; %d are stuck, want %d; %d both",
				n, chosen, cries, want, silent, wantSilent, both)
		}
	})
}

// TestSharesAreSpread over the numbers, and differ by seed.
func TestSharesAreSpread(t *testing.T) {
	var same int
	for d := range 1000 {
		if Chosen(0.5, 1, d, 1000) == Chosen(0.5, 2, d, 1000) {
			same++
		}
	}
	if same == 1000 {
		t.Error("two seeds choose the same devices")
	}
	for from := 0; from < 100_000; from += 1000 {
		n := 0
		for d := from; d < from+1000; d++ {
			if Chosen(0.1, seed, d, 100_000) {
				n++
			}
		}
		if n < 90 || n > 110 {
			t.Errorf("%d of 1,000 devices from %d on are chosen; want 100", n, from)
		}
	}
}

// TestCrying reports so many times as often, at the mean of the others.
func TestCrying(t *testing.T) {
	c := Config{Reports: Reports{Every: time.Hour, Jitter: 10 * time.Minute}}
	i := Ills{Crying: 0.01, CryingRate: 60}
	crying := 0
	for d := range 1000 {
		n, want := len(made(&c, &i, device(d), 100*hour)), 100
		if i.Cries(device(d)) {
			crying++
			want *= 60
		}
		if n < want-1 || n > want+1 {
			t.Errorf("device %d reports %d times; want %d", d, n, want)
		}
	}
	if crying != 10 {
		t.Errorf("%d of 1,000 devices cry; want 10", crying)
	}
}

// TestReboot has reboots come at the rate asked for, and be the same whoever
// asks and when.
func TestReboot(t *testing.T) {
	i := Ills{RebootEvery: 24 * hour}
	const end = 1000 * 24 * hour
	reboots, short := 0, 0
	for n := range 50 {
		s := device(n)
		last := start
		for {
			at := i.Reboot(s, last)
			if at <= last {
				t.Fatalf("a reboot at %v, after %v", at, last)
			}
			between := last + (at-last)/2
			if again := i.Reboot(s, between); again != at {
				t.Fatalf("asked at %v the next reboot is at %v, and at %v it is at %v", last, at, between, again)
			}
			if at.Sub(start) > end {
				break
			}
			reboots++
			if at-last < clock.Time(24*hour) {
				short++
			}
			last = at
		}
	}
	// 50,000 ± 224, and 63.2 % of them sooner than the mean.
	if share := float64(short) / float64(reboots); reboots < 49_000 || reboots > 51_000 || share < 0.62 || share > 0.645 {
		t.Errorf("%d reboots in 50,000 days, %v of them within a day", reboots, share)
	}
}

// TestSilent falls silent at any time, and on average after the mean.
func TestSilent(t *testing.T) {
	i := Ills{Stuck: 1, StuckAfter: time.Hour}
	var sum time.Duration
	for n := range 1000 {
		at := i.Silent(device(n))
		if at < start {
			t.Fatalf("device %d is stuck at %v", n, at)
		}
		sum += at.Sub(start)
	}
	if mean := sum / 1000; mean < 54*time.Minute || mean > 66*time.Minute {
		t.Errorf("stuck after %v on average; want 1h", mean)
	}
}
