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

	// Follow calls then as Sync does, in the order of both, but asks for
	// nothing to be durable: once all Syncs before it have been answered, at
	// once if they have been, or if they wait for room on the disk.
	Follow(then func(error))

	// Load visits facts from which the present state follows: Began, if there
	// is one; each Noted in the order of Name; of each session first Session, then its Subscribed and Accepted;
	// then each Published in the order of Seq, with the Receivers it still has or
	// has in flight;
	// Unretained for each topic whose message is no longer retained but waits
	// somewhere; then in the order in which they came Taken, each before its
	// Received. It is called once, before any Write. A Published and its
	// Message are visit's until it returns; what they hold is to keep.
	Load(visit func(Fact) error) error

	// Close makes durable what was written and ends the store.
	Close() error
}
