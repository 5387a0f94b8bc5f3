// Package bounds finds all that is wrong with a configuration, not just the first
// thing, and says it alike everywhere. It knows nothing of MQTT-SN.
package bounds

import (
	"errors"
	"fmt"
	"time"
)

// Checks are what has been found so far. The zero Checks are ready to use.
type Checks []error

// Err joins them: nil if there are none.
func (c Checks) Err() error { return errors.Join(c...) }

// Require says so if something is not as it must be.
func (c *Checks) Require(ok bool, format string, args ...any) {
	if !ok {
		*c = append(*c, fmt.Errorf(format, args...))
	}
}

// Between is for a count, both bounds included.
func (c *Checks) Between(name string, v, low, high int) {
	c.Require(low <= v && v <= high, "%s is %d; it must be %d to %d", name, v, low, high)
}

// Lasts is Between for a time.
func (c *Checks) Lasts(name string, v, low, high time.Duration) {
	c.Require(low <= v && v <= high, "%s is %v; it must be %v to %v", name, v, low, high)
}

// Rate is for how often something may happen in a second.
func (c *Checks) Rate(name string, v float64) {
	c.Require(v > 0 && v <= 1e9, "%s is %v/s; it must be more than 0/s, and 1000000000/s at most", name, v)
}
