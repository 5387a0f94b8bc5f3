package radio

// What numbers are drawn for. Each is a stream of its own.
const (
	forChain = iota
	forLoss
	forLatency
	forReordering
	forDetour
	forDuplication
	forCopy
	forHours
	forRebinding
	forOutage
)

// golden is 2⁶⁴ divided by the golden ratio, the step of SplitMix64.
const golden = 0x9e3779b97f4a7c15

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014). It maps
// different words to different words, and a counter to what looks random: a
// million devices need no generator each, only their numbers.
func mix(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// A draw is the numbers of one event, such as a datagram.
type draw uint64

// draw returns the numbers of datagram n that a device sends or receives.
func (m *Model) draw(w way, device, n uint32) draw {
	key := mix(m.key + uint64(w))
	return draw(mix(key ^ (uint64(device)<<32 | uint64(n))))
}

// of returns the number drawn for a purpose, above 0 and below 1: what has
// probability 0 never happens, and what has 1 always does.
func (d draw) of(purpose uint64) float64 {
	x := mix(uint64(d) + purpose*golden)
	return (float64(x>>12) + 0.5) / (1 << 52)
}

// event returns the numbers of the nth of those events which have to do with
// time and not with datagrams.
func event(key, purpose uint64, device uint32, n int64) draw {
	return draw(mix(mix(mix(key+purpose*golden)^uint64(device)) ^ uint64(n)))
}
