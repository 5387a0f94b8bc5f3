package gateway

import (
	"sync"

	"dormouse/mqttsn/index"
)

// A registry finds a client's seat by its client id, from whichever shard. Its
// locks are held for the look-up alone.
type registry struct {
	parts [64]struct {
		mu    sync.Mutex
		seats *index.Set[seat]
	}
}

func newRegistry() *registry {
	r := new(registry)
	for i := range r.parts {
		r.parts[i].seats = index.NewSet(func(t *seat) string { return t.session.ClientID() })
	}
	return r
}

// part is where in parts a client is: by the upper bits of what finds it there.
func part(clientID string) int { return int(index.Hash(clientID) >> 26) }

// find returns the client's seat, or nil.
func (r *registry) find(clientID string) *seat {
	p := &r.parts[part(clientID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seats.Find(clientID)
}

// put makes t the client's seat, unless the broker has given the client to
// another since. That one's kick is seen here, and it is told to us before the
// other knows that it was accepted: so the last one accepted stays, in
// whichever order the shards come here.
func (r *registry) put(clientID string, t *seat) {
	p := &r.parts[part(clientID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.kicked() {
		p.seats.Put(t)
	}
}

// drop forgets t, if it is the client's seat.
func (r *registry) drop(clientID string, t *seat) {
	p := &r.parts[part(clientID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seats.Find(clientID) == t {
		p.seats.Drop(clientID)
	}
}
