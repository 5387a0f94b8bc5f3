package drive

import (
	"bytes"
	"cmp"
	"errors"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/mqttsn/wheel"
	"dormouse/sim"
)

// A Meeting is a handshake as it was done without a radio: what was said, by the
// device first and then in turn, and the association that it came to.
type Meeting struct {
	flights     []flight // the device's have even numbers
	Association *record.Association
}

// A flight is the datagrams of one side until the other speaks.
type flight struct {
	datagrams [][]byte
	heard     []bool // by the other side, since it last answered
}

// Say notes a datagram, up or down. One that was said before, and is repeated
// only because this machine was slow, is left out, and so is one that answers
// nothing.
func (m *Meeting) Say(up bool, b []byte) {
	if !up && len(m.flights) == 0 {
		return
	}
	for i := range m.flights {
		for _, d := range m.flights[i].datagrams {
			if up == (i%2 == 0) && bytes.Equal(headOf(d), headOf(b)) {
				return
			}
		}
	}
	if up != (len(m.flights)%2 == 1) {
		m.flights = append(m.flights, flight{})
	}
	f := &m.flights[len(m.flights)-1]
	f.datagrams, f.heard = append(f.datagrams, bytes.Clone(b)), append(f.heard, false)
}

// headOf is what tells a datagram from the others of its side, and not from its
// repeats: the header of the first message, RFC 6347 §4.2.2, behind that of the
// record.
func headOf(b []byte) []byte {
	const first, length = 13, 12
	if record.ContentType(b[0]) != record.Handshake || len(b) < first+length {
		return b[:1]
	}
	return b[first : first+length]
}

// hear notes that a datagram of the flight, or another, has come, and reports
// whether with it all of the flight has.
func (f *flight) hear(b []byte) bool {
	known, all := false, true
	for i, d := range f.datagrams {
		if bytes.Equal(d, b) {
			f.heard[i], known = true, true
		}
		all = all && f.heard[i]
	}
	if !known || !all {
		return false
	}
	clear(f.heard)
	return true
}

// Meetings are the handshakes of a run in virtual time. What was said without a
// radio is said again over it, and repeated by the device as RFC 6347 §4.2.4
// has it: after a time that the plan states, and after twice as long each time.
// The gateway repeats nothing by itself, but answers what it hears again.
type meetings struct {
	*virtual
	at    map[sim.Endpoint]*talk
	wheel *wheel.Wheel
	heard []word // by either side, in order

	// The functions that are handed around, made once.
	greet  func(*sim.Handshake) bool
	repeat func(e int32)
}

// A talk is one of them.
type talk struct {
	h      *sim.Handshake
	m      *Meeting
	flight int // the device's last
	since  clock.Time
	tries  int
}

// A word is a datagram that has reached a side.
type word struct {
	t    *talk
	down bool
	b    []byte
}

var errNoHandshake = errors.New("the gateway has not answered the handshake")

func newMeetings(v *virtual) *meetings {
	m := &meetings{virtual: v, at: make(map[sim.Endpoint]*talk), wheel: wheel.New(Start, time.Millisecond)}
	m.wheel.Grow(v.fleet.Endpoints())
	m.greet, m.repeat = m.begin, m.again
	return m
}

// begin does a handshake, and has the device say its first flight.
func (m *meetings) begin(h *sim.Handshake) bool {
	t := &talk{h: h, since: m.now}
	h.Abandon = func() { m.end(t) }
	h.Deliver = func(b []byte) { m.heard = append(m.heard, word{t, true, bytes.Clone(b)}) }
	m.moved = true
	var err error
	if t.m, err = m.o.Meet(address(h.From), h); err != nil {
		m.fleet.Agreed(m.now, h, nil, err)
		return true
	}
	m.at[h.From] = t
	m.say(t)
	return true
}

// say has the device say its flight, and repeat it if there is no answer.
func (m *meetings) say(t *talk) {
	for _, b := range t.m.flights[t.flight].datagrams {
		m.fleet.Say(m.now, t.h, b)
	}
	first := cmp.Or(t.h.Group.DTLS.Retry, time.Second)
	m.wheel.Set(int32(t.h.From), m.now.Add(first<<t.tries))
}

func (m *meetings) end(t *talk) {
	if m.at[t.h.From] == t {
		delete(m.at, t.h.From)
		m.wheel.Cancel(int32(t.h.From))
	}
}

// up takes what has reached the gateway, and reports whether it is of a
// handshake.
func (m *meetings) up(e sim.Endpoint, b []byte) bool {
	if c := record.ContentType(b[0]); len(b) < 3 || b[1] != 0xfe || c != record.Handshake && c != record.ChangeCipherSpec {
		return false
	}
	if t := m.at[e]; t != nil {
		m.heard = append(m.heard, word{t, false, bytes.Clone(b)})
	}
	return true // from elsewhere it is nobody's
}

// turn has both sides answer what they have heard, and the devices repeat what
// is not answered.
func (m *meetings) turn() {
	m.wheel.Advance(m.now, m.repeat)
	heard := m.heard
	m.heard = nil
	for _, w := range heard {
		if m.at[w.t.h.From] != w.t {
			continue
		}
		m.moved = true
		if w.down {
			m.answer(w.t, w.b)
		} else {
			m.reply(w.t, w.b)
		}
	}
}

// again has a device repeat what is not answered, if there is time.
func (m *meetings) again(e int32) {
	t := m.at[sim.Endpoint(e)]
	if t == nil {
		return
	}
	m.moved = true
	if t.tries++; m.now.Sub(t.since) >= handshakeTime {
		m.end(t)
		m.fleet.Agreed(m.now, t.h, nil, errNoHandshake)
		return
	}
	m.say(t)
}

// reply is the gateway's, to a flight that it has heard all of.
func (m *meetings) reply(t *talk, b []byte) {
	for i := 0; i < len(t.m.flights)-1; i += 2 {
		if t.m.flights[i].hear(b) {
			for _, d := range t.m.flights[i+1].datagrams {
				m.fleet.Receive(m.now, t.h.From, d)
			}
		}
	}
}

// answer is the device's.
func (m *meetings) answer(t *talk, b []byte) {
	if !t.m.flights[t.flight+1].hear(b) {
		return
	}
	if t.flight += 2; t.flight < len(t.m.flights) {
		t.tries = 0
		m.say(t)
		return
	}
	m.end(t)
	m.fleet.Agreed(m.now, t.h, t.m.Association, nil)
}
