package gateway

import (
	"errors"
	"fmt"
	"slices"

	"dormouse/core/store"
)

// A disk is a store that answers when the test says so. What it has not
// answered for is lost when the test kills the broker, as is all if it has no
// memory.
type disk struct {
	memory *store.Memory
	queue  []written
	full   bool
}

// written is what came by one call.
type written struct {
	facts []store.Fact
	then  func(error)
}

func (d *disk) Write(facts ...store.Fact) error {
	if d.full && slices.ContainsFunc(facts, grows) {
		return fmt.Errorf("%w: the test says so", store.ErrFull)
	}
	for i, f := range facts {
		if p, ok := f.(*store.Published); ok {
			kept := *p
			kept.Receivers = slices.Values(slices.Collect(p.Receivers))
			facts[i] = &kept
		}
	}
	d.queue = append(d.queue, written{facts: facts})
	return nil
}

// grows reports whether a full disk has no room for f.
func grows(f store.Fact) bool {
	switch f := f.(type) {
	case *store.Published:
		return !f.Granted
	case *store.Session:
		return !f.Granted
	case *store.Subscribed, *store.Accepted:
		return true
	}
	return false
}

func (d *disk) Sync(then func(error)) { d.queue = append(d.queue, written{then: then}) }

func (d *disk) Follow(then func(error)) { d.Sync(then) }

func (d *disk) Load(visit func(store.Fact) error) error {
	if d.memory == nil {
		return nil
	}
	return d.memory.Load(visit)
}

func (d *disk) Close() error { return nil }

// waits reports whether somebody waits for an answer.
func (d *disk) waits() bool {
	return slices.ContainsFunc(d.queue, func(w written) bool { return w.then != nil })
}

// step has the first of what came be durable, and answers it.
func (d *disk) step() {
	first := d.queue[0]
	d.queue = d.queue[1:]
	if d.memory != nil && len(first.facts) > 0 {
		if err := d.memory.Write(first.facts...); err != nil {
			panic(err)
		}
	}
	if first.then != nil {
		first.then(nil)
	}
}

// answer answers all that waits, in order.
func (d *disk) answer() {
	for len(d.queue) > 0 {
		d.step()
	}
}

// crash forgets what is not durable, but for the first of it: a disk may have
// written more than it has answered for.
func (d *disk) crash(written int) {
	for i := range min(written, len(d.queue)) {
		if err := d.memory.Write(d.queue[i].facts...); err != nil {
			panic(err)
		}
	}
	d.queue = nil
}

var errNever = errors.New("the store has failed")

// fails answers all that waits by an error.
func (d *disk) fails() {
	for len(d.queue) > 0 {
		then := d.queue[0].then
		d.queue = d.queue[1:]
		if then != nil {
			then(errNever)
		}
	}
}
