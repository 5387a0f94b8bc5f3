// Package limit bounds how often something may happen, in memory that does not
// grow with how many there are who do it.
package limit

import (
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"dormouse/mqttsn/clock"
)

// A Limiter lets through so many of something per second, and as many at once
// as in a second. What has the same hash shares a slot: the limiter never
// grows, and errs on the side of too few. It is safe for concurrent use.
type Limiter struct {
	slots    []atomic.Int64 // when each will have earned its allowance back
	interval time.Duration  // in which one is earned
	burst    time.Duration
}

// New returns a Limiter of so many slots, 8 octets each.
func New(slots int, perSecond float64) *Limiter {
	interval := max(1, time.Duration(float64(time.Second)/perSecond))
	return &Limiter{
		slots:    make([]atomic.Int64, slots),
		interval: interval,
		burst:    max(time.Second, interval),
	}
}

// Allow reports whether there may be another one of key at now.
func (l *Limiter) Allow(now clock.Time, key uint64) bool {
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

// HashAddr condenses an address, which for a network is that of its first host.
func HashAddr(seed uint64, a netip.Addr) uint64 {
	b := a.As16()
	for i := range 2 {
		var word uint64
		for _, octet := range b[8*i : 8*i+8] {
			word = word<<8 | uint64(octet)
		}
		seed = Mix(seed ^ word)
	}
	return seed
}

// Mix spreads every bit of x over all of the result.
func Mix(x uint64) uint64 {
	high, low := bits.Mul64(x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return high ^ low
}
