package energy

import (
	"errors"
	"math"
	"time"

	"dormouse/mqttsn"
)

// A Bucket is what charge is spent on.
type Bucket uint8

const (
	Sleep      Bucket = iota // the floor, which flows all the time, awake or not
	Wake                     // from sleep to the first octet, with network access and inactivity tail
	Tx                       // packets sent for the first time
	Rx                       // packets received for the first time
	Wait                     // listening for an answer
	Handshake                // all that a DTLS handshake takes
	Retransmit               // packets sent or received again, and waiting for their answers
	CPU                      // computing beside that: encryption, the application
	NumBuckets
)

func (b Bucket) String() string {
	return [...]string{"sleep", "wake", "tx", "rx", "wait", "handshake", "retransmit", "cpu"}[b]
}

// How tells about an act what its octets do not.
type How uint8

const (
	First How = 0 // a packet that goes for the first time, and arrives

	Again       How = 1 << (iota - 1) // the same packet went before
	InHandshake                       // it is part of a DTLS handshake
	Lost                              // what was sent does not arrive
)

func (h How) or(b Bucket) Bucket {
	switch {
	case h&InHandshake != 0:
		return Handshake
	case h&Again != 0:
		return Retransmit
	}
	return b
}

// A Meter is what one device spent. The zero Meter has spent nothing. It takes
// 64 octets; each bucket counts nC in 48 bits, and stays at its most, 78 Ah,
// when that is reached.
type Meter struct {
	low     [NumBuckets]uint32
	high    [NumBuckets]uint16
	elapsed time.Duration
	air     uint32    // µs on air in the hour that elapsed is in
	refused [2]uint16 // by payload, by duty cycle
}

const full = 1<<48 - 1

// Charge is what went into a bucket, in µC.
func (m *Meter) Charge(b Bucket) float64 { return float64(m.count(b)) / 1000 }

func (m *Meter) count(b Bucket) uint64 { return uint64(m.high[b])<<32 | uint64(m.low[b]) }

// Elapsed is the time that the meter was told of.
func (m *Meter) Elapsed() time.Duration { return m.elapsed }

// Refused is how many packets were infeasible for their length, and for the
// duty cycle. Each stays at 65535.
func (m *Meter) Refused() (payload, dutyCycle int) { return int(m.refused[0]), int(m.refused[1]) }

func (m *Meter) spend(b Bucket, microcoulombs float64) {
	n := min(m.count(b)+uint64(min(math.Round(microcoulombs*1000), full)), full)
	m.low[b], m.high[b] = uint32(n), uint16(n>>32)
}

// pass lets time pass, in which the floor is drawn. The duty cycle is that of
// whole hours from the meter's beginning.
func (m *Meter) pass(g *Group, d time.Duration) {
	hour := m.elapsed / time.Hour
	m.elapsed += d
	if m.elapsed/time.Hour != hour {
		m.air = 0
	}
	m.spend(Sleep, g.Floor()*float64(d)/float64(time.Second))
}

// Slept lets d pass with the radio and the processor off.
func (m *Meter) Slept(g *Group, d time.Duration) { m.pass(g, d) }

// Woke is the way from sleep to the first octet. The inactivity tail, which
// the network imposes later, is paid here.
func (m *Meter) Woke(g *Group) {
	wake := Phase{g.Board.Wake, g.Board.Waking}
	m.spend(Wake, wake.charge()+g.Radio.Access.charge()+g.Radio.Tail.charge())
	m.pass(g, wake.Time+g.Radio.Access.Time)
}

// Sent is a datagram of so many octets of UDP payload that left the client. If
// the error is not nil it is an *Infeasible: the radio cannot carry it, nothing
// was sent, and nothing is charged.
func (m *Meter) Sent(g *Group, typ mqttsn.Type, octets int, how How) error {
	u, err := g.Radio.Link.Up(octets, how&Lost != 0)
	if err == nil {
		err = m.transmit(g, u.Tx)
	} else {
		m.refuse(0)
	}
	if err != nil {
		return name(err, &g.Radio)
	}
	m.book(g, Tx, typ, octets, u, how)
	return nil
}

// transmit takes t from what the duty cycle leaves of this hour.
func (m *Meter) transmit(g *Group, t time.Duration) error {
	if g.Radio.DutyCycle == 0 {
		return nil
	}
	allowed := time.Duration(g.Radio.DutyCycle * float64(time.Hour))
	air := time.Duration(m.air)*time.Microsecond + t
	if air > allowed {
		m.refuse(1)
		return &Infeasible{Err: ErrDutyCycle, Airtime: air, Allowed: allowed}
	}
	m.air = uint32(air.Microseconds())
	return nil
}

func (m *Meter) refuse(why int) {
	if m.refused[why] < math.MaxUint16 {
		m.refused[why]++
	}
}

// Received is a datagram that reached the client. The error is as of Sent.
func (m *Meter) Received(g *Group, typ mqttsn.Type, octets int, how How) error {
	u, err := g.Radio.Link.Down(octets)
	if err != nil {
		m.refuse(0)
		return name(err, &g.Radio)
	}
	m.book(g, Rx, typ, octets, u, how)
	return nil
}

func name(err error, p *Profile) error {
	if e := (*Infeasible)(nil); errors.As(err, &e) {
		e.Profile = p.Name
	}
	return err
}

func (m *Meter) book(g *Group, b Bucket, typ mqttsn.Type, octets int, u Use, how How) {
	charge := u.Charge(&g.Radio)
	m.spend(how.or(b), charge)
	m.pass(g, u.time())
	f := Flow{Datagrams: 1, Octets: uint64(octets), Charge: charge}
	if how&Again != 0 {
		f.Resent = f.Octets
	}
	g.Traffic.flow(typ, how).add(f)
}

// Waited is d of waiting for the answer to a packet of type typ, or with type 0
// of listening for whatever may come. How long the receiver is on in that time
// is the radio's business.
func (m *Meter) Waited(g *Group, typ mqttsn.Type, d time.Duration, how How) {
	u := Use{Wait: g.Radio.Link.Listen(d)}
	charge := u.Charge(&g.Radio)
	m.spend(how.or(Wait), charge)
	m.pass(g, d)
	g.Traffic.flow(typ, how).add(Flow{Charge: charge, Waiting: charge})
}

// Computed is processor time that nothing else accounts for, such as
// encryption.
func (m *Meter) Computed(g *Group, d time.Duration, how How) {
	charge := Phase{d, g.Board.CPU}.charge()
	m.spend(how.or(CPU), charge)
	m.pass(g, d)
	if how&InHandshake != 0 {
		g.Traffic.Handshake.Charge += charge
	}
}
