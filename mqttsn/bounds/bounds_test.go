package bounds

import (
	"math"
	"testing"
	"time"
)

// TestChecks: both bounds are in, all that is beyond is told, and nothing else.
func TestChecks(t *testing.T) {
	var c Checks
	c.Between("low", 3, 3, 5)
	c.Between("high", 5, 3, 5)
	c.Lasts("low", time.Second, time.Second, time.Minute)
	c.Lasts("high", time.Minute, time.Second, time.Minute)
	c.Rate("low", 1.0/3600)
	c.Rate("high", 1e9)
	c.Require(true, "%s", "never")
	if err := c.Err(); err != nil {
		t.Errorf("all is well, and it says: %v", err)
	}
	c.Between("few", 2, 3, 5)
	c.Between("many", 6, 3, 5)
	c.Lasts("short", 0, time.Second, time.Minute)
	c.Rate("none", 0)
	c.Rate("odd", math.NaN())
	c.Require(false, "%s has no %s", "it", "name")
	const want = "few is 2; it must be 3 to 5\nmany is 6; it must be 3 to 5\nshort is 0s; it must be 1s to 1m0s\n" +
		"none is 0/s; it must be more than 0/s, and 1000000000/s at most\nodd is NaN/s; it must be more than 0/s, and 1000000000/s at most\nit has no name"
	if err := c.Err(); err == nil || err.Error() != want {
		t.Errorf("it says\n%v\nwant\n%s", err, want)
	}
}
