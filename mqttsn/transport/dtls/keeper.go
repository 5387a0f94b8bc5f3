package dtls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// A Keeper keeps associations over a restart. It is safe for concurrent use
// and never blocks.
//
// Two promises rest on it. No sequence number is used twice: an association
// seals only with numbers below what was kept as reserved, and begins there
// after a restart. And no record is heard twice: a datagram is passed on only
// when it has been kept that its record was received. A Keeper that shares a
// log with those who act on datagrams need not have each change synced before
// it calls then, if what they write comes after it in the log: whatever is
// durable of what a record has caused, that it was received is so, too.
type Keeper interface {
	// Keep takes changes, of one association in the order of the calls, and
	// calls then once they are kept, or with an error if they cannot be. Until
	// then nothing is done that rests on them. The changes and what they point
	// at do not change afterwards.
	Keep(changes []Change, then func(error))

	// Load visits what is kept. It is called once, before any Keep.
	Load(visit func(Change) error) error
}

// A Change is what is to be kept of an association. Made holds its keys.
type Change struct {
	ID    record.ID
	Made  []byte // nil: as it was kept before
	State []byte // nil: the association has ended, and nothing is kept of it
}

// block is how many sequence numbers are reserved at a time. A restart costs
// as many.
const block = 1 << 10

// reserve returns up to where numbers are to be reserved with the next change.
func (a *association) reserve() uint32 {
	if a.Reserved+uint32(a.asked) < a.Sent+block/2 {
		a.asked = uint16(a.Sent + block - a.Reserved)
	}
	return a.Reserved + uint32(a.asked)
}

// reserved notes that numbers up to there are.
func (a *association) reserved(upTo uint32) {
	if upTo > a.Reserved {
		a.asked -= uint16(upTo - a.Reserved)
		a.Reserved = upTo
	}
}

// Beside what package record writes, Made has
//
//	Proof(1) Identity(the rest)
//
// and State
//
//	Port(2) Address(16) Length(1) Zone(Length) Local(4 or 16, or none)
func appendMade(b []byte, a *association, name string) []byte {
	return append(append(a.AppendMade(b), byte(a.proof)), name...)
}

func (l *Listener) appendState(b []byte, a *association) []byte {
	b = a.AppendCounts(b, a.reserve())
	b = binary.BigEndian.AppendUint16(b, a.port)
	b = append(b, a.addr[:]...)
	zone := l.zones.name(a.zone)
	b = append(append(b, byte(len(zone))), zone...)
	if locals, ok := l.under.(transport.Locals); ok && a.local != 0 {
		b = append(b, locals.LocalAddr(a.local).AsSlice()...)
	}
	return b
}

// Load takes up the associations that are kept, and returns how many there
// are. It is to be called once, before Serve.
func (l *Listener) Load() (n int, err error) {
	if l.cfg.Keeper == nil {
		return 0, nil
	}
	now := seconds(l.cfg.Clock())
	restored := make(map[record.ID]uint32)
	err = l.cfg.Keeper.Load(func(c Change) error {
		a, name, err := l.restore(c)
		if err == nil {
			a.seen = now
			restored[c.ID], err = l.enter(a, name)
		}
		if err != nil {
			return fmt.Errorf("dtls: association %x: %w", c.ID, err)
		}
		return nil
	})
	l.restored.Store(&restored)
	return len(restored), err
}

// restore makes an association of what was kept. Its address has to prove
// itself again.
func (l *Listener) restore(c Change) (a association, name string, err error) {
	kept, made, state, err := record.Restore(c.ID, c.Made, c.State)
	const fixed = 2 + 16 + 1
	if err == nil && (len(made) < 1 || len(state) < fixed || len(state) < fixed+int(state[fixed-1])) {
		err = record.ErrKept
	}
	if err != nil {
		return a, "", err
	}
	a = association{Association: kept, proof: transport.Proof(made[0]), unproven: true}
	a.port = binary.BigEndian.Uint16(state)
	copy(a.addr[:], state[2:])
	zone, local := state[fixed:fixed+int(state[fixed-1])], state[fixed+int(state[fixed-1]):]
	a.zone = l.zones.number(string(zone))
	if to, ok := netip.AddrFromSlice(local); ok {
		if locals, ok := l.under.(transport.Locals); ok {
			a.local = locals.LocalNumber(to)
		}
	}
	return a, string(made[1:]), nil
}

// A touched is an association of which something is to be kept.
type touched struct {
	number uint32
	id     record.ID
	ended  bool
}

// keep has the Keeper keep what has become of associations, and calls then. It
// is told in the order in which it became so.
func (l *Listener) keep(what []touched, then func(error)) {
	l.keeping.Add(1)
	l.keepOrder.Lock()
	defer l.keepOrder.Unlock()
	changes := make([]Change, 0, len(what))
	upTo := make([]uint32, len(what))
	octets := make([]byte, 0, 64*len(what))
	for i, t := range what {
		if t.ended {
			changes = append(changes, Change{ID: t.id})
			continue
		}
		l.with(t.number, func(p *part, slot int32) {
			a, start := p.at(slot), len(octets)
			octets = l.appendState(octets, a)
			upTo[i] = a.reserve()
			changes = append(changes, Change{ID: a.ID, State: octets[start:len(octets):len(octets)]})
		})
	}
	l.cfg.Keeper.Keep(changes, func(err error) {
		defer l.keeping.Done()
		for i, t := range what {
			if err == nil && !t.ended {
				l.with(t.number, func(p *part, slot int32) {
					p.at(slot).reserved(upTo[i])
				})
			}
		}
		then(err)
	})
}

// keepEnded has nothing be kept of associations that have ended.
func (l *Listener) keepEnded(ids ...record.ID) {
	if l.cfg.Keeper == nil || len(ids) == 0 {
		return
	}
	what := make([]touched, len(ids))
	for i, id := range ids {
		what[i] = touched{id: id, ended: true}
	}
	l.keep(what, func(error) {}) // what is kept too long ends when it is idle
}

var errNotKept = errors.New("dtls: the association could not be kept")

// keepMade has a new association be kept, in place of those that are gone for
// it, and waits until it is.
func (l *Listener) keepMade(a *association, name string, gone []record.ID) error {
	if l.cfg.Keeper == nil {
		a.Reserved = math.MaxUint32
		return nil
	}
	changes := []Change{{ID: a.ID, Made: appendMade(nil, a, name), State: l.appendState(nil, a)}}
	for _, id := range gone {
		changes = append(changes, Change{ID: id})
	}
	kept := make(chan error, 1)
	l.keeping.Add(1)
	l.keepOrder.Lock()
	l.cfg.Keeper.Keep(changes, func(err error) {
		l.keeping.Done()
		kept <- err
	})
	l.keepOrder.Unlock()
	if err := <-kept; err != nil {
		return errors.Join(errNotKept, err)
	}
	a.reserved(a.reserve())
	return nil
}
