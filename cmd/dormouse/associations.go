package main

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/mqttsn/transport/dtls"
)

// This file is where DTLS keeps its associations: in the store, ahead of what is
// acknowledged by them.

// lasts reports whether what is written outlives a kill of the process before
// anything rests on it. Otherwise no association may: it would go back to
// numbers that it has used.
func (k *keeping) lasts() bool { return k.Store != nil && k.sync == config.SyncAlways }

// Load visits what is kept but for the notes of transports, which it puts aside.
func (k *keeping) Load(visit func(store.Fact) error) error {
	k.notes = make(map[string][]byte)
	return k.Store.Load(func(f store.Fact) error {
		if n, ok := f.(*store.Noted); ok {
			k.notes[n.Name] = n.Value
			return nil
		}
		return visit(f)
	})
}

// A secretNote is the name of the note of what marks associations with what they
// rest on. It goes where they go: a store from a backup has neither.
const secretNote = "\x00dtls"

// secret returns it, and makes one if there is none. It is nil if nothing lasts.
func (k *keeping) secret() ([]byte, error) {
	if !k.lasts() {
		return nil, nil
	}
	if noted := k.notes[secretNote]; len(noted) > 0 {
		k.marks = noted
	}
	delete(k.notes, secretNote)
	if k.marks != nil {
		return k.marks, nil
	}
	k.marks = make([]byte, 32)
	rand.Read(k.marks)
	return k.marks, k.Write(&store.Noted{Name: secretNote, Value: k.marks})
}

// forgetNotes removes the notes that nobody has taken up: of listeners that are
// there no more.
func (k *keeping) forgetNotes() error {
	var facts []store.Fact
	for name := range k.notes {
		facts = append(facts, &store.Noted{Name: name})
	}
	k.notes = nil
	if len(facts) == 0 {
		return nil
	}
	return k.Write(facts...)
}

// joinFor is how long a note waits for a Sync of who acts on what it is about.
const joinFor = time.Millisecond

// join calls then as Sync does, which it leaves to somebody else for a moment: a
// datagram that changes something has core ask for one, and one then does for
// both.
func (k *keeping) join(then func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.joined) == 0 {
		k.since = time.Now()
	}
	k.joined = append(k.joined, then)
	if !k.timed {
		k.timed = true
		time.AfterFunc(joinFor, k.syncJoined)
	}
}

// syncJoined syncs for those who have waited long enough, and looks again after
// those who have not. A timer for each would be one for each datagram.
func (k *keeping) syncJoined() {
	k.mu.Lock()
	var due joined
	switch left := joinFor - time.Since(k.since); {
	case len(k.joined) == 0:
		k.timed = false
	case left > 0:
		time.AfterFunc(left, k.syncJoined)
	default:
		due, k.joined, k.timed = k.joined, nil, false
	}
	k.mu.Unlock()
	if len(due) > 0 {
		k.Store.Sync(due.call)
	}
}

// Sync calls then, after those who have joined.
func (k *keeping) Sync(then func(error)) {
	joined := k.takeJoined()
	if len(joined) == 0 {
		k.Store.Sync(then)
		return
	}
	k.Store.Sync(append(joined, then).call)
}

func (k *keeping) takeJoined() joined {
	k.mu.Lock()
	defer k.mu.Unlock()
	j := k.joined
	k.joined = nil
	return j
}

// joined are those who share a Sync.
type joined []func(error)

func (j joined) call(err error) {
	for _, then := range j {
		then(err)
	}
}

// A keeper keeps the associations of one listener. A note is named
//
//	Listener 0 ID(8) What(1)
type keeper struct {
	kept     *keeping
	listener string
}

var _ dtls.Keeper = keeper{}

// What a note is.
const (
	noteMade  = 'm'
	noteState = 's'
)

func (k keeper) prefix() string { return k.listener + "\x00" }

func (k keeper) name(c *dtls.Change, what byte) string {
	var room [64]byte
	b := append(append(room[:0], k.listener...), 0)
	return string(append(append(b, c.ID[:]...), what))
}

// Keep writes changes: numbers that they reserve may be used when they are
// durable. It takes more room only for an association that is new, for whose
// peer it is in a hurry: alone, since the listener, whose order it is called in,
// can do nothing for others meanwhile.
func (k keeper) Keep(changes []dtls.Change, then func(error)) error {
	facts, notes := make([]store.Fact, 0, 2*len(changes)), make([]store.Noted, 0, 2*len(changes))
	note := func(n store.Noted) {
		notes = append(notes, n)
		facts = append(facts, &notes[len(notes)-1])
	}
	begins := false
	for i := range changes {
		c := &changes[i]
		if c.State == nil || c.Made != nil {
			note(store.Noted{Name: k.name(c, noteMade), Value: c.Made})
		}
		note(store.Noted{Name: k.name(c, noteState), Value: c.State, Granted: true})
		begins = begins || c.Made != nil
	}
	if err := k.kept.Write(facts...); err != nil {
		return err
	}
	if begins {
		k.kept.Store.Sync(then)
		return nil
	}
	k.kept.join(then)
	return nil
}

// Load visits the associations of the listener.
func (k keeper) Load(visit func(dtls.Change) error) error {
	found := make(map[[8]byte]*dtls.Change)
	for name, value := range k.kept.notes {
		tail, its := strings.CutPrefix(name, k.prefix())
		if !its || len(tail) != 8+1 {
			continue
		}
		id := [8]byte([]byte(tail))
		if found[id] == nil {
			found[id] = &dtls.Change{ID: id}
		}
		switch what := tail[8]; what {
		case noteMade:
			found[id].Made = value
		case noteState:
			found[id].State = value
		default:
			return fmt.Errorf("the store has a note %q of an association", what)
		}
		delete(k.kept.notes, name)
	}
	for _, c := range found {
		if err := visit(*c); err != nil {
			return err
		}
	}
	return nil
}
