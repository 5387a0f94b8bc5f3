package core

import (
	"hash/maphash"
	"sync"
)

// turns has what a client publishes over one connection go out before what it
// publishes over the next: the broker may find only then that the old one is
// over, with a message of it half handed out. A publish holds its client's turn,
// of which it shares one with others, for reading, and Open for writing.
type turns struct {
	seed  maphash.Seed
	locks [64]sync.RWMutex
}

func newTurns() turns { return turns{seed: maphash.MakeSeed()} }

func (t *turns) of(clientID string) *sync.RWMutex {
	return &t.locks[maphash.String(t.seed, clientID)%uint64(len(t.locks))]
}
