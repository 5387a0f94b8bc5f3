package radio

import (
	"math"
	"time"

	"dormouse/mqttsn/clock"
)

// charge takes air from what s may be on the air in the hour of off, and
// reports false, having taken nothing, if there is not that much left. A
// datagram belongs to the hour in which it ends.
func (m *Model) charge(s *State, w way, off clock.Time, air time.Duration) bool {
	budget := m.links[w].budget
	if budget == 0 {
		return true
	}
	used := time.Duration(s.air[w]) * time.Microsecond
	if m.hour(s, s.free[w]) != m.hour(s, off) {
		used = 0
	}
	if used+air > budget {
		return false
	}
	// Rounded up, and never above an hour, which fits.
	s.air[w] = uint32(math.Ceil((used + air).Seconds() * 1e6))
	return true
}

// hour numbers the hours of a device. They begin at a moment of its own, so
// that not all of a fleet may speak again at once.
func (m *Model) hour(s *State, t clock.Time) int64 {
	phase := event(m.key, forHours, s.device, 0).of(0) * float64(time.Hour)
	return (int64(t) + int64(phase)) / int64(time.Hour)
}
