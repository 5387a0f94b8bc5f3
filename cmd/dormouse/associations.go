package main

import (
	"fmt"
	"strings"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/mqttsn/transport/dtls"
)

// This file is where DTLS keeps its associations: in the store, beside what is
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
	return k.prefix() + string(append(c.ID[:len(c.ID):len(c.ID)], what))
}

// Keep writes changes, and has them be durable: numbers that they reserve may be
// used then. It takes more room only for an association that is new.
func (k keeper) Keep(changes []dtls.Change, then func(error)) {
	facts := make([]store.Fact, 0, 2*len(changes))
	for i := range changes {
		c := &changes[i]
		if c.State == nil || c.Made != nil {
			facts = append(facts, &store.Noted{Name: k.name(c, noteMade), Value: c.Made})
		}
		facts = append(facts, &store.Noted{Name: k.name(c, noteState), Value: c.State, Granted: true})
	}
	if err := k.kept.Write(facts...); err != nil {
		then(err)
		return
	}
	k.kept.Sync(then)
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
