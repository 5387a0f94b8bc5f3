package dtls

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

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

// Beside what package record writes, Made has
//
//	Proof(1) Until(8) Identity(the rest but for) Mark(16)
//
// where Proof is with marked, and State
//
//	Seen(4) Port(2) Address(16) Length(1) Zone(Length) Local(4 or 16, or none)
//
// where Seen is in seconds of Unix time. What was kept before there were marks
// rests on nothing that is known, and is forgotten.
const marked = 0x10

func (l *Listener) appendMade(b []byte, a *association, name string, w warrant, on []byte) []byte {
	start := len(b)
	b = append(a.AppendMade(b), byte(a.proof)|marked)
	b = binary.BigEndian.AppendUint64(b, uint64(w.until))
	b = append(b, name...)
	return append(b, l.mark(a.ID, b[start:], on)...)
}

func (l *Listener) appendState(b []byte, a *association) []byte {
	b = a.AppendCounts(b, a.reserve())
	b = binary.BigEndian.AppendUint32(b, l.since+a.seen)
	b = binary.BigEndian.AppendUint16(b, a.port)
	b = append(b, a.addr[:]...)
	zone := l.zones.name(a.zone)
	b = append(append(b, byte(len(zone))), zone...)
	if locals, ok := l.under.(transport.Locals); ok && a.local != 0 {
		b = append(b, locals.LocalAddr(a.local).AsSlice()...)
	}
	return b
}

// Taken is what became of the associations that were kept.
type Taken struct {
	Up      int // they need no handshake
	Void    int // the key is another by now, the authority none any more, or the certificate has expired
	Crowded int // they were more than may be, and the longest silent
}

// Load takes up the associations that are kept and still stand. It is to be
// called once, before Serve.
func (l *Listener) Load() (t Taken, err error) {
	if l.cfg.Keeper == nil {
		return t, nil
	}
	var all []restored
	var gone []record.ID
	basis := l.credentials.Load()
	err = l.cfg.Keeper.Load(func(c Change) error {
		r, err := l.restore(c)
		switch {
		case err != nil:
			return fmt.Errorf("dtls: association %x: %w", c.ID, err)
		case !l.stillStands(&r, c.Made, basis):
			gone = append(gone, c.ID)
		default:
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	t.Void = len(gone)
	l.count.ended[Rechecked].Add(uint64(t.Void))
	all, crowded := l.fewest(all)
	t.Up, t.Crowded = len(all), len(crowded)
	numbers := make(map[record.ID]uint32)
	for _, r := range all {
		if numbers[r.ID], err = l.enter(r.association, r.name, r.warrant); err != nil {
			return t, err
		}
	}
	l.restored.Store(&numbers)
	l.keepEnded(append(gone, crowded...)...)
	return t, nil
}

// A restored is an association that was kept.
type restored struct {
	association
	name string
	warrant
	mark []byte // nil: it was kept before there were any
}

// stillStands reports whether one that was kept rests on what is there.
func (l *Listener) stillStands(r *restored, made []byte, b *basis) bool {
	if r.mark == nil {
		return false
	}
	made = made[:len(made)-markLength]
	if r.proof != transport.ByCertificate {
		on, stands := b.on(r.proof, r.name, warrant{})
		return stands && hmac.Equal(r.mark, l.mark(r.ID, made, on))
	}
	for r.authority = range b.authorities {
		if on, stands := b.on(r.proof, r.name, r.warrant); stands && hmac.Equal(r.mark, l.mark(r.ID, made, on)) {
			return true
		}
	}
	return false
}

// restore makes an association of what was kept. Its address has to prove
// itself again.
func (l *Listener) restore(c Change) (r restored, err error) {
	kept, made, state, err := record.Restore(c.ID, c.Made, c.State)
	switch {
	case err != nil:
		return r, err
	case len(made) < 1:
		return r, record.ErrKept
	case made[0]&marked == 0:
		return restored{association: association{Association: kept}}, nil
	}
	const fixed, fixedState = 1 + 8, 4 + 2 + 16 + 1
	if len(made) < fixed+markLength || len(state) < fixedState || len(state) < fixedState+int(state[fixedState-1]) {
		return r, record.ErrKept
	}
	a := &r.association
	*a = association{Association: kept, proof: transport.Proof(made[0] &^ marked), unproven: true}
	r.until = int64(binary.BigEndian.Uint64(made[1:]))
	r.name, r.mark = string(made[fixed:len(made)-markLength]), made[len(made)-markLength:]
	a.seen = l.lastSeen(binary.BigEndian.Uint32(state))
	state = state[4:]
	a.port = binary.BigEndian.Uint16(state)
	copy(a.addr[:], state[2:])
	zone, local := state[19:19+int(state[18])], state[19+int(state[18]):]
	a.zone = l.zones.number(string(zone))
	if to, ok := netip.AddrFromSlice(local); ok {
		if locals, ok := l.under.(transport.Locals); ok {
			a.local = locals.LocalNumber(to)
		}
	}
	return r, nil
}

// lastSeen is when one that was kept was seen last, by the clock. The time of
// day may not be right yet when a machine starts: nobody is taken for silent for
// longer than half of what is allowed.
func (l *Listener) lastSeen(unix uint32) uint32 {
	now := seconds(l.cfg.Clock())
	silent := int64(int32(l.since + now - unix))
	return now - uint32(max(0, min(silent, int64(l.cfg.Idle/time.Second)/2, int64(now))))
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
