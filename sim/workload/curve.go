package workload

import "time"

const (
	hour = time.Hour
	day  = 24 * hour
)

// Peak is how many times the mean the rate is in the busiest hour: 1 without a
// curve.
func (c Curve) Peak() float64 {
	peak, mean := 0.0, c.mean()
	for _, f := range c {
		peak = max(peak, f/mean)
	}
	if peak == 0 {
		return 1
	}
	return peak
}

// mean is the mean of the figures, and 1 if that were 0.
func (c Curve) mean() float64 {
	sum := 0.0
	for _, f := range c {
		sum += f
	}
	if sum == 0 {
		return 1
	}
	return sum / float64(len(c))
}

// rise is what the rate, as a multiple of its mean, adds up to from midnight to
// t: 24 hours after a day. It never falls.
func (c Curve) rise(t time.Duration) time.Duration {
	days := floorDiv(t, day)
	t -= time.Duration(days) * day
	mean, sum := c.mean(), 0.0
	h := int(t / hour)
	for _, f := range c[:h] {
		sum += f / mean * float64(hour)
	}
	sum += c[h] / mean * float64(t%hour)
	return time.Duration(days)*day + time.Duration(sum)
}

// hour is the inverse of rise: the first time from midnight at which that has
// been reached.
func (c Curve) hour(risen time.Duration) time.Duration {
	days := floorDiv(risen, day)
	rest := float64(risen - time.Duration(days)*day)
	mean, end := c.mean(), time.Duration(0)
	for h, f := range c {
		if f == 0 {
			continue
		}
		begin, rate := time.Duration(h)*hour, f/mean
		if rest <= rate*float64(hour) {
			return time.Duration(days)*day + begin + time.Duration(rest/rate)
		}
		rest -= rate * float64(hour)
		end = begin + hour
	}
	return time.Duration(days)*day + end
}
