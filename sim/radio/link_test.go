package radio

import (
	"math"
	"testing"
	"time"

	"dormouse/mqttsn/clock"
)

func TestMTU(t *testing.T) {
	m, s := newModel(t, Config{Up: Link{MTU: 51, Rate: 51}, Down: Link{MTU: 50}}), Device(1)
	if f := m.Up(&s, start, 52); f != (Fate{Outcome: MTU}) {
		t.Errorf("52 octets up: %+v", f)
	}
	// What was refused has kept nothing busy.
	end := start.Add(time.Second)
	if f := m.Up(&s, start, 51); f != (Fate{Off: end, At: end}) {
		t.Errorf("51 octets up: %+v", f)
	}
	if f := m.Down(&s, start, 51); f != (Fate{Outcome: MTU}) {
		t.Errorf("51 octets down: %+v", f)
	}
}

// TestReordering: as many are held back as should be, for as long, and only
// these are overtaken.
func TestReordering(t *testing.T) {
	const latency, detour, apart = 5 * time.Millisecond, 15 * time.Millisecond, 10 * time.Millisecond
	m := newModel(t, Config{Up: Link{Latency: Delay{Mean: latency}, Reordering: Detour{0.1, Delay{Mean: detour}}}})
	fates := sent(m, 1, million, apart)
	held, overtaken := 0, 0
	for i, f := range fates {
		switch f.At.Sub(start.Add(time.Duration(i) * apart)) {
		case latency:
		case latency + detour:
			held++
		default:
			t.Fatalf("datagram %d has fate %+v", i, f)
		}
		if i > 0 && f.At < fates[i-1].At {
			overtaken++
		}
	}
	nearShare(t, "share held back", held, 0.1)
	nearShare(t, "share that overtakes the one before", overtaken, 0.1*0.9)
}

func TestDuplication(t *testing.T) {
	delay := Delay{Uniform, 2 * time.Second, time.Second}
	m := newModel(t, Config{Up: Link{Loss: Loss{Mean: 0.2}, Duplication: Detour{0.1, delay}}})
	copies, sum := 0, 0.0
	for _, f := range sent(m, 1, million, time.Second) {
		if f.Copy == 0 {
			continue
		}
		copies++
		later := f.Copy.Sub(f.At)
		sum += later.Seconds()
		if f.Lost() || later < time.Second || later > 3*time.Second {
			t.Fatalf("a copy of %+v", f)
		}
	}
	nearShare(t, "share that arrives twice", copies, 0.8*0.1)
	near(t, "delay of a copy", sum/float64(copies), 2, 1/math.Sqrt(3*float64(copies)))
}

// TestRate: what is sent at once goes out one after the other, and each takes
// its octets and the preamble.
func TestRate(t *testing.T) {
	type call struct {
		down   bool
		at     time.Duration
		octets int
		off    time.Duration // when it has been sent
	}
	const ms = time.Millisecond
	for _, tt := range []struct {
		name       string
		halfDuplex bool
		calls      []call
	}{
		{"full duplex", false, []call{
			{false, 0, 20, 250 * ms}, // 50 ms and 20 octets at 100 octets/s
			{false, 0, 0, 300 * ms},
			{true, 0, 20, 100 * ms}, // 200 octets/s
			{false, 200 * ms, 20, 550 * ms},
			{false, 550 * ms, 20, 800 * ms},
			{false, 900 * ms, 20, 1150 * ms},
			{true, 120 * ms, 1, 125 * ms},
		}},
		{"half duplex", true, []call{
			{false, 0, 20, 250 * ms},
			{true, 100 * ms, 20, 350 * ms},
			{false, 100 * ms, 20, 600 * ms},
			{true, 600 * ms, 20, 700 * ms},
			{true, 900 * ms, 20, 1000 * ms},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, s := newModel(t, Config{
				HalfDuplex: tt.halfDuplex,
				Up:         Link{Rate: 100, Preamble: 50 * ms, Latency: Delay{Mean: time.Minute}},
				Down:       Link{Rate: 200, Loss: Loss{Mean: 1}}, // what is lost takes its time too
			}), Device(1)
			for i, c := range tt.calls {
				off := start.Add(c.off)
				want := Fate{Off: off, At: off.Add(time.Minute)}
				send := m.Up
				if c.down {
					want, send = Fate{Outcome: Chance, Off: off}, m.Down
				}
				if f := send(&s, start.Add(c.at), c.octets); f != want {
					t.Errorf("call %d: sent by %v, %+v; want %v, %+v", i, f.Off.Sub(start), f, c.off, want)
				}
			}
		})
	}
}

// hourly is a link on which a second has 100 octets, and an hour 36 seconds.
var hourly = Link{Rate: 100, DutyCycle: 0.01}

// TestDutyCycle: a device that sends a second's worth each 10 seconds gets 36
// of these through at the beginning of each hour of its own, and no more.
func TestDutyCycle(t *testing.T) {
	const apart = 10 * time.Second
	m := newModel(t, Config{Up: hourly, Down: hourly})
	begins := map[time.Duration]bool{}
	for device := range uint32(10) {
		s := Device(device)
		var last time.Duration // begin of the last run that got through
		run, runs := 0, 0
		for i := range 20 * 360 {
			at := time.Duration(i) * apart
			f := m.Up(&s, start.Add(at), 100)
			switch {
			case f.Outcome == DutyCycle:
				if f != (Fate{Outcome: DutyCycle}) {
					t.Fatalf("refused, and %+v", f)
				}
				if runs > 1 && run > 0 && run != 36 { // the first began within an hour
					t.Errorf("device %d gets %d through in an hour, want 36", device, run)
				}
				run = 0
			case f.Lost():
				t.Fatalf("lost: %+v", f)
			case run == 0:
				runs++
				if runs > 2 && at-last != time.Hour {
					t.Errorf("device %d may send again after %v", device, at-last)
				}
				last = at
				fallthrough
			default:
				run++
				if run > 72 || runs > 1 && run > 36 {
					t.Fatalf("device %d gets %d through in a row", device, run)
				}
			}
		}
		if runs < 20 {
			t.Errorf("device %d may send in %d of 20 hours", device, runs)
		}
		begins[last%time.Hour] = true
	}
	if len(begins) < 9 {
		t.Errorf("the hours of ten devices begin at %d moments", len(begins))
	}
}

// hourBegins returns a moment at which an hour of s begins.
func hourBegins(m *Model, s *State) clock.Time {
	now := start
	for step := time.Duration(1 << 41); step > 0; step /= 2 {
		if m.hour(s, now.Add(step)) == m.hour(s, start) {
			now = now.Add(step)
		}
	}
	return now + 1
}

// TestHourBoundary: the budget is used to the last microsecond, what does not
// fit takes nothing from what does, and the next hour begins with all of it.
func TestHourBoundary(t *testing.T) {
	m, s := newModel(t, Config{Up: hourly, Down: hourly}), Device(1)
	begin := hourBegins(m, &s).Add(time.Hour) // a whole hour lies ahead
	second := func(at clock.Time, octets int, want Outcome) {
		t.Helper()
		if f := m.Up(&s, at, octets); f.Outcome != want {
			t.Errorf("%d octets %v into the hour: %v, want %v", octets, at.Sub(begin), f.Outcome, want)
		}
	}
	second(begin, 3601, DutyCycle) // more than an hour's in one
	second(begin, 3550, Arrived)
	second(begin.Add(time.Minute), 51, DutyCycle)
	second(begin.Add(time.Minute), 50, Arrived)
	second(begin.Add(2*time.Minute), 1, DutyCycle)
	if f := m.Down(&s, begin.Add(2*time.Minute), 3600); f.Lost() {
		t.Errorf("the other direction has a budget of its own, but %v", f.Outcome)
	}
	next := begin.Add(time.Hour)
	second(next.Add(-10*time.Millisecond-1), 1, DutyCycle) // ends in the old hour
	second(next.Add(-10*time.Millisecond), 1, Arrived)     // ends in the new
	second(next.Add(time.Second), 3600, DutyCycle)
	second(next.Add(time.Second), 3599, Arrived)
	second(next.Add(time.Hour-time.Second), 1, DutyCycle)
	second(next.Add(time.Hour+time.Minute), 3600, Arrived)

	// Fractions of a microsecond count too: 36 µs are 24 times 1500 ns at most.
	m, s = newModel(t, Config{Up: Link{Preamble: 1500, DutyCycle: 1e-8}}), Device(2)
	n := 0
	for range 100 {
		if !m.Up(&s, start, 20).Lost() {
			n++
		}
	}
	if n == 0 || n > 24 {
		t.Errorf("%d datagrams of 1.5 µs get through in an hour that has 36 µs", n)
	}
}
