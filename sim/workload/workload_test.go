package workload

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"dormouse/mqttsn/clock"
)

const (
	seed  = 7
	start = clock.Time(1_000_000)
)

var well Ills

// device is number n of a group of 1,000, at midnight.
func device(n int) *State {
	var s State
	Begin(&s, seed, n, 1000, start, 0)
	return &s
}

// made returns when a device that is never late reports up to end, since the
// start of the run.
func made(c *Config, i *Ills, s *State, end time.Duration) (at []time.Duration) {
	for {
		next := c.Report(s, i)
		if next == 0 || next.Sub(start) > end {
			return at
		}
		at = append(at, next.Sub(start))
		c.Reported(s, i, next)
	}
}

// anyReports draws reports that are valid.
var anyReports = rapid.Custom(func(t *rapid.T) *Config {
	r := Reports{
		Every:   time.Duration(rapid.Int64Range(int64(shortest), int64(48*hour)).Draw(t, "every")),
		Aligned: rapid.Bool().Draw(t, "aligned"),
	}
	if rapid.Bool().Draw(t, "curved") {
		r.Curve = rapid.SliceOfN(rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.1, 10)), 24, 24).Draw(t, "curve")
		r.Curve[rapid.IntRange(0, 23).Draw(t, "hour")] = 1 // not 0 all day
	}
	most := int64(float64(r.Every)/r.Curve.Peak()) / 2
	r.Jitter = time.Duration(rapid.Int64Range(0, most).Draw(t, "jitter"))
	if r.Every > 10*shortest && rapid.Bool().Draw(t, "bursting") {
		r.Bursts.Share = rapid.Float64Range(0, 1).Draw(t, "share")
		r.Bursts.Spacing = time.Duration(rapid.Int64Range(int64(shortest), int64(r.Every/2)).Draw(t, "spacing"))
		most := min(int64((r.Every-1)/r.Bursts.Spacing), 100)
		r.Bursts.Count = int(rapid.Int64Range(1, most).Draw(t, "count"))
	}
	c := &Config{Reports: r}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
})

// anyIlls draws ills that are valid.
var anyIlls = rapid.Custom(func(t *rapid.T) *Ills {
	i := &Ills{
		Drift:      rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, maxDrift)).Draw(t, "drift"),
		Crying:     rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 1)).Draw(t, "crying"),
		CryingRate: rapid.Float64Range(1, 100).Draw(t, "rate"),
	}
	if err := i.Validate(); err != nil {
		t.Fatal(err)
	}
	return i
})

func anyDevice(t *rapid.T) *State {
	var s State
	Begin(&s, rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 99).Draw(t, "device"), 100, start,
		time.Duration(rapid.Int64Range(0, int64(day)).Draw(t, "noon")))
	return &s
}

// TestReportsGoOn has moments that are due strictly one after another,
// whatever the device does with them and whenever it asks.
func TestReportsGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, i, s := anyReports.Draw(t, "config"), anyIlls.Draw(t, "ills"), anyDevice(t)
		last, now := start, start
		for range 50 {
			at := c.Report(s, i)
			if at <= last {
				t.Fatalf("a report is due at %v, after one at %v", at, last)
			}
			if again := c.Report(s, i); again != at {
				t.Fatalf("a report is due at %v, and asked again at %v", at, again)
			}
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0: // another workload
				now += clock.Time(rapid.Int64Range(0, int64(2*c.Reports.Every)).Draw(t, "wait"))
				s.Switch(now)
				if next := c.Report(s, i); next < now {
					t.Fatalf("after a switch at %v a report is due at %v", now, next)
				}
				last = max(last, now-1)
				continue
			case 1: // away
				now = max(now, at) + clock.Time(rapid.Int64Range(0, int64(100*c.Reports.Every)).Draw(t, "wait"))
			default:
				now = max(now, at)
			}
			c.Reported(s, i, now)
			last = at
		}
	})
}

// TestRate has as many reports as asked for in any time, give or take the one
// at either end.
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := anyReports.Draw(t, "config"), anyDevice(t)
		c.Reports.Curve, c.Reports.Bursts = nil, Bursts{}
		n := rapid.IntRange(1, 300).Draw(t, "reports")
		got := len(made(c, &well, s, time.Duration(n)*c.Reports.Every))
		if got < n-1 || got > n+1 {
			t.Fatalf("%d reports in %d times %v", got, n, c.Reports.Every)
		}
	})
}

// TestJitter compares each report with the same one of a device that is the
// same but for jitter.
func TestJitter(t *testing.T) {
	exact := Config{Reports: Reports{Every: 10 * time.Minute}}
	jittery := exact
	jittery.Reports.Jitter = 5 * time.Minute
	early, late := 0, 0
	for n := range 50 {
		a := made(&exact, &well, device(n), 12*hour)
		b := made(&jittery, &well, device(n), 12*hour)
		a, b = a[1:60], b[1:60]
		if b[0] < a[0]-5*time.Minute {
			b = b[1:] // its first is the one that is before the start without
		} else if b[0] > a[0]+5*time.Minute {
			a = a[1:]
		}
		for k := range min(len(a), len(b)) {
			off := b[k] - a[k]
			if off < -5*time.Minute || off > 5*time.Minute {
				t.Fatalf("device %d: report %d is %v off", n, k, off)
			}
			if off < -4*time.Minute {
				early++
			}
			if off > 4*time.Minute {
				late++
			}
		}
	}
	if early < 200 || late < 200 { // 290 are to be expected
		t.Errorf("of 2,900 reports %d are more than 4 min early, and %d late", early, late)
	}
}

// TestAligned has all devices report at once, and the others at any time.
func TestAligned(t *testing.T) {
	c := Config{Reports: Reports{Every: 15 * time.Minute, Aligned: true}}
	for n := range 100 {
		for k, at := range made(&c, &well, device(n), 24*hour) {
			if want := time.Duration(k+1) * 15 * time.Minute; at != want {
				t.Fatalf("device %d reports at %v; want %v", n, at, want)
			}
		}
	}
	c.Reports.Aligned = false
	var thirds [3]int
	for n := range 1000 {
		thirds[made(&c, &well, device(n), time.Hour)[0]/(5*time.Minute)]++
	}
	for _, n := range thirds {
		if n < 300 || n > 367 { // three deviations would be 45
			t.Errorf("of 1,000 devices %d report first in each third of 15 min", thirds)
			break
		}
	}
}

// TestAway has a device that was away skip what it missed, and know how much
// that is.
func TestAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, i, s := anyReports.Draw(t, "config"), anyIlls.Draw(t, "ills"), anyDevice(t)
		c.Reports.Bursts = Bursts{}
		c.Reports.Every = max(c.Reports.Every, 100*time.Second) // nothing twice in a second
		c.Reports.Jitter = min(c.Reports.Jitter, time.Duration(float64(c.Reports.Every)/c.Reports.Curve.Peak()/3))
		gap := time.Duration(rapid.Int64Range(0, int64(300*c.Reports.Every)).Draw(t, "gap"))
		present := *s
		want := len(made(c, i, &present, gap))

		now, got, total := start.Add(gap), 0, 0
		for at := c.Report(s, i); at.Reached(now); at = c.Report(s, i) {
			got++
			total += 1 + c.Reported(s, i, now)
		}
		if total != want {
			t.Fatalf("%d reports made or missed in %v; want %d", total, gap, want)
		}
		if got > 3 && i.Crying == 0 && len(c.Reports.Curve) == 0 {
			t.Fatalf("%d reports at once after %v", got, gap)
		}
		if next, want := c.Report(s, i), c.Report(&present, i); next != want {
			t.Fatalf("after %v the next report is due at %v; want %v", gap, next, want)
		}
	})
}

// TestBehind has a device that is asked late for a moment make up for it, and
// miss nothing.
func TestBehind(t *testing.T) {
	c := Config{Reports: Reports{Every: 10 * time.Millisecond, Aligned: true}}
	s, got := device(0), 0
	for now := start; now <= start.Add(10*time.Second); now += clock.Time(250 * time.Millisecond) {
		for at := c.Report(s, &well); at.Reached(now); at = c.Report(s, &well) {
			if missed := c.Reported(s, &well, now); missed != 0 {
				t.Fatalf("%d reports missed", missed)
			}
			got++
		}
	}
	if got != 1000 {
		t.Errorf("%d reports; want 1000", got)
	}
}

// TestSwitch changes the workload: nothing of the old one is left over,
// everybody keeps an offset, and the same workload goes on as it was.
func TestSwitch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, i, s := anyReports.Draw(t, "config"), anyIlls.Draw(t, "ills"), anyDevice(t)
		c.Reports.Bursts = Bursts{}
		gap := time.Duration(rapid.Int64Range(0, int64(20*c.Reports.Every)).Draw(t, "gap"))
		made(c, i, s, gap)
		other := *s
		other.Switch(start.Add(gap))
		if a, b := c.Report(s, i), c.Report(&other, i); a != b {
			t.Fatalf("a report is due at %v, and after a switch to the same workload at %v", a, b)
		}
	})

	jittery := Config{Reports: Reports{Every: 10 * time.Minute, Jitter: 5 * time.Minute}}
	for n := range 100 {
		s := device(n)
		made(&jittery, &well, s, hour)
		other := *s
		other.Switch(start.Add(hour))
		if a, b := jittery.Report(s, &well), jittery.Report(&other, &well); a != b {
			t.Errorf("device %d: a report is due at %v, and after a switch at %v", n, a, b)
		}
	}

	// The moment of the switch belongs to the new workload, once.
	c := Config{Reports: Reports{Every: time.Hour, Aligned: true}}
	s := device(0)
	s.Switch(start.Add(5 * time.Hour))
	if at := c.Report(s, &well).Sub(start); at != 5*time.Hour {
		t.Errorf("switched at 5h the first report is due at %v; want 5h", at)
	}
	c.Reported(s, &well, start.Add(5*time.Hour))
	s.Switch(start.Add(5 * time.Hour))
	if at := c.Report(s, &well).Sub(start); at != 6*time.Hour {
		t.Errorf("switched again the next is due at %v; want 6h", at)
	}

	// An event is over.
	c.Reports.Bursts = Bursts{Share: 1, Count: 10, Spacing: time.Minute}
	c.Reported(s, &well, start.Add(6*time.Hour))
	s.Switch(start.Add(6*time.Hour + 30*time.Second))
	if at := c.Report(s, &well).Sub(start); at != 7*time.Hour {
		t.Errorf("switched in a burst the next is due at %v; want 7h", at)
	}
}

// TestNone has devices be silent that were told nothing.
func TestNone(t *testing.T) {
	var c Config
	s := device(0)
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if at := c.Report(s, &well); at != 0 || c.Reported(s, &well, start.Add(hour)) != 0 {
		t.Errorf("a report is due at %v", at)
	}
	if at := c.Command(s, start); at != 0 || c.Commanded(s, start, start.Add(hour)) != 0 {
		t.Errorf("a command is due at %v", at)
	}
	if at := c.Poll(s, &well, start); at != 0 {
		t.Errorf("wakes at %v", at)
	}
	if a, b := well.Reboot(s, start), well.Silent(s); a != 0 || b != 0 {
		t.Errorf("reboots at %v and is stuck at %v", a, b)
	}
}

// TestStateIsSmall, because there are a million, and asking costs no memory.
func TestStateIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(State{}); n > 48 {
		t.Errorf("a State is %d octets; want 48 at most", n)
	}
	c := Config{Reports: Reports{Every: time.Hour, Jitter: time.Minute, Curve: office, Bursts: Bursts{Share: 0.5, Count: 3, Spacing: 1}}}
	i, s := Ills{Drift: 50, Crying: 0.1, CryingRate: 10}, device(0)
	if n := testing.AllocsPerRun(100, func() { c.Reported(s, &i, c.Report(s, &i)) }); n != 0 {
		t.Errorf("a report allocates %v times", n)
	}
}

// TestSeeds has runs with other seeds be others, and the same ones the same.
func TestSeeds(t *testing.T) {
	c := Config{Reports: Reports{Every: time.Hour, Jitter: 20 * time.Minute}}
	offsets := map[clock.Time]bool{}
	for seed := range uint64(20) {
		for n := range 50 {
			var a, b State
			Begin(&a, seed, n, 50, start, 0)
			Begin(&b, seed, n, 50, start, 0)
			if a != b {
				t.Fatalf("device %d begins as %+v and as %+v", n, a, b)
			}
			offsets[c.Report(&a, &well)] = true
		}
	}
	if len(offsets) != 1000 {
		t.Errorf("1,000 devices of 20 seeds begin at %d different moments", len(offsets))
	}
}

func BenchmarkReport(b *testing.B) {
	for _, tt := range []struct {
		name string
		c    Config
	}{
		{"even", Config{Reports: Reports{Every: time.Hour, Jitter: time.Minute}}},
		{"curve", Config{Reports: Reports{Every: time.Hour, Jitter: time.Minute, Curve: office}}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			s, i := device(0), Ills{Drift: 50}
			for b.Loop() {
				at := tt.c.Report(s, &i)
				tt.c.Reported(s, &i, at)
				if at > math.MaxInt64/2 {
					s = device(0)
				}
			}
		})
	}
}
