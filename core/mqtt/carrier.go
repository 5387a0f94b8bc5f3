package mqtt

import (
	"runtime"
	"sync"
)

// A carrier sends for connections that have got something to send. Whoever
// reads from a client gives the carrier a hand: it sends what its packets have
// caused, once it has read all that has come. Without one at work, a goroutine
// is started. Nobody ever waits for a socket here.
//
// To wake a goroutine for each connection would cost as much as the writing
// itself, and a message at a time would go into each write.
type carrier struct {
	mu      sync.Mutex // guards what follows
	hands   int        // readers at work: each will send before it waits
	resting bool       // one of them lets others add to its load first
	joined  int        // how many have, of those that were to send themselves
	skip    int        // rests to be left out, because nobody had joined one
	ready   []*conn
	head    int // of ready: what is before it has been taken
}

const (
	load   = 32 // connections that one goroutine sends for before it looks for others
	joints = 16 // readers that may add to a load: what they have read must fit into a queue
	skips  = 32 // rests left out: each may wake a processor, which costs as much as a write
)

// add has someone send for c.
func (k *carrier) add(c *conn) {
	k.mu.Lock()
	carried := k.hands > 0 || k.resting
	if carried {
		k.ready = append(k.ready, c)
	}
	k.mu.Unlock()
	if !carried {
		go c.send(parcels.Get().(*parcel), false)
	}
}

// begin promises an end.
func (k *carrier) begin() {
	k.mu.Lock()
	k.hands++
	k.mu.Unlock()
}

// end sends for those that have something to send, or leaves them to one that
// is about to: first it lets other readers run that have something to read.
func (k *carrier) end() {
	k.mu.Lock()
	k.hands--
	switch {
	case k.head == len(k.ready):
		k.mu.Unlock()
		return
	case k.resting && k.joined < joints:
		k.joined++
		k.mu.Unlock()
		return
	case k.resting:
	case k.skip > 0:
		k.skip--
	default:
		k.resting, k.joined = true, 0
		k.mu.Unlock()
		runtime.Gosched()
		k.mu.Lock()
		k.resting = false
		if k.joined == 0 {
			k.skip = skips
		}
	}
	k.mu.Unlock()
	k.carry()
}

// leave is end for a lookout, which has read for many already.
func (k *carrier) leave() {
	k.mu.Lock()
	k.hands--
	idle := k.head == len(k.ready)
	k.mu.Unlock()
	if !idle {
		k.carry()
	}
}

// carry sends for all that are ready, with help if they are many.
func (k *carrier) carry() {
	var some [load]*conn
	for {
		n, more := k.take(some[:])
		if more {
			go k.carry()
		}
		if n == 0 {
			return
		}
		for _, c := range some[:n] {
			c.send(parcels.Get().(*parcel), false)
		}
	}
}

// take takes the first that are ready, as many as some holds, and reports
// whether there are more.
func (k *carrier) take(some []*conn) (n int, more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n = copy(some, k.ready[k.head:])
	clear(k.ready[k.head : k.head+n])
	if k.head += n; k.head < len(k.ready) {
		return n, true
	}
	k.ready, k.head = k.ready[:0], 0
	if cap(k.ready) > 1024 {
		k.ready = nil
	}
	return n, false
}
