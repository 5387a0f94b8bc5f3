// Package clock is the front end's notion of time: an instant of eight
// octets that compares with < and is always handed in by the caller.
//
// Only the goroutines of mqttsn/gateway and sim/drive and the programs in cmd
// call [Now]. Everything below them receives now as an argument, so that a test
// can live through an eighteen-hour sleep in microseconds.
package clock

import "time"

// A Time is nanoseconds on the process's monotonic clock.
// Zero means "never"; Now never returns it.
type Time int64

// start is so long ago that it also comes before the time in a synctest
// bubble, which begins in 2000.
var start = time.Now().Add(-50 * 365 * 24 * time.Hour)

// Now reads the monotonic clock.
func Now() Time { return Time(time.Since(start)) }

// Add returns t+d. Never plus anything is still never.
func (t Time) Add(d time.Duration) Time {
	if t == 0 {
		return 0
	}
	return t + Time(d)
}

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Reached reports whether the deadline t has come at now. Never is never reached.
func (t Time) Reached(now Time) bool { return t != 0 && t <= now }

// Sooner returns the earlier of two deadlines, treating zero as never.
func Sooner(a, b Time) Time {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
