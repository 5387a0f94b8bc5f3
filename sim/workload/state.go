package workload

import (
	"math"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim/chance"
)

// A State is what is remembered of one device. It is 48 octets; what follows
// from the seed is computed whenever it is asked for.
type State struct {
	seed  uint32 // of the group
	place uint32 // among the devices of the group, see placeOf
	start clock.Time
	noon  uint32 // the time of day at the start, in milliseconds

	left      uint32     // reports of a burst that are still to come
	burst     clock.Time // when the next of them is due
	reported  clock.Time // regular reports up to this moment have been made or skipped
	commanded clock.Time // and commands
}

// Begin makes s a device at the start of a run: its number in its group, of so
// many devices. Give each group a seed of its own; noon is the time of day at
// the start, to the millisecond, and counts for curves.
//
// Nothing is due at the very start.
func Begin(s *State, seed uint64, device, devices int, start clock.Time, noon time.Duration) {
	*s = State{
		seed:      uint32(chance.Mix(seed) >> 32),
		place:     placeOf(seed, device, devices),
		start:     start,
		noon:      uint32((noon%day + day) % day / time.Millisecond),
		reported:  start,
		commanded: start,
	}
}

// Switch is for when another workload is in force, or the device is switched
// on: what was due before now is no longer, and a burst is over. What is due
// at now still is, if it has not been Reported or Commanded yet. Offsets stay
// as they are: switching to the same workload changes nothing else.
func (s *State) Switch(now clock.Time) {
	s.reported = max(s.reported, now-1)
	s.commanded = max(s.commanded, now-1)
	s.left = 0
}

// Chosen reports whether a device is one of that share of a group, which is
// rounded to whole devices, halves up. Which ones depends on the seed; they are
// spread evenly over the numbers.
func Chosen(share float64, seed uint64, device, devices int) bool {
	return among(share, placeOf(seed, device, devices))
}

// among reports whether a place is in the lower share of all places.
func among(share float64, place uint32) bool {
	return float64(place) <= share*(1<<32)
}

// placeOf puts the devices of a group in another order, and returns where in
// it one stands: the middle of its part if 2³² is cut into as many parts as
// there are devices. Steps of the golden ratio spread neighbours evenly.
func placeOf(seed uint64, device, devices int) uint32 {
	n := uint64(devices)
	step := max(uint64(float64(n)/math.Phi), 1)
	for gcd(step, n) != 1 {
		step++
	}
	rank := (uint64(device)*step + chance.Mix(seed)%n) % n
	return uint32((2*rank + 1) << 31 / n)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// What numbers are drawn for. Each is a stream of its own.
const (
	forOffset = iota
	forJitter
	forBurst
	forCommandOffset
	forCommandJitter
	forPoll
	forDrift
	forReboots
	forReboot
	forStuck
)

// draw returns the nth number drawn for a purpose, above 0 and below 1.
func (s *State) draw(purpose uint64, n int64) float64 {
	key := chance.Mix(uint64(s.seed)<<32|uint64(s.place)) + purpose*chance.Golden
	return (float64(chance.Mix(chance.Mix(key)^uint64(n))>>12) + 0.5) / (1 << 52)
}
