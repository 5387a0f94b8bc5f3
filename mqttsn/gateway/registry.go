package gateway

import "sync"

// A registry finds a client's seat by its client id, from whichever shard. Its
// locks are held for the look-up alone.
type registry struct {
	seed  uint64
	parts [64]struct {
		mu    sync.Mutex
		seats map[string]*seat
	}
}

func newRegistry(seed uint64) *registry {
	r := &registry{seed: seed}
	for i := range r.parts {
		r.parts[i].seats = make(map[string]*seat)
	}
	return r
}

func (r *registry) part(clientID string) int {
	h := r.seed
	for i := range len(clientID) {
		h = mix(h ^ uint64(clientID[i]))
	}
	return int(h % uint64(len(r.parts)))
}

// find returns the client's seat, or nil.
func (r *registry) find(clientID string) *seat {
	p := &r.parts[r.part(clientID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seats[clientID]
}

// put makes t the client's seat, unless the broker has given the client to
// another since. That one's kick is seen here, and it is told to us before the
// other knows that it was accepted: so the last one accepted stays, in
// whichever order the shards come here.
func (r *registry) put(clientID string, t *seat) {
	p := &r.parts[r.part(clientID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.kicked() {
		p.seats[clientID] = t
	}
}

// drop forgets t, if it is the client's seat.
func (r *registry) drop(clientID string, t *seat) {
	p := &r.parts[r.part(clientID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seats[clientID] == t {
		delete(p.seats, clientID)
	}
}
