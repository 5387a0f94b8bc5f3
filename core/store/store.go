// Package store is where core keeps what must outlive the process: the port
// to an engine, and the facts that pass through it.
package store

// A Store keeps facts. It is safe for concurrent use; no method but Load and
// Close blocks.
type Store interface {
	// Write takes facts, all or none of them, in the order of the calls. An
	// error is a refusal, such as of a full disk: it is as if Write had not
	// been called. A nil error promises nothing before the next Sync answers.
	// The facts and what they point at do not change afterwards, except that
	// Published.Receivers is of no use after the call.
	Write(facts ...Fact) error

	// Sync calls then once all that was written before is durable, or, with
	// an error, when it cannot be, which is for good. The calls of then come
	// in the order of the Syncs, for one caller at least; they may come
	// before Sync returns.
	Sync(then func(error))

	// Load visits facts from which the present state follows, in an order in
	// which they can be replayed. It is called once, before any Write.
	Load(visit func(Fact) error) error

	// Close makes durable what was written and ends the store.
	Close() error
}

// Volatile is the Store that keeps nothing: core's own memory is the only
// copy, and an acknowledgement promises no more than that. It answers at
// once, on the caller's goroutine.
type Volatile struct{}

func (Volatile) Write(...Fact) error         { return nil }
func (Volatile) Sync(then func(error))       { then(nil) }
func (Volatile) Load(func(Fact) error) error { return nil }
func (Volatile) Close() error                { return nil }
