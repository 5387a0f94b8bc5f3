package dtls

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// This file is how associations are written, and taken up again.

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
