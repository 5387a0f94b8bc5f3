// Package energy says what a sensor's life costs its battery.
//
// A [Meter], one for each device, is fed by whoever drives the real client:
// it woke, it sent so many octets, it waited so long with the receiver on. The
// meter knows no protocol and no loss: retries, waits and handshakes cost what
// the client did, not what a formula says it would do. [Hardware] says what
// each of that draws; its parameters are plain fields, and every preset says
// where they come from or that they are assumed.
//
//	Q = Σ I·t of sleep + Σ charge of each wake, packet, wait and computation
//	life = usable capacity / (Q per day + self-discharge per day)
//
// What a radio cannot carry is refused with an [Infeasible]: it is never cut
// to fit. The package does no input or output and reads no clock.
//
// Currents are in mA, except those of sleep, in µA. Charges are in µC, which
// is mA·ms; reports are in mAh per day.
package energy

import (
	"errors"
	"fmt"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/bounds"
)

// Hardware is what the devices of a group are made of.
type Hardware struct {
	Radio   Profile
	Board   Board
	Battery Battery
	Celsius float64 // temperature of use, -40 to 60; what the cold takes from the battery
}

// A Board is all of a device but its radio and battery.
type Board struct {
	Name    string
	Sleep   float64       // µA: leakage of the board, and its processor if that is not the radio's
	Wake    time.Duration // from sleep to the first octet: clocks, sensor, stack
	Waking  float64       // mA while it wakes
	CPU     float64       // mA while it computes
	Sources []Source
}

// A Source says where a parameter comes from. What is Assumed was not found in
// a public data sheet: reports say so. Whoever changes a parameter says here
// where the new one comes from.
type Source struct {
	Parameter string
	From      string
	Assumed   bool
}

// A Phase is a stretch of time at one current.
type Phase struct {
	Time    time.Duration
	Current float64 // mA
}

func (p Phase) charge() float64 { return p.Current * ms(p.Time) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Floor is what the device draws while it does nothing, in µA.
func (h *Hardware) Floor() float64 { return h.Radio.Sleep + h.Radio.Upkeep + h.Board.Sleep }

// Peak is the most the battery is asked for at a time, in mA.
func (h *Hardware) Peak() float64 {
	return max(h.Radio.Tx, h.Radio.Rx, h.Radio.Wait, h.Radio.Access.Current, h.Board.Waking, h.Board.CPU)
}

// Sources lists where every parameter comes from: of the radio, the board, the
// battery.
func (h *Hardware) Sources() []Source {
	var all []Source
	add := func(name string, sources []Source) {
		for _, s := range sources {
			s.Parameter = name + ": " + s.Parameter
			all = append(all, s)
		}
	}
	add(h.Radio.Name, h.Radio.Sources)
	add(h.Board.Name, h.Board.Sources)
	add(h.Battery.Name, h.Battery.Sources)
	return all
}

// Validate reports everything that is wrong with h, under the names of its
// fields.
func (h *Hardware) Validate() error {
	var b bounds.Checks
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"radio.tx", h.Radio.Tx}, {"radio.rx", h.Radio.Rx}, {"radio.wait", h.Radio.Wait},
		{"radio.sleep", h.Radio.Sleep}, {"radio.upkeep", h.Radio.Upkeep},
		{"radio.access.current", h.Radio.Access.Current}, {"radio.tail.current", h.Radio.Tail.Current},
		{"board.sleep", h.Board.Sleep}, {"board.waking", h.Board.Waking}, {"board.cpu", h.Board.CPU},
	} {
		b.Require(0 <= f.value && f.value <= 1e6, "%s is %v; a current is 0 to 1e6", f.name, f.value)
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"radio.access.time", h.Radio.Access.Time}, {"radio.tail.time", h.Radio.Tail.Time}, {"board.wake", h.Board.Wake},
	} {
		b.Require(0 <= f.value && f.value <= time.Hour, "%s is %v; it must be 0s to 1h", f.name, f.value)
	}
	b.Require(0 <= h.Radio.DutyCycle && h.Radio.DutyCycle <= 1,
		"radio.duty_cycle is %v; it must be a share, 0 (no limit) to 1", h.Radio.DutyCycle)
	if h.Radio.Link == nil {
		b = append(b, errors.New("radio.link is not set; start from a preset, see Profiles"))
	} else if err := h.Radio.Link.validate(); err != nil {
		b = append(b, fmt.Errorf("radio.link: %w", err))
	}
	b.Require(0 < h.Battery.Capacity && h.Battery.Capacity <= 1e6,
		"battery.capacity is %v mAh; it must be above 0, to 1e6", h.Battery.Capacity)
	b.Require(0 < h.Battery.Usable && h.Battery.Usable <= 1,
		"battery.usable is %v; it must be a share above 0, to 1", h.Battery.Usable)
	b.Require(0 <= h.Battery.SelfDischarge && h.Battery.SelfDischarge < 1,
		"battery.self_discharge is %v; it must be a share a year, 0 to below 1", h.Battery.SelfDischarge)
	b.Require(0 < h.Battery.Cold && h.Battery.Cold <= 1,
		"battery.cold is %v; it must be the share that is left at -20 °C, above 0, to 1", h.Battery.Cold)
	b.Require(0 <= h.Battery.Pulse, "battery.pulse is %v mA; it must be 0 (not known) or more", h.Battery.Pulse)
	b.Require(-40 <= h.Celsius && h.Celsius <= 60, "celsius is %v; it must be -40 to 60", h.Celsius)
	return b.Err()
}

// A Group is what many devices have in common: what they are made of, and the
// sum of what they moved, by packet type. It is not safe for concurrent use.
type Group struct {
	Hardware
	Traffic Traffic

	// Lasting says that a DTLS handshake is done once for all: no advice saves it.
	Lasting bool
}

// Traffic is octets and charge by packet type.
type Traffic struct {
	Types     [mqttsn.NumTypes]Flow
	Handshake Flow
}

// A Flow is what packets of one type came to, in both directions. Octets are
// those of the datagram's payload.
type Flow struct {
	Datagrams, Octets uint64
	Resent            uint64  // octets of Octets that were sent or received again
	Charge            float64 // µC, with that of Waiting
	Waiting           float64 // µC spent waiting for the answer to such a packet
}

// Add adds what another shard counted.
func (t *Traffic) Add(o *Traffic) {
	for i := range o.Types {
		t.Types[i].add(o.Types[i])
	}
	t.Handshake.add(o.Handshake)
}

func (f *Flow) add(o Flow) {
	f.Datagrams += o.Datagrams
	f.Octets += o.Octets
	f.Resent += o.Resent
	f.Charge += o.Charge
	f.Waiting += o.Waiting
}

// Octets is the sum over all types and handshakes.
func (t *Traffic) Octets() uint64 {
	n := t.Handshake.Octets
	for _, f := range t.Types {
		n += f.Octets
	}
	return n
}

// flow is where an act is counted. An unknown type counts as 0, which no
// packet has.
func (t *Traffic) flow(typ mqttsn.Type, how How) *Flow {
	switch {
	case how&InHandshake != 0:
		return &t.Handshake
	case int(typ) >= len(t.Types):
		return &t.Types[0]
	}
	return &t.Types[typ]
}
