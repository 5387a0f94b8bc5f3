package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"dormouse/core/store"
)

// Load visits what the store has. See store.Store. It reads every record, and
// whatever is damaged or missing is an error: *DamageError, or pebble's own.
func (s *Store) Load(visit func(store.Fact) error) error {
	return s.life.guard(func() error { return s.load(visit) })
}

// learn makes state what the disk has, if nobody has called Load.
func (s *Store) learn() error {
	if s.known {
		return nil
	}
	return s.load(func(store.Fact) error { return nil })
}

// A place is where a message waits or is in flight.
type place struct {
	seq uint64
	store.Receiver
}

// A flight is what is in flight to a session.
type flight struct {
	inFlight
	clientID string
	id       uint16
}

// kept is a message that is retained, and whose it is.
type kept struct {
	seq    uint64
	author string
}

// A loader reads all of the disk once.
type loader struct {
	*state
	db       *pebble.DB
	visit    func(store.Fact) error
	waiting  []place // in the order of seq
	flights  []flight
	held     []uint64 // seq of what is in flight and not received, in order
	retained []kept   // in the order of seq
	orphans  []uint64 // seq of what nobody holds

	published store.Published // the last one visited
	to        []place         // its receivers
}

func (s *Store) load(visit func(store.Fact) error) error {
	l := &loader{state: &s.state, db: s.db, visit: visit}
	retained := make(chan error, 1)
	go func() { retained <- l.loadRetained() }()
	err := l.loadRun()
	if err == nil {
		err = l.loadNotes()
	}
	if err == nil {
		err = l.loadSessions()
	}
	if e := <-retained; err == nil {
		err = e
	}
	if err == nil {
		err = l.loadMessages()
	}
	if err == nil {
		err = l.visitFlights()
	}
	if err == nil {
		err = s.removeOrphans(l.orphans)
	}
	if err == nil {
		s.known = true
		s.later.begin()
	}
	return err
}

// removeOrphans removes messages that nobody holds. Only an error of core or
// ours can leave one, of which no client is to suffer.
func (s *Store) removeOrphans(seqs []uint64) error {
	switch {
	case len(seqs) == 0:
		return nil
	case s.readOnly:
		return damaged(messageKey(nil, seqs[0]), errOrphan)
	}
	b := s.db.NewBatch()
	defer b.Close()
	for _, seq := range seqs {
		if err := b.Delete(messageKey(nil, seq), nil); err != nil {
			return err
		}
	}
	s.o.Log.Warn().Str("event", "store_trouble").Int("messages", len(seqs)).Msg("removed messages that nobody was to have")
	return s.db.Apply(b, pebble.NoSync)
}

// each visits the records between two keys, whose octets are not to be kept.
func each(db *pebble.DB, from, to []byte, visit func(key, value []byte) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		value, e := it.ValueAndErr()
		if err = e; err == nil {
			err = visit(it.Key(), value)
		}
	}
	if e := it.Error(); err == nil {
		err = e
	}
	if e := it.Close(); err == nil {
		err = e
	}
	return err
}

// loadRun visits how often a broker has begun.
func (l *loader) loadRun() error {
	return each(l.db, []byte{aRun}, []byte{aRun + 1}, func(key, value []byte) error {
		r := unseal(key, value)
		run := r.uint()
		if err := r.end(key); err != nil {
			return err
		}
		return l.visit(&store.Began{Run: run})
	})
}

// loadNotes visits what transports keep.
func (l *loader) loadNotes() error {
	return each(l.db, []byte{aNote}, []byte{aNote + 1}, func(key, value []byte) error {
		r := unseal(key, value)
		octets := bytes.Clone(r.b)
		r.b = nil
		if err := r.end(key); err != nil {
			return err
		}
		return l.visit(&store.Noted{Name: string(key[1:]), Value: octets})
	})
}

// loadRetained reads which messages are retained.
func (l *loader) loadRetained() error {
	err := each(l.db, []byte{aRetained}, []byte{aRetained + 1}, func(key, value []byte) error {
		r := unseal(key, value)
		seq, author := r.retained()
		l.retained = append(l.retained, kept{seq, author})
		return r.end(key)
	})
	slices.SortFunc(l.retained, func(a, b kept) int { return cmp.Compare(a.seq, b.seq) })
	return err
}

// loadSessions visits sessions with what is theirs, and gathers what waits for
// them and is in flight.
func (l *loader) loadSessions() error {
	var (
		at  number // whose records these are
		who string
	)
	err := each(l.db, []byte{aSession}, []byte{aSession + 1}, func(key, value []byte) error {
		n, what, tail, ok := parseSessionKey(key)
		if !ok {
			return damaged(key, errKey)
		}
		if n != at && what != ofSession {
			return damaged(sessionKey(nil, n, ofSession), errMissing)
		}
		r := unseal(key, value)
		var f store.Fact
		switch what {
		case ofSession:
			session := r.session()
			at, who, f = n, session.ClientID, &session
			l.numbers[who] = n
			l.last = max(l.last, n)
		case ofSubscription:
			f = &store.Subscribed{ClientID: who, Subscription: r.subscription(tail)}
		case ofAccepted:
			f = &store.Accepted{ClientID: who, ID: binary.BigEndian.Uint16(tail)}
		case ofInFlight:
			fly := flight{r.inFlight(), who, binary.BigEndian.Uint16(tail)}
			fly.ClientID = who
			l.debts.flying[slot{n, fly.id}] = flown{fly.seq, fly.received}
			l.flights = append(l.flights, fly)
		case ofWaiting:
			to, _ := r.receiver(0)
			to.ClientID, to.Share = who, string(tail[seqSize:])
			seq := binary.BigEndian.Uint64(tail)
			l.waiting = append(l.waiting, place{seq, to})
			l.debts.owe(n, seq, to.Share)
		}
		if err := r.end(key); err != nil || f == nil {
			return err
		}
		return l.visit(f)
	})
	slices.SortStableFunc(l.waiting, func(a, b place) int { return cmp.Compare(a.seq, b.seq) })
	slices.SortFunc(l.flights, func(a, b flight) int { return cmp.Compare(a.order, b.order) })
	for _, f := range l.flights {
		l.order = f.order
		if !f.received {
			l.held = append(l.held, f.seq)
		}
	}
	slices.Sort(l.held)
	return err
}

// loadMessages visits messages with those they wait for, and the topics whose
// message is no longer retained.
func (l *loader) loadMessages() error {
	var over []string // topics of what is no longer retained, perhaps
	l.published.Receivers = l.receivers
	err := letters(l.db, func(seq uint64, m *store.Message) error {
		if err := l.missing(seq); err != nil {
			return err
		}
		l.to = take(&l.waiting, func(p place) uint64 { return p.seq }, seq)
		now := take(&l.retained, func(k kept) uint64 { return k.seq }, seq)
		holders := len(l.to) + len(take(&l.held, same, seq)) + len(now)
		switch {
		case holders == 0:
			l.orphans = append(l.orphans, seq)
			return nil
		case holders > 1:
			l.holders[seq] = uint32(holders)
		}
		if m.Retain && len(now) == 0 {
			over = append(over, m.Topic)
		}
		l.published.Seq, l.published.Message, l.published.Author = seq, m, ""
		if len(now) > 0 {
			l.published.Author = now[0].author
		}
		return l.visit(&l.published)
	})
	if err == nil {
		err = l.missing(math.MaxUint64)
	}
	if err != nil {
		return err
	}
	slices.Sort(over)
	w := writer{state: l.state, db: l.db, batch: l.db.NewIndexedBatch()}
	defer w.batch.Close()
	for _, topic := range slices.Compact(over) {
		if _, ok := w.retained(topic); !ok && w.err == nil {
			w.err = l.visit(&store.Unretained{Topic: topic})
		}
	}
	return w.err
}

// receivers are those of what is published.
func (l *loader) receivers(yield func(store.Receiver) bool) {
	for _, p := range l.to {
		if !yield(p.Receiver) {
			return
		}
	}
}

func same(seq uint64) uint64 { return seq }

// missing is an error if something holds a message before seq that was not
// there.
func (l *loader) missing(seq uint64) error {
	first := uint64(math.MaxUint64)
	if len(l.waiting) > 0 {
		first = l.waiting[0].seq
	}
	if len(l.retained) > 0 {
		first = min(first, l.retained[0].seq)
	}
	if len(l.held) > 0 {
		first = min(first, l.held[0])
	}
	if first < seq {
		return damaged(messageKey(nil, first), errMissing)
	}
	return nil
}

// take takes what is of seq off the front of from.
func take[T any](from *[]T, of func(T) uint64, seq uint64) []T {
	n := 0
	for n < len(*from) && of((*from)[n]) == seq {
		n++
	}
	taken := (*from)[:n:n]
	*from = (*from)[n:]
	return taken
}

// visitFlights visits what is in flight.
func (l *loader) visitFlights() error {
	for _, f := range l.flights {
		if err := l.visit(&store.Taken{Receiver: f.Receiver, Seq: f.seq, ID: f.id}); err != nil {
			return err
		}
		if !f.received {
			continue
		}
		if err := l.visit(&store.Received{ClientID: f.clientID, ID: f.id}); err != nil {
			return err
		}
	}
	return nil
}
