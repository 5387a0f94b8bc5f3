package mistakes_test

import (
	"math"
	"testing"
	"time"

	"dormouse/sim/mistakes"
)

// TestList: all mistakes are told, in order; bounds are within them.
func TestList(t *testing.T) {
	var l mistakes.List
	l.Share("loss", 0)
	l.Share("loss", 1)
	l.Duration("for", time.Second, time.Second, time.Minute)
	l.Duration("for", time.Minute, time.Second, time.Minute)
	if err := l.Err(); err != nil {
		t.Errorf("what is right is called wrong: %v", err)
	}
	l.Share("loss", math.NaN())
	l.Duration("for", 61*time.Second, time.Second, time.Minute)
	l.Require(false, "%s is not set", "name")
	const want = "loss is NaN; it must be 0 to 1\nfor is 1m1s; it must be 1s to 1m0s\nname is not set"
	if err := l.Err(); err == nil || err.Error() != want {
		t.Errorf("it says\n%v\nwant\n%s", err, want)
	}
}
