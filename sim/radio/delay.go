package radio

import (
	"math"
	"time"
)

// A Distribution is how delays vary.
type Distribution string

// The distributions of delays. The spread of the last two is their standard
// deviation.
const (
	Constant  Distribution = "constant"   // always the mean; no spread
	Uniform   Distribution = "uniform"    // anything from Mean-Spread to Mean+Spread
	Normal    Distribution = "normal"     // cut off at three spreads either side, which takes 1.3 % of the spread
	LogNormal Distribution = "log-normal" // few, but some, take many times the mean
)

// Bounds on delays. They keep the longest delay that can be drawn, and three
// of them added to a Time, within what a Time holds.
const (
	maxDelay  = time.Hour
	maxSpread = 5 // times the mean, of log-normal delays
	cutOff    = 3 // standard deviations of normal delays
)

// A Delay is a distribution of times. The zero Delay is none.
type Delay struct {
	Distribution Distribution  // empty: constant
	Mean         time.Duration // up to an hour
	Spread       time.Duration // see the distributions
}

// Min is the shortest delay there can be.
func (d Delay) Min() time.Duration {
	switch d.Distribution {
	case Uniform:
		return d.Mean - d.Spread
	case Normal:
		return d.Mean - cutOff*d.Spread
	case LogNormal:
		return 0
	}
	return d.Mean
}

// A sampler is a Delay made ready.
type sampler struct {
	Delay
	sigma float64 // standard deviation of the logarithm, if log-normal
}

func (d Delay) sampler() sampler {
	s := sampler{Delay: d}
	if d.Distribution == LogNormal && d.Mean > 0 {
		cv := float64(d.Spread) / float64(d.Mean)
		s.sigma = math.Sqrt(math.Log1p(cv * cv))
	}
	return s
}

// within is the share of a normal distribution that is not cut off.
var within = math.Erf(cutOff / math.Sqrt2)

// draw returns the delay at the quantile u, so that one number is enough.
func (s *sampler) draw(u float64) time.Duration {
	x := float64(s.Mean)
	switch s.Distribution {
	case Uniform:
		x += (2*u - 1) * float64(s.Spread)
	case Normal:
		x += math.Sqrt2 * math.Erfinv((2*u-1)*within) * float64(s.Spread)
	case LogNormal:
		x *= math.Exp(s.sigma*math.Sqrt2*math.Erfinv(2*u-1) - s.sigma*s.sigma/2)
	}
	return time.Duration(x)
}
