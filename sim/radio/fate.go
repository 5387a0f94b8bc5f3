package radio

import "dormouse/mqttsn/clock"

// A Fate is what becomes of a datagram.
type Fate struct {
	Outcome Outcome
	Off     clock.Time // when its last octet is on the air; zero if it never was
	At      clock.Time // when it arrives; zero if it is lost
	Copy    clock.Time // when it arrives again, which is not before At; zero if it does not
}

// Lost reports whether the datagram does not arrive.
func (f Fate) Lost() bool { return f.Outcome != Arrived }

// An Outcome is that a datagram arrived, or why not. Its text is the label of
// a metric.
type Outcome uint8

// The outcomes.
const (
	Arrived   Outcome = iota
	Chance            // lost as the link loses some
	Outage            // lost in an outage of the cell or the site
	Unbound           // lost because no NAT binding leads to the device, any more or yet
	MTU               // too long, and never sent
	DutyCycle         // never sent: the device has used up its hour
	numOutcomes
)

var outcomes = [numOutcomes]string{"arrived", "loss", "outage", "no NAT binding", "MTU", "duty cycle"}

func (o Outcome) String() string { return outcomes[o] }

// Infeasible reports whether better luck would not have helped: the radio
// cannot do what the device asks of it.
func (o Outcome) Infeasible() bool { return o == MTU || o == DutyCycle }

// Counts is how one direction fares, for one device or many.
type Counts struct {
	Sent     uint64              // datagrams handed to the radio
	Outcomes [numOutcomes]uint64 // what became of them
	Copies   uint64              // arrived besides
}

// Add counts f.
func (c *Counts) Add(f Fate) {
	c.Sent++
	c.Outcomes[f.Outcome]++
	if f.Copy != 0 {
		c.Copies++
	}
}

// Infeasible is how many were asked of a radio that cannot carry them. If it
// is not zero, a report says "infeasible".
func (c *Counts) Infeasible() (n uint64) {
	for o, times := range c.Outcomes {
		if Outcome(o).Infeasible() {
			n += times
		}
	}
	return n
}
