package dtls

import (
	"errors"
	"math"
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
	// the changes are. No earlier call is answered from within Keep. The changes and
	// what they point at do not change afterwards.
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

// A touched is an association of which something is to be kept: if it is not there
// by then, that it has ended. Otherwise what it said last might be heard again.
type touched struct {
	number uint32
	id     record.ID // zero: nothing is to be kept of it if it has ended
	upTo   uint32    // numbers to be reserved
}

// maxKeeping bounds how often the Keeper is asked before it has answered: a disk
// that stands still must not fill the memory.
const maxKeeping = 1 << 12

// stateSize is the length in octets of most States.
const stateSize = 40

// keep has the Keeper keep what has become of associations, and calls then once
// that is so, unless there is an error. It is told in the order in which it
// became so, and has what from then on. Until then nothing is sent to those who were heard.
func (l *Listener) keep(what []touched, then func()) error {
	l.keepOrder.Lock()
	if l.stopped || l.unanswered.Load() >= maxKeeping {
		l.keepOrder.Unlock()
		return errNotKept
	}
	l.turn++
	turn := l.turn
	changes := make([]Change, 0, len(what))
	octets := make([]byte, 0, stateSize*len(what))
	for i := range what {
		t := &what[i]
		there := false
		l.with(t.number, func(p *part, slot int32) {
			there = true
			a, start := p.at(slot), len(octets)
			octets = l.appendState(octets, a)
			t.upTo = a.reserve()
			changes = append(changes, Change{ID: a.ID, State: octets[start:len(octets):len(octets)]})
			p.unkept[t.number] = turn
		})
		if !there && t.id != (record.ID{}) {
			changes = append(changes, Change{ID: t.id})
		}
	}
	answer := &answer{heed: func(err error) {
		defer l.answered()
		if err != nil {
			l.failed.Store(true)
			return
		}
		var held []transport.Datagram
		for i := range what {
			held = append(held, l.release(&what[i], turn)...)
		}
		l.sendWaited(held)
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
	if l.stopped {
		return errNotKept
	}
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

// stopKeeping waits for what the Keeper has not answered, and has it asked nothing
// more.
func (l *Listener) stopKeeping() {
	l.keepOrder.Lock()
	l.stopped = true
	l.keepOrder.Unlock()
	l.keeping.Wait()
}

// keepEnded has nothing be kept of associations that have ended.
func (l *Listener) keepEnded(ids ...record.ID) {
	if l.cfg.Keeper == nil || len(ids) == 0 {
		return
	}
	what := make([]touched, len(ids))
	for i, id := range ids {
		what[i] = touched{id: id}
	}
	l.keep(what, func() {}) // what is kept too long ends when it is idle
}

var errNotKept = errors.New("dtls: the association could not be kept")

// keepMade has a new association be kept, in place of those that are gone for
// it, and waits until it is.
func (l *Listener) keepMade(a *association, made []byte, gone []record.ID) error {
	if l.cfg.Keeper == nil {
		a.Reserved = math.MaxUint32
		return nil
	}
	changes := []Change{{ID: a.ID, Made: made, State: l.appendState(nil, a)}}
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
