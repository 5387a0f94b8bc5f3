package sim

import "dormouse/sim/chance"

// seed derives one from others, such as a group's from the plan's.
func seed(parts ...uint64) (s uint64) {
	for _, p := range parts {
		s = chance.Mix(s ^ p)
	}
	return s
}

// What a seed is for.
const (
	forRadio = iota + 1
	forWork
	forEvent
	forSite
	forBackoff
)

// unit makes a number in [0,1) of a seed.
func unit(s uint64) float64 { return float64(s>>11) / (1 << 53) }
