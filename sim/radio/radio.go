// Package radio is what stands between a sensor and its gateway: a link that
// loses, delays, repeats and refuses datagrams, and a NAT that forgets whose
// they are.
//
// A [Model] is what the radio of one group of devices does, a [State] what it
// remembers of one device. The model decides the fate of each datagram and
// carries none: whoever drives the devices, by the wall clock or in virtual
// time, does with it as its [Fate] says.
//
//	m, err := radio.New(config, seed, start)
//	s := radio.Device(17)
//	if m.Rebound(&s, now) {
//		// the device has another address from here on
//	}
//	f := m.Up(&s, now, len(datagram))
//
// Every number drawn is a function of the seed, the number of the device, the
// direction and how many datagrams went that way before: the same calls give
// the same fates, no device changes what befalls another, and no direction
// what befalls the other one, except that a half-duplex link is busy with it,
// and that a NAT lets nothing down to a device that it has not heard.
package radio

import (
	"math"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim/chance"
)

// Config says what the radio of a group does. The zero Config is a perfect
// one: everything arrives, once and at once.
type Config struct {
	Up, Down Link // from the devices to the gateway, and back

	// HalfDuplex has each device send and receive in turn: what goes one way
	// waits for what is on the air the other way.
	HalfDuplex bool

	NAT     NAT
	Outages Outages // of the group's cell
	Site    *Site   // where the devices are, if outages are shared with other groups; or nil
}

// A Link is one direction. An octet is whatever the caller counts in Up and
// Down, which is one thing for MTU, Rate and them.
type Link struct {
	Loss        Loss
	Latency     Delay  // from the last octet sent to arrival; if it varies, datagrams overtake each other
	Reordering  Detour // a share of the datagrams is held back for longer than the latency
	Duplication Detour // a share arrives again, behind the radio: the copy costs no time on air

	MTU       int           // octets; what is longer is lost. Zero: no bound
	Rate      float64       // octets/s, 1 to 1e9. Zero: an octet takes no time
	Preamble  time.Duration // on the air for each datagram, besides its octets
	DutyCycle float64       // share of each hour that a device may be on the air. Zero: no bound
}

// A Detour befalls a share of the datagrams, each by itself, and takes time.
type Detour struct {
	Share float64 // 0 to 1
	Delay Delay
}

// A State is what a radio remembers of one device, in both directions. It
// holds no pointers, so that a million lie in one slice. Make it with [Device].
type State struct {
	bound  clock.Time    // when the NAT binding ends; zero: there is none
	free   [2]clock.Time // when the last octet was sent; zero: none yet
	sent   [2]uint32     // how many datagrams the link was asked to carry
	air    [2]uint32     // µs on the air in the hour of free
	device uint32
	bad    [2]bool // the state of the Gilbert-Elliott chain at free
}

// Device returns the state of device n before its first datagram. The devices
// of a model have different numbers.
func Device(n uint32) State { return State{device: n} }

// A Model is a radio that obeys a Config. It does not change, and it is safe
// for concurrent use with different States.
type Model struct {
	key        uint64
	links      [2]link
	halfDuplex bool
	nat        NAT
	cell, site *outages
}

// A link is a Link made ready.
type link struct {
	Link
	chain   chain
	latency sampler
	detour  sampler // of Reordering
	copied  sampler // of Duplication
	budget  time.Duration
}

// A way is a direction, the index of arrays of two.
type way int

const (
	up way = iota
	down
)

// New returns the radio that c describes, or everything that [Config.Validate]
// has against it. Stated outages count from start. Give each group a seed of
// its own: two with one seed have the same luck, device by device.
//
// A model may take over the States of another, as when a group is changed
// while it runs.
func New(c Config, seed uint64, start clock.Time) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Model{
		key:        chance.Mix(seed),
		halfDuplex: c.HalfDuplex,
		nat:        c.NAT,
		cell:       newOutages(c.Outages, chance.Mix(seed), start),
	}
	if c.Site != nil {
		m.site = &c.Site.outages
	}
	for w, l := range []Link{c.Up, c.Down} {
		m.links[w] = link{
			Link:    l,
			chain:   l.Loss.chain(),
			latency: l.Latency.sampler(),
			detour:  l.Reordering.Delay.sampler(),
			copied:  l.Duplication.Delay.sampler(),
			budget:  time.Duration(l.DutyCycle * float64(time.Hour)),
		}
	}
	return m, nil
}

// Up decides what becomes of a datagram that s sends to the gateway at now,
// which is not zero. If a link is busy, the datagram waits for it, however
// long; time does not go back. It does not allocate.
func (m *Model) Up(s *State, now clock.Time, octets int) Fate {
	f := m.carry(s, up, now, octets)
	if !f.Lost() {
		m.bind(s, f.Off)
	}
	return f
}

// Down decides what becomes of a datagram that is sent to s at now, as Up does.
func (m *Model) Down(s *State, now clock.Time, octets int) Fate {
	return m.carry(s, down, now, octets)
}

// carry goes through everything that may befall a datagram, in the order in
// which it does. Each question has a number drawn for it alone, so that the
// answer to one does not change the answers to the others.
func (m *Model) carry(s *State, w way, now clock.Time, octets int) Fate {
	l, d := &m.links[w], m.draw(w, s.device, s.sent[w])
	s.sent[w]++
	if l.MTU > 0 && octets > l.MTU {
		return Fate{Outcome: MTU}
	}

	on := max(now, s.free[w])
	if m.halfDuplex {
		on = max(on, s.free[1-w])
	}
	off := on.Add(l.airtime(octets))
	if !m.charge(s, w, off, off.Sub(on)) {
		return Fate{Outcome: DutyCycle}
	}
	s.bad[w] = l.chain.next(s.bad[w], s.free[w], off, d.of(forChain))
	s.free[w] = off

	switch {
	case m.cell.meet(on, off) || m.site.meet(on, off):
		return Fate{Outcome: Outage, Off: off}
	case w == down && m.unbound(s, off):
		return Fate{Outcome: Unbound, Off: off}
	case d.of(forLoss) < l.chain.loss(s.bad[w]):
		return Fate{Outcome: Chance, Off: off}
	}
	f := Fate{Off: off, At: off.Add(l.latency.draw(d.of(forLatency)))}
	if d.of(forReordering) < l.Reordering.Share {
		f.At = f.At.Add(l.detour.draw(d.of(forDetour)))
	}
	if d.of(forDuplication) < l.Duplication.Share {
		f.Copy = f.At.Add(l.copied.draw(d.of(forCopy)))
	}
	return f
}

// airtime is how long a datagram keeps the link busy.
func (l *link) airtime(octets int) time.Duration {
	if l.Rate == 0 {
		return l.Preamble
	}
	return l.Preamble + time.Duration(math.Ceil(float64(octets)/l.Rate*float64(time.Second)))
}
