package core

// A Strain is how much more is asked of the machine than it can do. A broker
// does not know that by itself: whoever runs it says so by SetStrain.
type Strain uint8

const (
	NoStrain Strain = iota

	// Late: an edge does not keep up. Nobody new is let in, which Open answers
	// with ErrBusy; who has a session may come back to it.
	Late

	// Behind: the store does not keep up. Publishes of QoS 0 are dropped, too.
	// Those of QoS 1 and 2 are as many as clients may have under way, but
	// nothing else bounds how many of QoS 0 wait behind them for the store.
	Behind
)

func (s Strain) String() string { return [...]string{"none", "late", "behind"}[s] }

// SetStrain has the broker take less, or all again. What it has taken it keeps
// and delivers in any case.
func (b *Broker) SetStrain(s Strain) { b.strain.Store(uint32(s)) }

// Strain is what SetStrain has said.
func (b *Broker) Strain() Strain { return Strain(b.strain.Load()) }

// Knows reports whether there is a session of that client id, so that its
// client does not count as new.
func (b *Broker) Knows(clientID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clients.Find(clientID) != nil
}

// newcomer says whether a client without a session is to be turned away:
// ErrBusy, or nil.
func (b *Broker) newcomer() error {
	switch {
	case b.Pressure() != NoPressure:
		b.dropped.busy.Add(1)
	case b.Strain() != NoStrain:
		b.dropped.strained.Add(1)
	default:
		return nil
	}
	return ErrBusy
}
