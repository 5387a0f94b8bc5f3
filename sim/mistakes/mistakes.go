// Package mistakes collects what is wrong with a part of a scenario, under the
// keys of its file.
package mistakes

import (
	"errors"
	"fmt"
	"time"
)

// A List is all that is wrong.
type List []error

// Require adds a mistake unless ok. What it says begins with the key.
func (l *List) Require(ok bool, format string, args ...any) {
	if !ok {
		*l = append(*l, fmt.Errorf(format, args...))
	}
}

// Share wants a probability. NaN is none.
func (l *List) Share(key string, v float64) {
	l.Require(0 <= v && v <= 1, "%s is %v; it must be 0 to 1", key, v)
}

// Duration wants d to be least to most.
func (l *List) Duration(key string, d, least, most time.Duration) {
	l.Require(least <= d && d <= most, "%s is %v; it must be %v to %v", key, d, least, most)
}

// Err returns the mistakes as [errors.Join] does: nil if there is none.
func (l List) Err() error { return errors.Join(l...) }
