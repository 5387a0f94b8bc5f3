package client

import (
	"errors"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/bounds"
)

// A Backoff says how long to leave a gateway alone before connecting to it
// again. Start from [DefaultBackoff]: the zero Backoff is not valid. It has no
// state: any number of clients share one, and each counts its own failures.
type Backoff struct {
	// First is how long to wait after the first failure; each that follows
	// doubles it. 1 ms to 1 h; default 1 s.
	First time.Duration

	// Most is the longest wait. First to 24 h; default 5 min.
	Most time.Duration

	// Jitter is the share of a wait that is left to chance, so that those whom
	// one gateway has lost do not all come back at once. 0 to 1; default 0.5.
	Jitter float64

	// Wait is how long at least to wait when the gateway was congested
	// (T_WAIT, 1.2 §7.2); chance adds up to a quarter. First to 24 h; default
	// 5 min.
	Wait time.Duration
}

// DefaultBackoff returns the defaults.
func DefaultBackoff() Backoff {
	return Backoff{First: time.Second, Most: 5 * time.Minute, Jitter: 0.5, Wait: 5 * time.Minute}
}

// Validate reports everything wrong with b, not just the first thing.
func (b *Backoff) Validate() error {
	var all bounds.Checks
	const day = 24 * time.Hour
	all.Require(time.Millisecond <= b.First && b.First <= time.Hour, "the first wait is %v; it must be 1ms to 1h", b.First)
	all.Require(b.First <= b.Most && b.Most <= day, "the longest wait is %v; it must be %v to 24h", b.Most, b.First)
	all.Require(0 <= b.Jitter && b.Jitter <= 1, "jitter is %v; it must be 0 to 1", b.Jitter)
	all.Require(b.First <= b.Wait && b.Wait <= day, "the wait after congestion is %v; it must be %v to 24h", b.Wait, b.First)
	return all.Err()
}

// After returns how long to wait. err is why there is no connection, as
// Actions.Gone or the Outcome of a request to connect has it; failures is how
// many there were in a row, with this one; random is evenly spread over [0, 1).
func (b *Backoff) After(err error, failures int, random float64) time.Duration {
	if congested(err) {
		return b.Wait + time.Duration(random*float64(b.Wait)/4)
	}
	d := b.First
	for ; failures > 1 && d < b.Most; failures-- {
		d *= 2
	}
	d = min(d, b.Most)
	return d - time.Duration(b.Jitter*random*float64(d))
}

func congested(err error) bool {
	var refused *RefusedError
	return errors.Is(err, ErrCongested) || errors.As(err, &refused) && refused.Reason == mqttsn.Congestion
}
