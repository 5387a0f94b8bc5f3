package gateway

import (
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"dormouse/mqttsn/clock"
)

// A limiter lets through so many of something per second, and as many at once
// as in a second. What has the same hash shares a slot: the limiter never
// grows, and errs on the side of too few. It is safe for concurrent use.
type limiter struct {
	slots    []atomic.Int64 // when each will have earned its allowance back
	interval time.Duration  // in which one is earned
	burst    time.Duration
}

func newLimiter(slots int, perSecond float64) *limiter {
	interval := max(1, time.Duration(float64(time.Second)/perSecond))
	return &limiter{
		slots:    make([]atomic.Int64, slots),
		interval: interval,
		burst:    max(time.Second, interval),
	}
}

// allow reports whether there may be another one of key at now.
func (l *limiter) allow(now clock.Time, key uint64) bool {
	slot := &l.slots[key%uint64(len(l.slots))]
	for {
		earned := slot.Load()
		next := max(earned, int64(now)) + int64(l.interval)
		if next-int64(now) > int64(l.burst) {
			return false
		}
		if slot.CompareAndSwap(earned, next) {
			return true
		}
	}
}

// hashAddr condenses an address, which for a network is that of its first host.
func hashAddr(seed uint64, a netip.Addr) uint64 {
	b := a.As16()
	for i := range 2 {
		var word uint64
		for _, octet := range b[8*i : 8*i+8] {
			word = word<<8 | uint64(octet)
		}
		seed = mix(seed ^ word)
	}
	return seed
}

// mix spreads every bit of x over all of the result.
func mix(x uint64) uint64 {
	high, low := bits.Mul64(x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return high ^ low
}
