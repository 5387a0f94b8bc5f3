package radio

import (
	"testing"
	"time"

	"dormouse/mqttsn/clock"
)

// TestOutageEdges: an outage takes what is on the air at any moment of it,
// both ways, and nothing else.
func TestOutageEdges(t *testing.T) {
	c := Config{Outages: Outages{Intervals: []Interval{{time.Hour, time.Minute}, {time.Hour + time.Minute, time.Minute}, {3 * time.Hour, 1}}}}
	const second = 100 // octets
	for _, tt := range []struct {
		at     time.Duration
		octets int
		lost   bool
	}{
		{0, 0, false},
		{time.Hour - 1, 0, false},
		{time.Hour, 0, true},
		{time.Hour + time.Minute, 0, true},
		{time.Hour + 2*time.Minute - 1, 0, true},
		{time.Hour + 2*time.Minute, 0, false},
		{time.Hour - time.Second - 1, second, false},
		{time.Hour - time.Second, second, true},
		{time.Hour - time.Minute, 1000 * second, true}, // begins before and ends after
		{time.Hour + 2*time.Minute - 1, second, true},
		{3*time.Hour - 1, 0, false},
		{3 * time.Hour, 0, true},
		{3*time.Hour + 1, 0, false},
		{4 * time.Hour, 0, false},
	} {
		c.Up.Rate, c.Down.Rate = 100, 100
		m := newModel(t, c)
		for way, send := range map[string]func(*State, clock.Time, int) Fate{"up": m.Up, "down": m.Down} {
			s := Device(1)
			f := send(&s, start.Add(tt.at), tt.octets)
			if want := (Fate{Outcome: Outage, Off: f.Off}); tt.lost && f != want || !tt.lost && f.Lost() {
				t.Errorf("%d octets %s at %v: %+v; lost should be %v", tt.octets, way, tt.at, f, tt.lost)
			}
			if air := f.Off.Sub(start.Add(tt.at)); air != time.Duration(tt.octets)*10*time.Millisecond {
				t.Errorf("%d octets %s were on the air for %v", tt.octets, way, air)
			}
		}
	}
}

// outs is at which minutes of 100 days device cannot send.
func outs(m *Model, device uint32) (minutes []int) {
	for i, f := range sent(m, device, 100*24*60, time.Minute) {
		if f.Outcome == Outage {
			minutes = append(minutes, i)
		}
	}
	return minutes
}

// TestRandomOutages: each day has one of ten minutes, not always at the same time.
func TestRandomOutages(t *testing.T) {
	m := newModel(t, Config{Outages: Outages{Every: 24 * time.Hour, For: 10 * time.Minute}})
	perDay, times := map[int]int{}, map[int]bool{}
	for _, minute := range outs(m, 1) {
		day := minute / (24 * 60)
		if perDay[day]++; perDay[day] == 1 {
			times[minute%(24*60)] = true
		}
	}
	for day := range 100 {
		if n := perDay[day]; n != 10 {
			t.Errorf("day %d has %d minutes of outage, want 10", day, n)
		}
	}
	if len(times) < 90 {
		t.Errorf("the outages of 100 days begin at %d times of the day", len(times))
	}
	s := Device(1)
	for at := start.Add(-10 * 24 * time.Hour); at < start; at = at.Add(time.Minute) {
		if f := m.Up(&s, at, 20); f.Lost() {
			t.Fatalf("%v before the start: %+v", start.Sub(at), f)
		}
	}

	// Who is on the air for a day meets one, though it end in the
	// next, and who is for three does, though that of the first be over.
	slow := newModel(t, Config{Outages: m.cell.Outages, Up: Link{Rate: 1}})
	for day := range 100 {
		s := Device(1)
		if f := slow.Up(&s, start.Add(time.Duration(day)*24*time.Hour), 24*3600); f.Outcome != Outage {
			t.Errorf("on the air for day %d: %+v", day, f)
		}
		s = Device(2)
		if f := slow.Up(&s, start.Add(time.Duration(day+1)*24*time.Hour-1), 3*24*3600); f.Outcome != Outage {
			t.Errorf("three days on the air from the end of day %d: %+v", day, f)
		}
	}
}

// TestRandomOutageEdges: it lasts as long as it should, to the nanosecond.
func TestRandomOutageEdges(t *testing.T) {
	m := newModel(t, Config{Outages: Outages{Every: 24 * time.Hour, For: 10 * time.Minute}})
	out := func(at clock.Time) bool {
		s := Device(1)
		return m.Up(&s, at, 20).Outcome == Outage
	}
	begin := start
	for !out(begin) {
		if begin = begin.Add(time.Minute); begin > start.Add(24*time.Hour) {
			t.Fatal("no outage in a day")
		}
	}
	for step := time.Minute; step > 0; step /= 2 {
		for begin > start && out(begin.Add(-step)) {
			begin = begin.Add(-step)
		}
	}
	if end := begin.Add(10 * time.Minute); !out(end-1) || out(end) {
		t.Errorf("ten minutes after it began: out a moment before is %v, then %v", out(end-1), out(end))
	}
}

// TestSite: groups at one site are cut off together, those elsewhere are not.
func TestSite(t *testing.T) {
	site := func(seed uint64) *Site {
		s, err := NewSite(Outages{Intervals: []Interval{{0, time.Minute}}, Every: 24 * time.Hour, For: 10 * time.Minute}, seed, start)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	group := func(site *Site, seed uint64) []int {
		m, err := New(Config{Site: site}, seed, start)
		if err != nil {
			t.Fatal(err)
		}
		return outs(m, uint32(seed))
	}
	north := site(1)
	a, b, elsewhere := group(north, 1), group(north, 2), group(site(2), 1)
	if len(a) < 1000 || a[0] != 0 {
		t.Fatalf("%d minutes of outage, the first at %v", len(a), a[:1])
	}
	at := map[int]bool{}
	for _, minute := range a {
		at[minute] = true
	}
	common := func(minutes []int) (n int) {
		for _, minute := range minutes {
			if at[minute] {
				n++
			}
		}
		return n
	}
	if n := common(b); n != len(a) || n != len(b) {
		t.Errorf("of %d and %d minutes of outage at one site, %d are common", len(a), len(b), n)
	}
	if n := common(elsewhere); n > len(a)/10 {
		t.Errorf("of %d minutes of outage, %d are those of another site", len(a), n)
	}
	if _, err := NewSite(Outages{Every: time.Hour}, 1, start); err == nil {
		t.Error("a site may have an outage each hour of no length")
	}
}
