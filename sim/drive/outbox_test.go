package drive

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/sim"
)

// TestBurst has 100,000 datagrams at once: all are sent, in order, and in
// between is read what comes.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100_000
		r := newRig(3500 * time.Millisecond)
		r.net.dead = true
		h := r.herds[0]
		h.every, h.due, h.size = time.Hour, r.start.Add(time.Hour), size
		for e := range size {
			h.said = append(h.said, sim.Endpoint(e))
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := r.net.shards[0]
		if len(s.sent) != size || !slices.IsSorted(s.sent) {
			t.Errorf("sent %d of %d, in order: %v", len(s.sent), size, slices.IsSorted(s.sent))
		}
		if s.mostSent > chunk {
			t.Errorf("sent %d without reading, want at most %d", s.mostSent, chunk)
		}
	})
}

// TestOutbox keeps order and octets while it is filled and emptied in turn.
func TestOutbox(t *testing.T) {
	var o outbox
	n := &ether{dead: true}
	n.Attach(0, nil)
	next := 0
	for round := range 2000 {
		for range 200 + round%100 {
			o.add(sim.Endpoint(next), fmt.Appendf(nil, "%d", next))
			next++
		}
		if err := o.send(n, 0, chunk); err != nil {
			t.Fatal(err)
		}
		for _, d := range o.batch[:min(chunk, next)] {
			if d.Buf != nil && fmt.Sprint(d.Endpoint) != string(d.Buf) {
				t.Fatalf("%q is sent from endpoint %d", d.Buf, d.Endpoint)
			}
		}
		if most := o.len() + 3*chunk + 300; cap(o.waiting) > 4*most {
			t.Fatalf("room for %d with %d waiting", cap(o.waiting), o.len())
		}
	}
	for o.len() > 0 {
		if err := o.send(n, 0, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if sent := n.shards[0].sent; len(sent) != next || !slices.IsSorted(sent) {
		t.Errorf("sent %d of %d, in order: %v", len(sent), next, slices.IsSorted(sent))
	}
}
