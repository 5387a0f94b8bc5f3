package dtls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// A Keeper keeps associations over a restart, in a log that it shares with those
// who act on datagrams. It is safe for concurrent use and never blocks.
//
// Two promises rest on it. No sequence number is used twice: an association
// seals only with numbers below what was kept as reserved, and begins there
// after a restart. And nothing is done twice because a record is heard twice.
// For that a datagram is passed on only when it has been handed to the Keeper
// that its record was received: what is durable of all that the record causes
// comes after it in the log, so that it is durable, too. And what is not meant to
// last has not happened until somebody can tell: nothing is sent to the peer
// before it is kept that its record was received. That what is sent to others
// waits as long is for those to see to who act on datagrams.
type Keeper interface {
	// Keep takes changes, all or none of them, of one association in the order of
	// the calls, and calls then once they are kept. An error, there or at once, in
	// place of the call, is for good; but one that is new may be refused for want of
	// room. What is written to the log after Keep has returned is durable only if
	// the changes are. The changes and what they point at do not change afterwards.
	Keep(changes []Change, then func(error)) error

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

// maxKeeping bounds how often the Keeper is asked before it has answered: a disk
// that stands still must not fill the memory.
const maxKeeping = 1 << 12

// keep has the Keeper keep what has become of associations, and calls then once
// that is so, unless there is an error. It is told in the order in which it
// became so. Until then nothing is sent to those who were heard.
func (l *Listener) keep(what []touched, then func()) error {
	l.keepOrder.Lock()
	if l.unanswered.Load() >= maxKeeping {
		l.keepOrder.Unlock()
		return errNotKept
	}
	l.turn++
	turn := l.turn
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
			p.unkept[t.number] = turn
		})
	}
	answer := &answer{heed: func(err error) {
		defer l.answered()
		if err != nil {
			l.failed.Store(true)
			return
		}
		for i, t := range what {
			l.release(t, turn, upTo[i])
		}
		then()
	}}
	err := l.ask(changes, answer.come)
	l.keepOrder.Unlock()
	if err != nil {
		l.failed.Store(true)
		return err
	}
	answer.free()
	return nil
}

// An answer of the Keeper may come before Keep has returned, and is heeded after
// that: it may be that the Keeper has to be asked again.
type answer struct {
	heed func(error)

	mu         sync.Mutex
	isHere, ok bool // it has come; it may be heeded
	err        error
}

func (a *answer) come(err error) {
	a.mu.Lock()
	a.isHere, a.err = true, err
	ok := a.ok
	a.mu.Unlock()
	if ok {
		a.heed(err)
	}
}

func (a *answer) free() {
	a.mu.Lock()
	a.ok = true
	isHere := a.isHere
	a.mu.Unlock()
	if isHere {
		a.heed(a.err)
	}
}

// ask asks the Keeper. l.keepOrder is held.
func (l *Listener) ask(changes []Change, kept func(error)) error {
	l.keeping.Add(1)
	l.unanswered.Add(1)
	err := l.cfg.Keeper.Keep(changes, kept)
	if err != nil {
		l.answered()
	}
	return err
}

func (l *Listener) answered() {
	l.unanswered.Add(-1)
	l.keeping.Done()
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
	l.keep(what, func() {}) // what is kept too long ends when it is idle
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
	l.keepOrder.Lock()
	err := l.ask(changes, func(err error) {
		l.answered()
		kept <- err
	})
	l.keepOrder.Unlock()
	if err == nil {
		err = <-kept
	}
	if err != nil {
		return errors.Join(errNotKept, err)
	}
	a.reserved(a.reserve())
	return nil
}
