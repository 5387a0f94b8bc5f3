package dtls

import (
	"math"

	"dormouse/mqttsn/transport"
)

// amplification is how many octets a new address is sent for each that came
// from it, until it has shown that it did not come there by chance.
const amplification = 3

// locate notes that the newest record, in a datagram of so many octets, came
// from there, and reports whether the peer has moved there. No other moves a
// peer: one that was held up, or was recorded, may come from anywhere. A new
// address, and any after a restart, is believed once there is a newer record
// from it; before that whoever has held one up could have our answers sent to
// somebody else.
func (a *association) locate(from place, octets int) (moved bool) {
	if moved = a.place != from; moved {
		a.place, a.unproven, a.credited, a.credit = from, true, false, 0
	}
	switch {
	case !a.unproven:
	case a.credited:
		a.unproven = false
	default:
		a.credited = true
		a.credit = uint16(min(amplification*octets, math.MaxUint16))
	}
	return moved
}

// affords reports whether so many octets may be sent to a now, and takes them
// off its credit.
func (a *association) affords(octets int) bool {
	if !a.unproven {
		return true
	}
	if octets > int(a.credit) {
		return false
	}
	a.credit -= uint16(octets)
	return true
}

// badSource reports whether nobody can be there.
func badSource(p transport.Peer) bool {
	a := p.Addr.Addr()
	return !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || p.Addr.Port() == 0
}
