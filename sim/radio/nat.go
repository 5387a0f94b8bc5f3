package radio

import (
	"time"

	"dormouse/mqttsn/clock"
)

// NAT says how long an address is a device's. The zero NAT keeps it for ever.
type NAT struct {
	// Every device gets another address each Every, from a moment of its own
	// on, each time late by up to Jitter, which is at most Every. Zero: never.
	Every, Jitter time.Duration

	// Idle is how long a binding lasts after the last datagram of the device
	// that got through; what is sent to it does not prolong it (RFC 4787,
	// REQ-6). Zero: for ever.
	Idle time.Duration
}

func (n NAT) exists() bool { return n.Every > 0 || n.Idle > 0 }

// Rebound reports, once for each time, that the binding of s has ended: its
// next datagram comes from another address, and nothing reaches the old one.
// Ask before every Up. There is no binding until a datagram gets through.
func (m *Model) Rebound(s *State, now clock.Time) bool {
	if !m.nat.exists() || !s.bound.Reached(now) {
		return false
	}
	s.bound = 0
	return true
}

// bind keeps or makes the binding of s, as a datagram of it that was sent by
// now does.
func (m *Model) bind(s *State, now clock.Time) {
	s.bound = 0
	if m.nat.Every > 0 {
		s.bound = m.rebinding(s.device, now)
	}
	if m.nat.Idle > 0 {
		s.bound = clock.Sooner(s.bound, now.Add(m.nat.Idle))
	}
}

// unbound reports whether no binding leads to s at now.
func (m *Model) unbound(s *State, now clock.Time) bool {
	return m.nat.exists() && now >= s.bound
}

// rebinding returns when device gets another address next, after now. The
// moments are computed, not remembered: the nth is in the nth Every, counted
// from a phase of the device's own, plus its jitter.
func (m *Model) rebinding(device uint32, now clock.Time) clock.Time {
	every, jitter := int64(m.nat.Every), float64(m.nat.Jitter)
	phase := int64(event(m.key, forRebinding, device, -1).of(0) * float64(every))
	for n := (int64(now) - phase) / every; ; n++ {
		late := event(m.key, forRebinding, device, n).of(0) * jitter
		if at := clock.Time(phase + n*every + int64(late)); at > now {
			return at
		}
	}
}
