package limit

import (
	"net/netip"
	"testing"
	"time"

	"dormouse/mqttsn/clock"
)

// TestLimiter: a second's worth at once, then one after the other; and one
// key's share is not another's.
func TestLimiter(t *testing.T) {
	l := New(1<<10, 10)
	now := clock.Time(time.Hour)
	count := func(key uint64) (n int) {
		for range 100 {
			if l.Allow(now, key) {
				n++
			}
		}
		return n
	}
	if n := count(1); n != 10 {
		t.Errorf("%d at once, want 10", n)
	}
	if n := count(2); n != 10 {
		t.Errorf("%d at once of another key, want 10", n)
	}
	now = now.Add(300 * time.Millisecond)
	if n := count(1); n != 3 {
		t.Errorf("%d after 300 ms, want 3", n)
	}
	now = now.Add(time.Hour)
	if n := count(1); n != 10 {
		t.Errorf("%d after an hour, want 10", n)
	}
}

// TestHashAddr: the same address has the same hash under one seed, and another
// under another.
func TestHashAddr(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if same := HashAddr(1, a); same != HashAddr(1, netip.MustParseAddr("192.0.2.1")) || same == HashAddr(1, b) || same == HashAddr(2, a) {
		t.Error("hashes do not tell addresses and seeds apart, and nothing else")
	}
}
