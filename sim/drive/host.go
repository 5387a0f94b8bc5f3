package drive

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/sim"
)

// A host does handshakes for devices: pion does them, in real time and for
// some 45 KB each, so that there are only so many at once.
type host struct {
	wall *wall
	ctx  context.Context // of the run
	busy sync.WaitGroup
	room chan struct{}
}

const (
	// mostHandshakes at once: less than a quarter of the gateway's own bound of
	// 2000, which is what it gives to those that have just begun.
	mostHandshakes = 256

	// handshakeTime is how long one may take, with all that the radio loses. It is
	// the gateway's own bound.
	handshakeTime = 20 * time.Second
)

func newHost(ctx context.Context, w *wall) host {
	return host{wall: w, ctx: ctx, room: make(chan struct{}, mostHandshakes)}
}

// begin does a handshake of a device of s. What becomes of it is told to the
// fleet by way of the inbox.
func (c *host) begin(s *shard, h *sim.Handshake) {
	ctx, cancel := context.WithCancel(c.ctx)
	var under atomic.Pointer[handshake.Call]
	h.Abandon = cancel
	h.Deliver = func(b []byte) {
		if call := under.Load(); call != nil { // else nothing was asked yet
			call.Deliver(b)
		}
	}
	c.busy.Go(func() {
		defer cancel()
		a, err := c.do(ctx, s, h, &under)
		s.order(func(now clock.Time) { s.fleet.Agreed(now, h, a, err) })
	})
}

// do waits for its turn, and does a handshake.
func (c *host) do(ctx context.Context, s *shard, h *sim.Handshake, under *atomic.Pointer[handshake.Call]) (*record.Association, error) {
	select {
	case c.room <- struct{}{}:
		defer func() { <-c.room }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	proof, err := c.wall.o.Prove(h)
	if err != nil {
		return nil, err
	}
	call, err := proof.Begin(c.wall.net.Secured(), func(b []byte) {
		b = bytes.Clone(b)
		s.order(func(now clock.Time) { s.fleet.Say(now, h, b) })
	})
	if err != nil {
		return nil, err
	}
	under.Store(call)
	return call.Run(ctx, handshakeTime)
}

// order has the goroutine of s do f, without waiting for it.
func (s *shard) order(f func(now clock.Time)) {
	s.post(func(in *inbox) { in.orders = append(in.orders, func() { f(clock.Now()) }) })
}
