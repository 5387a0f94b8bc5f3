package ledger

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// asked is the request of the gateway to a device that is unanswered.
type asked struct {
	at      clock.Time // sent last
	pressed clock.Time // any was sent again
	idle    clock.Time // the last was answered
	id      uint16
	typ     mqttsn.Type
	copies  uint8 // of it; zero: there is none
	unnamed bool  // a REGISTER was in vain: what the device has subscribed to may be given up
}

// spent is how many copies of a request a gateway has sent at the least when
// it gives it up: N_RETRY is 3 to 5, 1.2 §7.2.
const spent = 3

// ask notes a packet of the gateway.
func (a *asked) ask(now clock.Time, p mqttsn.Packet) {
	id, dup := uint16(0), false
	switch p := p.(type) {
	case *mqttsn.Publish:
		if p.QoS < 1 {
			return
		}
		id, dup = p.ID, p.DUP
	case *mqttsn.Pubrel:
		id = p.ID
	case *mqttsn.Register:
		id = p.ID
	case *mqttsn.Pingreq:
	default:
		return
	}
	if a.copies == 0 || a.typ != p.Type() || a.id != id {
		a.typ, a.id, a.copies = p.Type(), id, 0
	}
	a.copies = more(a.copies)
	a.at = now
	if dup || a.copies > 1 {
		a.pressed = now
	}
}

// vain reports whether the gateway may have given the device up, for want of
// an answer: one is missing, or one was, not long ago.
func (a *asked) vain(now clock.Time) bool {
	return a.copies > 0 && now.Sub(a.at) >= time.Second || a.pressed != 0 && now.Sub(a.pressed) <= 2*patience
}

// answered notes a packet of the device.
func (a *asked) answered(now clock.Time, t mqttsn.Type, id uint16) {
	if a.copies == 0 || a.id != id {
		return
	}
	switch t {
	case mqttsn.TypePuback, mqttsn.TypePubrec:
		if a.typ != mqttsn.TypePublish {
			return
		}
	case mqttsn.TypePubcomp:
		if a.typ != mqttsn.TypePubrel {
			return
		}
	case mqttsn.TypeRegack:
		if a.typ != mqttsn.TypeRegister {
			return
		}
	case mqttsn.TypePingresp:
		if a.typ != mqttsn.TypePingreq {
			return
		}
	default:
		return
	}
	a.copies, a.idle = 0, now
}
