package core

// A Pressure is how short memory is. A broker does not know that by itself:
// whoever runs it says so by SetPressure.
type Pressure uint8

const (
	NoPressure Pressure = iota

	// Soft: nobody new is let in, which Open answers with ErrBusy; who has a
	// session may come back to it. Publishes of QoS 0 are dropped.
	Soft

	// Hard: every publish is refused, at QoS 1 and 2 so that the publisher
	// keeps the message and tries again.
	Hard
)

func (p Pressure) String() string { return [...]string{"none", "soft", "hard"}[p] }

// SetPressure has the broker take less, or all again. What it has taken it
// keeps and delivers whatever the pressure, and wills and $SYS are published:
// they cannot be said again.
func (b *Broker) SetPressure(p Pressure) { b.pressure.Store(uint32(p)) }

// Pressure is what SetPressure has said.
func (b *Broker) Pressure() Pressure { return Pressure(b.pressure.Load()) }

// shed says whether a client's message is to be refused for lack of memory, or
// because the store is behind: ErrQuota, or nil.
func (b *Broker) shed(qos QoS) error {
	switch p := b.Pressure(); {
	case qos == 0 && b.Strain() == Behind:
		b.dropped.behind.Add(1)
		return errStoreBehind
	case p == NoPressure:
		return nil
	case qos == 0:
		b.dropped.shed.Add(1)
	case p == Hard:
		b.dropped.refused.Add(1)
	default:
		return nil
	}
	return errMemoryShort
}
