package workload

import (
	"math"
	"time"

	"dormouse/mqttsn/clock"
)

// PPM is by how much the clock of the device is fast, in parts per million;
// below 0 it is slow. Clocks are wrong by anything up to Drift, evenly.
func (i *Ills) PPM(s *State) float64 {
	if i.Drift == 0 {
		return 0
	}
	return (2*s.draw(forDrift, 0) - 1) * i.Drift
}

// Local is the time since the start by the device's own clock, which was right
// then. It does not go back.
func (i *Ills) Local(s *State, now clock.Time) time.Duration {
	return stretch(now.Sub(s.start), i.PPM(s)/1e6)
}

// Instant is the inverse of Local: the first moment at which the device's
// clock shows that.
func (i *Ills) Instant(s *State, local time.Duration) clock.Time {
	return s.start + clock.Time(shrink(local, i.PPM(s)/1e6))
}

// Lasts is how long it really takes until the device's clock has counted d.
func (i *Ills) Lasts(s *State, d time.Duration) time.Duration {
	return shrink(d, i.PPM(s)/1e6)
}

// stretch is what a clock that is fast by a share counts in d.
func stretch(d time.Duration, fast float64) time.Duration {
	return d + time.Duration(math.Round(float64(d)*fast))
}

// shrink is the least time in which a clock that is fast by a share counts d.
func shrink(d time.Duration, fast float64) time.Duration {
	if fast == 0 {
		return d
	}
	t := d - time.Duration(float64(d)*(fast/(1+fast)))
	for stretch(t, fast) < d {
		t++
	}
	for stretch(t-1, fast) >= d {
		t--
	}
	return t
}

// Cries reports whether the device is one that reports CryingRate times as
// often as it should.
func (i *Ills) Cries(s *State) bool { return among(i.Crying, s.place) }

// Silent returns when the device gets stuck: zero if it does not. One that
// cries does not, unless both shares together are more than all.
func (i *Ills) Silent(s *State) clock.Time {
	if !among(i.Stuck, ^s.place) {
		return 0
	}
	after := -math.Log(s.draw(forStuck, 0)) * float64(i.StuckAfter)
	return s.start + clock.Time(after)
}

// Reboot returns when the device reboots next, after now: zero if it does not.
// Reboots are as random as radioactive decay, RebootEvery apart on average;
// what other reboots there were does not matter.
func (i *Ills) Reboot(s *State, now clock.Time) clock.Time {
	every := i.RebootEvery
	if every <= 0 {
		return 0
	}
	since := now.Sub(s.start)
	// How many fall into each span of that length follows from Poisson's
	// distribution; where in it they do is any moment as good as another.
	for span := floorDiv(since, every); ; span++ {
		next := time.Duration(math.MaxInt64)
		for n := range poisson(s.draw(forReboots, span)) {
			at := time.Duration(span)*every + time.Duration(s.draw(forReboot, span<<5|n)*float64(every))
			if at > since {
				next = min(next, at)
			}
		}
		if next != math.MaxInt64 {
			return s.start + clock.Time(next)
		}
	}
}

// poisson maps a number from 0 to 1 to how many events there are where one is
// to be expected. It is below 32.
func poisson(u float64) (n int64) {
	p := math.Exp(-1)
	for ; u >= p && n < 31; n++ {
		u -= p
		p /= float64(n + 1)
	}
	return n
}
