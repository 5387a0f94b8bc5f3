package radio

import (
	"testing"
	"time"

	"dormouse/mqttsn/clock"
	"pgregory.net/rapid"
)

// anyConfig draws a Config that is valid.
func anyConfig(t *rapid.T) Config {
	span := func(what string, least, most time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(int64(least), int64(most)).Draw(t, what))
	}
	share := func(what string) float64 { return rapid.Float64Range(0, 1).Draw(t, what) }
	delay := func(what string) Delay {
		d := Delay{Mean: span(what, 0, time.Minute)}
		switch d.Distribution = rapid.SampledFrom([]Distribution{"", Constant, Uniform, Normal, LogNormal}).Draw(t, what); d.Distribution {
		case Uniform:
			d.Spread = span(what, 0, d.Mean)
		case Normal:
			d.Spread = span(what, 0, d.Mean/cutOff)
		case LogNormal:
			d.Spread = span(what, 0, maxSpread*d.Mean)
		}
		return d
	}
	link := func(what string) Link {
		l := Link{
			Loss:        Loss{Mean: share(what)},
			Latency:     delay(what),
			Duplication: Detour{share(what), delay(what)},
			MTU:         rapid.IntRange(0, 100).Draw(t, what),
			Preamble:    span(what, 1, time.Second),
			DutyCycle:   rapid.SampledFrom([]float64{0, 0.001, 0.1, 1}).Draw(t, what),
		}
		if d := delay(what); d.Mean > 0 {
			l.Reordering = Detour{share(what), d}
		}
		if rapid.Bool().Draw(t, what) {
			l.Rate = rapid.Float64Range(1, 1e9).Draw(t, what)
		}
		if rapid.Bool().Draw(t, what) {
			p := rapid.Float64Range(0.001, 0.499).Draw(t, what)
			l.Loss = Loss{Bursts: GilbertElliott{p, 0.5, share(what), share(what), time.Second}}
		}
		return l
	}
	c := Config{Up: link("up"), Down: link("down"), HalfDuplex: rapid.Bool().Draw(t, "half duplex")}
	c.NAT.Every = span("every", 0, time.Hour)
	c.NAT.Jitter = span("jitter", 0, c.NAT.Every)
	c.NAT.Idle = span("idle", 0, time.Hour)
	if rapid.Bool().Draw(t, "outages") {
		c.Outages.Every = span("every", 2, time.Hour)
		c.Outages.For = span("for", 1, c.Outages.Every)
	}
	return c
}

// TestFates: whatever the radio and whenever it is used, nothing arrives
// before it can have, what is lost does not arrive, what is refused is not on
// the air, the link carries one datagram at a time, and it all happens again.
func TestFates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, seed := anyConfig(t), rapid.Uint64().Draw(t, "seed")
		m, err := New(c, seed, start)
		if err != nil {
			t.Fatalf("a valid Config is refused: %v", err)
		}
		again, _ := New(c, seed, start)
		device := rapid.Uint32().Draw(t, "device")
		s, twin := Device(device), Device(device)
		now, free := start, [2]clock.Time{}
		for range rapid.IntRange(1, 100).Draw(t, "datagrams") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "later")))
			octets := rapid.IntRange(0, 120).Draw(t, "octets")
			if a, b := m.Rebound(&s, now), again.Rebound(&twin, now); a != b {
				t.Fatalf("Rebound is %v, and %v in the same run again", a, b)
			}
			w, l, send, sendAgain := up, c.Up, m.Up, again.Up
			if rapid.Bool().Draw(t, "down") {
				w, l, send, sendAgain = down, c.Down, m.Down, again.Down
			}
			f := send(&s, now, octets)
			if g := sendAgain(&twin, now, octets); f != g || s != twin {
				t.Fatalf("%+v, and %+v in the same run again", f, g)
			}

			if f.Outcome.Infeasible() {
				if f != (Fate{Outcome: f.Outcome}) {
					t.Fatalf("refused, but %+v", f)
				}
				continue
			}
			on := f.Off.Add(-l.Preamble) // or earlier
			if on < now || on < free[w] || c.HalfDuplex && on < free[1-w] {
				t.Fatalf("sent at %v by %v, while the link was busy until %v", now, f.Off, free)
			}
			free[w] = f.Off
			switch {
			case f.Lost() && (f.At != 0 || f.Copy != 0):
				t.Fatalf("lost, but %+v", f)
			case !f.Lost() && f.At < f.Off.Add(l.Latency.Min()):
				t.Fatalf("sent by %v, arrived at %v, which is too early", f.Off, f.At)
			case f.Copy != 0 && f.Copy < f.At.Add(l.Duplication.Delay.Min()):
				t.Fatalf("arrived at %v, its copy at %v", f.At, f.Copy)
			}
		}
	})
}
