// Package chance makes what looks random of numbers that are known, so that
// devices need no generator each, and a run can be had again.
package chance

// Golden is 2⁶⁴ divided by the golden ratio, the step of SplitMix64.
const Golden = 0x9e3779b97f4a7c15

// Mix is the output function of SplitMix64 (Steele, Lea, Flood 2014). It maps
// different words to different words, and a counter to what looks random.
func Mix(x uint64) uint64 {
	x += Golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
