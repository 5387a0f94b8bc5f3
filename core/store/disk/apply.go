package disk

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"dormouse/core/store"
)

// state is what is kept in memory of what is on the disk.
type state struct {
	known   bool // it is as the disk has it
	numbers map[string]number
	last    number            // given to a session
	holders map[uint64]uint32 // Seq -> how many, where more than one hold a message
	order   uint64            // of the last message taken
	turn    uint64            // of the last batch
	recent  recents
	debts   debts
	fresh   map[slot]inFlight // taken in the batch under way, and not written yet
	likely  int               // for so many batches the disk is likely to be read
}

func newState() state {
	return state{
		numbers: make(map[string]number), holders: make(map[uint64]uint32),
		debts: newDebts(), fresh: make(map[slot]inFlight),
	}
}

// A writer turns facts into what changes on the disk. It remembers the first
// failure, which can only be one to read.
type writer struct {
	*state
	db         *pebble.DB
	batch      *pebble.Batch // without an index, which costs, until something of it is read
	key, value []byte        // of the last put, to be used again
	over       over          // what is to be removed, too
	err        error
}

// writeAll writes facts, and whatever of them it has put off.
func (w *writer) writeAll(facts []store.Fact) error {
	w.likely = max(0, w.likely-1)
	for _, f := range facts {
		w.write(f)
	}
	w.writeFresh()
	w.sweep()
	return w.err
}

func (w *writer) write(f store.Fact) {
	switch f := f.(type) {
	case *store.Began:
		w.put(append(w.key[:0], aRun), func(b []byte) []byte { return binary.AppendUvarint(b, f.Run) })
	case *store.Noted:
		w.note(f)
	case *store.Published:
		w.publish(f)
	case *store.Owed:
		w.owe(f)
	case *store.Unretained:
		w.unretain(f.Topic)
	case *store.Session:
		n, ok := w.numbers[f.ClientID]
		if !ok {
			w.last++
			n = w.last
			w.numbers[f.ClientID] = n
		}
		w.put(sessionKey(w.key[:0], n, ofSession), func(b []byte) []byte { return appendSession(b, f) })
	default:
		w.writeFor(f)
	}
}

// writeFor takes facts about a session, if there is one.
func (w *writer) writeFor(f store.Fact) {
	switch f := f.(type) {
	case *store.Ended:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.end(n)
			delete(w.numbers, f.ClientID)
		}
	case *store.Subscribed:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.put(subscriptionKey(w.key[:0], n, f.Filter), func(b []byte) []byte { return appendSubscription(b, &f.Subscription) })
		}
	case *store.Unsubscribed:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.remove(subscriptionKey(w.key[:0], n, f.Filter))
		}
	case *store.Accepted:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.put(packetKey(w.key[:0], n, ofAccepted, f.ID), func(b []byte) []byte { return b })
		}
	case *store.Released:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.remove(packetKey(w.key[:0], n, ofAccepted, f.ID))
		}
	case *store.Taken:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.take(n, f)
		}
	case *store.Received:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.receive(n, f.ID)
		}
	case *store.Settled:
		if n, ok := w.numbers[f.ClientID]; ok {
			w.settle(n, f.ID)
		}
	case *store.Dropped:
		if n, ok := w.numbers[f.ClientID]; ok && w.unwait(n, f.Seq, f.Share) {
			w.letGo(f.Seq)
		}
	}
}

func (w *writer) note(f *store.Noted) {
	key := noteKey(w.key[:0], f.Name)
	if f.Value == nil {
		w.remove(key)
		return
	}
	w.put(key, func(b []byte) []byte { return append(b, f.Value...) })
}

func (w *writer) publish(p *store.Published) {
	holders := uint32(0)
	for r := range p.Receivers {
		if n, ok := w.numbers[r.ClientID]; ok {
			w.wait(n, p.Seq, &r)
			holders++
		}
	}
	if p.Message.Retain && w.retain(p) {
		holders++
	}
	if holders > 0 {
		w.message(p.Seq, p.Message, holders)
	}
}

// retain has the topic retain p's message in place of what it retains, unless
// that is later, or nothing if there is no payload. It reports whether it does.
func (w *writer) retain(p *store.Published) bool {
	topic := p.Message.Topic
	before, any := w.retained(topic)
	switch {
	case any && before >= p.Seq:
		return false
	case len(p.Message.Payload) == 0:
		w.unretain(topic)
		return false
	}
	w.put(retainedKey(w.key[:0], topic), func(b []byte) []byte { return appendRetained(b, p.Seq, p.Author) })
	w.recent.set(topic, p.Seq)
	if any {
		w.letGo(before)
	}
	return true
}

func (w *writer) message(seq uint64, m *store.Message, holders uint32) {
	w.put(messageKey(w.key[:0], seq), func(b []byte) []byte { return appendMessage(b, m) })
	if holders > 1 {
		w.holders[seq] = holders
	}
}

func (w *writer) owe(f *store.Owed) {
	n, ok := w.numbers[f.ClientID]
	if !ok {
		return
	}
	w.sweep() // it may be what was removed last
	if !w.debts.owes(n, f.Seq, f.Share) {
		if w.knows(f.Seq) {
			w.hold(f.Seq)
		} else {
			w.message(f.Seq, f.Message, 1)
		}
	}
	w.wait(n, f.Seq, &f.Receiver)
}

// knows reports whether a message is there.
func (w *writer) knows(seq uint64) bool {
	return w.holders[seq] > 0 || w.get(messageKey(w.key[:0], seq), nil)
}

func (w *writer) wait(n number, seq uint64, r *store.Receiver) {
	w.put(waitingKey(w.key[:0], n, seq, r.Share), func(b []byte) []byte { return appendReceiver(b, r, 0) })
	w.debts.owe(n, seq, r.Share)
}

// unwait removes what waits, if it does.
func (w *writer) unwait(n number, seq uint64, share string) (waited bool) {
	if waited = w.debts.owes(n, seq, share); waited {
		w.unwaits(n, seq, share)
		w.debts.forget(n, seq, share)
	}
	return waited
}

// take puts off to write what is in flight: most is acknowledged at once, and
// then there is nothing to write.
func (w *writer) take(n number, f *store.Taken) {
	switch {
	case w.unwait(n, f.Seq, f.Share):
	case w.knows(f.Seq):
		w.hold(f.Seq)
	default:
		return
	}
	w.settle(n, f.ID) // what had the identifier, if that may be
	w.order++
	at := slot{n, f.ID}
	w.debts.flying[at] = flown{seq: f.Seq}
	w.fresh[at] = inFlight{Receiver: f.Receiver, seq: f.Seq, order: w.order}
}

// writeFresh writes what was put off, in the order in which it came.
func (w *writer) writeFresh() {
	if len(w.fresh) == 0 {
		return
	}
	byOrder := func(a, b slot) int { return cmp.Compare(w.fresh[a].order, w.fresh[b].order) }
	for _, at := range slices.SortedFunc(maps.Keys(w.fresh), byOrder) {
		f := w.fresh[at]
		w.fly(at, &f)
	}
	clear(w.fresh)
}

func (w *writer) fly(at slot, f *inFlight) {
	w.put(packetKey(w.key[:0], at.of, ofInFlight, at.id), func(b []byte) []byte { return appendInFlight(b, f) })
}

func (w *writer) receive(n number, id uint16) {
	at := slot{n, id}
	is, ok := w.debts.flying[at]
	if !ok || is.received {
		return
	}
	f, fresh := w.fresh[at]
	if !fresh {
		w.get(packetKey(w.key[:0], n, ofInFlight, id), func(r *reader) { f = r.inFlight() })
	}
	f.received = true
	if fresh {
		w.fresh[at] = f
	} else {
		w.fly(at, &f)
	}
	w.debts.flying[at] = flown{seq: is.seq, received: true}
	w.letGo(is.seq)
}

func (w *writer) settle(n number, id uint16) {
	at := slot{n, id}
	is, ok := w.debts.flying[at]
	if !ok {
		return
	}
	if _, fresh := w.fresh[at]; fresh {
		delete(w.fresh, at)
	} else {
		w.remove(packetKey(w.key[:0], n, ofInFlight, id))
	}
	delete(w.debts.flying, at)
	if !is.received {
		w.letGo(is.seq)
	}
}

// retained is the number of the message that a topic retains.
func (w *writer) retained(topic string) (seq uint64, ok bool) {
	if at := w.recent.find(topic); at != nil {
		return *at, true
	}
	ok = w.get(retainedKey(w.key[:0], topic), func(r *reader) { seq, _ = r.retained() })
	return seq, ok
}

func (w *writer) unretain(topic string) {
	if seq, ok := w.retained(topic); ok {
		w.remove(retainedKey(w.key[:0], topic))
		w.recent.forget(topic)
		w.letGo(seq)
	}
}

// hold notes one more holder of a message that is there.
func (w *writer) hold(seq uint64) { w.holders[seq] = max(w.holders[seq], 1) + 1 }

// letGo removes a message with its last holder.
func (w *writer) letGo(seq uint64) {
	switch n := w.holders[seq]; n {
	case 0:
		w.over.messages = append(w.over.messages, seq)
	case 2:
		delete(w.holders, seq)
	default:
		w.holders[seq] = n - 1
	}
}

// end removes all that belongs to a session.
func (w *writer) end(n number) {
	w.writeFresh()
	from, to := sessionKey(nil, n, 0), sessionKey(nil, n+1, 0)
	it, err := w.indexed().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		w.fail(err)
		return
	}
	var keys [][]byte
	for ok := it.First(); ok; ok = it.Next() {
		keys = append(keys, append([]byte(nil), it.Key()...))
	}
	w.fail(it.Close())
	for _, key := range keys {
		switch _, what, tail, _ := parseSessionKey(key); what {
		case ofWaiting:
			seq, share := binary.BigEndian.Uint64(tail), string(tail[seqSize:])
			w.debts.forget(n, seq, share)
			w.letGo(seq)
		case ofInFlight:
			at := slot{n, binary.BigEndian.Uint16(tail)}
			if is := w.debts.flying[at]; !is.received {
				w.letGo(is.seq)
			}
			delete(w.debts.flying, at)
		}
		w.remove(key)
	}
}

func (w *writer) fail(err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("cannot read what is there: %w", err)
	}
}

func (w *writer) put(key []byte, body func([]byte) []byte) {
	w.key = key
	w.value = seal(w.value[:0], key, body)
	w.fail(w.batch.Set(key, w.value, nil))
}

func (w *writer) remove(key []byte) {
	w.key = key
	w.fail(w.batch.Delete(key, nil))
}

// indexed is the batch, of which something is to be read.
func (w *writer) indexed() *pebble.Batch {
	w.likely = likelyFor
	w.sweep()
	if !w.batch.Indexed() {
		plain := w.batch
		w.batch = w.db.NewIndexedBatch()
		w.fail(w.batch.Apply(plain, nil))
		w.fail(plain.Close())
	}
	return w.batch
}

// get reads the record at key, if there is one.
func (w *writer) get(key []byte, read func(*reader)) bool {
	w.key = key
	value, done, err := w.indexed().Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false
	}
	if err != nil {
		w.fail(fmt.Errorf("%s: %w", keyName(key), err))
		return false
	}
	if read != nil {
		r := unseal(key, value)
		read(&r)
		w.fail(r.end(key))
	}
	w.fail(done.Close())
	return true
}
