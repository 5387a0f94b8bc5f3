package sim

// mix scatters the bits of x: the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// seed derives one from others, such as a group's from the plan's.
func seed(parts ...uint64) (s uint64) {
	for _, p := range parts {
		s = mix(s ^ p)
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
