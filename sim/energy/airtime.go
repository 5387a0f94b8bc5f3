package energy

import (
	"errors"
	"time"
)

// ipv6Payload is the MTU that 6LoWPAN offers, RFC 4944 §4 and RFC 7668 §3.2,
// less the headers of IPv6 and UDP.
const ipv6Payload = 1280 - 40 - 8

// IEEE802154 is 6LoWPAN over IEEE 802.15.4, unslotted CSMA-CA, with
// acknowledged frames. The receiver is on as long as the client waits.
type IEEE802154 struct {
	Octet      time.Duration // time of one octet
	PHY        int           // octets before the frame: preamble, delimiter, length
	MAC        int           // octets of a frame that are not payload, with the FCS
	Frame      int           // most octets of a frame, MAC and payload
	Header     int           // octets of the compressed IPv6 and UDP headers
	Fragment   int           // octets of a fragment's header
	Ack        int           // octets of an acknowledgement, with PHY
	CSMA       time.Duration // mean listening before a frame
	Turnaround time.Duration // between a frame and its acknowledgement
	AckWait    time.Duration // listening for an acknowledgement that does not come
	Retries    int           // of a frame that is not acknowledged
}

// frames splits a datagram, RFC 4944 §5.3: the parts of a fragmented one are
// multiples of 8 octets, but the last. It yields frames' octets on air.
func (l *IEEE802154) frames(octets int, yield func(onAir int)) error {
	if octets > ipv6Payload {
		return tooLong(octets, ipv6Payload)
	}
	left, room := octets+l.Header, l.Frame-l.MAC
	if left <= room {
		yield(l.PHY + l.MAC + left)
		return nil
	}
	for room = (room - l.Fragment) / 8 * 8; left > 0; left -= room {
		yield(l.PHY + l.MAC + l.Fragment + min(left, room))
	}
	return nil
}

func (l *IEEE802154) time(octets int) time.Duration { return time.Duration(octets) * l.Octet }

// Up sends each fragment after CSMA and receives its acknowledgement. If the
// datagram is lost it is the first fragment that is, every time.
func (l *IEEE802154) Up(octets int, lost bool) (Use, error) {
	var u Use
	first := true
	err := l.frames(octets, func(onAir int) {
		switch {
		case !lost:
			u.Tx += l.time(onAir)
			u.Rx += l.CSMA + l.Turnaround + l.time(l.Ack)
		case first:
			tries := time.Duration(1 + l.Retries)
			u.Tx += tries * l.time(onAir)
			u.Rx += tries * (l.CSMA + l.AckWait)
		}
		first = false
	})
	return u, err
}

// Down receives each fragment and acknowledges it.
func (l *IEEE802154) Down(octets int) (Use, error) {
	var u Use
	err := l.frames(octets, func(onAir int) {
		u.Rx += l.time(onAir) + l.Turnaround
		u.Tx += l.time(l.Ack)
	})
	return u, err
}

// Listen is all of d.
func (l *IEEE802154) Listen(d time.Duration) time.Duration { return d }

func (l *IEEE802154) validate() error {
	if l.Octet <= 0 || min(l.PHY, l.MAC, l.Header, l.Fragment, l.Ack, l.Retries) < 0 ||
		min(l.CSMA, l.Turnaround, l.AckWait) < 0 || l.Frame-l.MAC-l.Fragment < 8 ||
		max(l.Octet, l.CSMA, l.Turnaround, l.AckWait) > time.Second || max(l.PHY, l.Frame, l.Header, l.Ack) > 2047 || l.Retries > 7 {
		return errors.New("802.15.4 needs times up to 1s, sizes up to 2047 octets, 8 octets of room in a fragment, and up to 7 retries")
	}
	return nil
}

// BLE is 6LoWPAN over Bluetooth LE, RFC 7668, in connection events: the radio
// is off in between, so waiting itself is free. See [Profile].Upkeep.
type BLE struct {
	Octet    time.Duration // time of one octet
	Overhead int           // octets of a PDU on air that are not payload: preamble, address, header, CRC
	PDU      int           // most octets of payload of a PDU
	Header   int           // octets of L2CAP and the compressed IPv6 and UDP headers
	Space    time.Duration // T_IFS, between a PDU and the answer to it
	Event    float64       // µC of a connection event beside its PDUs; one event for each datagram
}

// exchange is a datagram's PDUs, each answered by an empty one.
func (l *BLE) exchange(octets int) (data, answers, spaces time.Duration, err error) {
	if octets > ipv6Payload {
		return 0, 0, 0, tooLong(octets, ipv6Payload)
	}
	for left := octets + l.Header; left > 0; left -= l.PDU {
		data += time.Duration(l.Overhead+min(left, l.PDU)) * l.Octet
		answers += time.Duration(l.Overhead) * l.Octet
		spaces += 2 * l.Space
	}
	return data, answers, spaces, nil
}

// Up sends PDUs and receives empty ones. A lost datagram costs no more: the
// loss that the link itself repairs is not modelled.
func (l *BLE) Up(octets int, _ bool) (Use, error) {
	data, answers, spaces, err := l.exchange(octets)
	return Use{Tx: data, Rx: answers + spaces, Fixed: l.Event}, err
}

// Down receives PDUs and sends empty ones.
func (l *BLE) Down(octets int) (Use, error) {
	data, answers, spaces, err := l.exchange(octets)
	return Use{Tx: answers, Rx: data + spaces, Fixed: l.Event}, err
}

// Listen is nothing.
func (l *BLE) Listen(time.Duration) time.Duration { return 0 }

func (l *BLE) validate() error {
	if l.Octet <= 0 || l.PDU <= 0 || min(l.Overhead, l.Header) < 0 || l.Space < 0 ||
		max(l.Octet, l.Space) > time.Second || max(l.PDU, l.Overhead, l.Header) > 2047 || !(0 <= l.Event && l.Event <= 1e6) {
		return errors.New("ble needs times up to 1s, sizes up to 2047 octets, a PDU of 1 or more, and an event of 0 to 1e6 µC")
	}
	return nil
}

// NBIoT is LTE Cat NB in connected mode. What brings the device there and
// keeps it there is the profile's Access and Tail.
type NBIoT struct {
	Rate        float64       // bit/s, effective, both ways
	Header      int           // octets of the IP and UDP headers
	Grant       time.Duration // of transmitting that each datagram takes whatever its length
	Repetitions int           // 1, 8, 32 for coverage enhancement 0, 1, 2
	MTU         int           // most octets with the headers
}

func (l *NBIoT) time(octets int) (time.Duration, error) {
	if octets+l.Header > l.MTU {
		return 0, tooLong(octets, l.MTU-l.Header)
	}
	bits := float64(8 * (octets + l.Header) * l.Repetitions)
	return time.Duration(bits / l.Rate * float64(time.Second)), nil
}

// Up transmits the datagram and what it takes to be allowed to. Retransmission
// by the link, HARQ, is part of the effective rate.
func (l *NBIoT) Up(octets int, _ bool) (Use, error) {
	t, err := l.time(octets)
	if err != nil {
		return Use{}, err
	}
	return Use{Tx: t + time.Duration(l.Repetitions)*l.Grant}, nil
}

// Down receives the datagram.
func (l *NBIoT) Down(octets int) (Use, error) {
	t, err := l.time(octets)
	return Use{Rx: t}, err
}

// Listen is all of d: Wait is the mean current of connected-mode DRX.
func (l *NBIoT) Listen(d time.Duration) time.Duration { return d }

func (l *NBIoT) validate() error {
	if !(1 <= l.Rate && l.Rate <= 1e9) || l.Repetitions < 1 || l.Repetitions > 2048 ||
		l.Header < 0 || l.MTU <= l.Header || l.MTU > 65535 || l.Grant < 0 || l.Grant > time.Minute {
		return errors.New("nb-iot needs 1 to 1e9 bit/s, 1 to 2048 repetitions, an MTU above the header, and a grant up to 1m")
	}
	return nil
}
