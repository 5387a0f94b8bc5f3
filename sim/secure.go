package sim

import (
	"errors"
	"time"

	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/sim/energy"
)

// This file is DTLS as a device has it. What its client says is sealed before
// it is on the radio, and what the radio brings is opened: by an association,
// which is a value. How a device comes by one is the business of whoever drives
// the fleet, see Handshake: the fleet carries the datagrams.

// A Handshake is one that a device wants done with the gateway, so that it can
// speak. It is the driver's from when Handshakes yields it until Agreed is
// called with it, or the fleet calls Abandon. The driver sets both functions
// before it returns to Handshakes.
type Handshake struct {
	Group    *Group // of the plan
	Number   int    // of the device, as in patterns
	Identity string // whom the device says it is
	From     Endpoint

	// Deliver takes in a datagram of the gateway, which is its own only until it
	// returns. Abandon ends it: the device wants it no more.
	Deliver func(b []byte)
	Abandon func()

	device int32
}

// A secured is what a device has beside its client: an association, or a
// handshake, or neither.
type secured struct {
	record.Association
	agreed  bool       // there is one
	before  bool       // there has been one in this run
	shaking *Handshake // nil: none is under way
}

// What computing takes. The figures are assumed: AES-CCM in hardware, and the
// key derivations of a handshake with a pre-shared key in software.
const (
	sealing = 50 * time.Microsecond
	shaking = 5 * time.Millisecond
)

// secured is the DTLS of device i, or nil.
func (f *Fleet) secured(i int32) *secured {
	_, g := f.at(i)
	if g.secured == nil {
		return nil
	}
	return &g.secured[g.dev(i)]
}

// speechless reports whether device i cannot say anything before a handshake.
func (f *Fleet) speechless(i int32) bool {
	s := f.secured(i)
	return s != nil && !s.agreed
}

// tick has the client of device i do what is due.
func (f *Fleet) tick(i int32, now clock.Time) {
	if f.speechless(i) {
		f.shake(i, now)
		return
	}
	d, g := f.at(i)
	if d.is(estranged) && !d.client.Busy() {
		return // it connects first
	}
	f.rouse(d, g, now)
	d.client.Tick(f.ready(d, now), &f.acts)
	f.carryOut(i, now)
}

// shake has device i begin a handshake, unless it is at it or has to wait.
func (f *Fleet) shake(i int32, now clock.Time) {
	d, g := f.at(i)
	if d.is(greeting) || d.hold > now {
		return
	}
	f.rouse(d, g, now)
	d.set(greeting, true)
	s := f.secured(i)
	s.shaking = &Handshake{
		Group: g.plan, Number: g.named(i), Identity: g.identity.of(g.named(i)), From: d.endpoint, device: i,
	}
	if g.energy != nil {
		d.meter.Computed(g.energy, shaking, energy.InHandshake)
	}
	f.shakes = append(f.shakes, s.shaking)
}

// Handshakes yields those that have begun since the last call.
func (f *Fleet) Handshakes(yield func(*Handshake) bool) {
	shakes := f.shakes
	f.shakes = nil
	for _, h := range shakes {
		if f.secured(h.device).shaking == h && !yield(h) {
			return
		}
	}
}

// Say sends a datagram of a handshake to the gateway. b is copied.
func (f *Fleet) Say(now clock.Time, h *Handshake, b []byte) {
	if f.secured(h.device).shaking != h {
		return
	}
	f.now = max(f.now, now)
	f.emit(h.device, f.now, b, nil, client.Sending{}, energy.InHandshake)
	f.settle(h.device, f.now)
}

// Agreed ends a handshake: with an association, or with why there is none.
func (f *Fleet) Agreed(now clock.Time, h *Handshake, a *record.Association, err error) {
	s := f.secured(h.device)
	if s.shaking != h {
		return
	}
	f.now = max(f.now, now)
	now = f.now
	i := h.device
	d, g := f.at(i)
	f.spend(d, g, now)
	s.shaking = nil
	d.set(greeting, false)
	if err != nil {
		g.stats.HandshakesFailed++
		f.wait(i, now, err)
	} else {
		g.stats.Handshakes++
		if s.before {
			g.stats.HandshakesAgain++
			d.set(estranged, d.client.State() == client.Active)
		}
		s.Association, s.agreed, s.before = *a, true, true
	}
	f.live(i, now)
}

// forget takes the association from device i, and the handshake.
func (f *Fleet) forget(i int32) {
	s := f.secured(i)
	if s == nil {
		return
	}
	if h := s.shaking; h != nil {
		s.shaking = nil
		f.devices[i].set(greeting, false)
		if h.Abandon != nil {
			h.Abandon()
		}
	}
	s.agreed = false
}

// unanswered has device i forget an association that the gateway may have
// forgotten.
func (f *Fleet) unanswered(i int32, why error) {
	if errors.Is(why, client.ErrNoAnswer) {
		f.forget(i)
	}
}

// seal makes a record of what device i says, or returns nil if it cannot: then
// it needs another handshake.
func (f *Fleet) seal(i int32, b []byte) []byte {
	s := f.secured(i)
	if !s.agreed {
		return nil
	}
	sealed, err := s.Seal(s.Ciphers(), f.sealed[:0], record.ApplicationData, b)
	if err != nil {
		f.forget(i)
		return nil
	}
	f.sealed = sealed
	return sealed
}

// open reads a datagram of the gateway to device i. What is not for its client
// is nil.
func (f *Fleet) open(i int32, b []byte) []byte {
	s := f.secured(i)
	if s == nil {
		return b
	}
	got := s.read(b)
	switch got.Type {
	case record.ApplicationData:
		return got.Octets
	case record.Alert:
		f.forget(i)
	}
	return nil
}

// read opens the first record of a datagram in place.
func (s *secured) read(b []byte) record.Content {
	if !s.agreed {
		return record.Content{}
	}
	r, _, err := record.Next(b, 0)
	if err != nil {
		return record.Content{}
	}
	got, err := s.Open(s.Ciphers(), r)
	if err != nil {
		return record.Content{}
	}
	return got
}

// overhear is what device i would read in a datagram to it, as far as it is of
// MQTT-SN. Nothing changes, and what it returns is valid until the next call.
func (f *Fleet) overhear(i int32, b []byte) []byte {
	s := f.secured(i)
	if s == nil {
		return b
	}
	other := *s
	f.overheard = append(f.overheard[:0], b...)
	if got := other.read(f.overheard); got.Type == record.ApplicationData {
		return got.Octets
	}
	return nil
}
