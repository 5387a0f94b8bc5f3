package workload

import (
	"time"
)

// A grid is moments that come again and again, each a little off. They are
// numbered, and strictly in order, by whatever clock or scale the caller has.
type grid struct {
	every, offset time.Duration
	early, late   time.Duration // each is drawn from [-early, late]; together at most the least time between two
	curve         Curve         // over the day; with it every is the mean
	noon          time.Duration // of zero
	state         *State        // whose numbers are drawn
	purpose       uint64
}

// at returns moment k.
func (g *grid) at(k int64) time.Duration {
	t := g.offset + time.Duration(k)*g.every
	if len(g.curve) > 0 {
		t = g.curve.hour(t+g.curve.rise(g.noon)) - g.noon
	}
	// The last nanosecond is left out, so that two moments are never one.
	if width := g.early + g.late; width > 0 {
		t += time.Duration(g.state.draw(g.purpose, k)*float64(width)) - g.early
	}
	return t
}

// last returns the number of the last moment that is not after t.
func (g *grid) last(t time.Duration) int64 {
	scaled := t
	if len(g.curve) > 0 {
		scaled = g.curve.rise(t+g.noon) - g.curve.rise(g.noon)
	}
	k := floorDiv(scaled-g.offset, g.every)
	for g.at(k) > t {
		k--
	}
	for g.at(k+1) <= t {
		k++
	}
	return k
}

// floorDiv is a divided by b, which is above 0, rounded down.
func floorDiv(a, b time.Duration) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return int64(q)
}
