package radio

import "dormouse/sim/chance"

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

// A draw is the numbers of one event, such as a datagram.
type draw uint64

// draw returns the numbers of datagram n that a device sends or receives.
func (m *Model) draw(w way, device, n uint32) draw {
	key := chance.Mix(m.key + uint64(w))
	return draw(chance.Mix(key ^ (uint64(device)<<32 | uint64(n))))
}

// of returns the number drawn for a purpose, above 0 and below 1: what has
// probability 0 never happens, and what has 1 always does.
func (d draw) of(purpose uint64) float64 {
	x := chance.Mix(uint64(d) + purpose*chance.Golden)
	return (float64(x>>12) + 0.5) / (1 << 52)
}

// event returns the numbers of the nth of those events which have to do with
// time and not with datagrams.
func event(key, purpose uint64, device uint32, n int64) draw {
	return draw(chance.Mix(chance.Mix(chance.Mix(key+purpose*chance.Golden)^uint64(device)) ^ uint64(n)))
}
