// Package memnet is a network in memory: the gateway's end is a
// [transport.Transport], and the far ends are as many peers as one likes.
//
// It loses, repeats, delays and reorders what it carries as a seed decides,
// so that a failing run can be run again, and it writes down what it did.
//
// The Net has no goroutine. Whoever drives it hands in the time: everything
// sent is sent at the latest time that Deliver, Sent or Advance was told.
// A simulation of thousands of sensors is one loop, see the example. To run it
// under goroutines instead, in a synctest bubble, set Config.Clock and call
// Serve.
package memnet

import (
	"bytes"
	"context"
	"sync"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

// MaxUnderWay bounds the datagrams under way in one direction. More are
// refused.
const MaxUnderWay = 1 << 17

// Config describes a network. The zero Config is a perfect one: nothing is
// lost and everything arrives at once.
type Config struct {
	Seed uint64 // the same seed and the same calls give the same network

	Up, Down Link // from the peers to the gateway, and back

	// Clock tells the time if nobody is to hand it in: one instance for Serve
	// to run on, which also starts a timer for what is under way.
	Clock func() clock.Time

	Trace   int         // how many events to keep for Trace
	Observe func(Event) // if set, is told every event; it may not call the Net
}

// A Net is a network in memory. It is safe for concurrent use, but only a
// single goroutine gives the same run again.
type Net struct {
	cfg Config

	mu        sync.Mutex
	now       clock.Time
	up, down  direction
	trace     []Event
	truncated bool

	wake chan struct{} // for Serve: something was sent up, or time has moved
}

var _ transport.Transport = (*Net)(nil)

// New returns the network that c describes.
func New(c Config) *Net {
	return &Net{
		cfg:  c,
		now:  1, // some time; zero would be never
		up:   newDirection(c.Up, c.Seed, Up),
		down: newDirection(c.Down, c.Seed, Down),
		wake: make(chan struct{}, 1),
	}
}

// Inject sends b from p to the gateway. It does not retain b.
func (n *Net) Inject(p transport.Peer, b []byte) {
	n.send(&n.up, transport.Datagram{Peer: p, Buf: b})
}

// Multicast sends b from p to the gateway by way of a group.
func (n *Net) Multicast(p transport.Peer, b []byte) {
	n.send(&n.up, transport.Datagram{Peer: p, Buf: b, Multicast: true})
}

// Send sends from the gateway to the peers. It never fails.
func (n *Net) Send(batch []transport.Datagram) error {
	for _, d := range batch {
		n.send(&n.down, d)
	}
	return nil
}

func (n *Net) send(dir *direction, d transport.Datagram) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.read()
	d.Buf = bytes.Clone(d.Buf)
	dir.send(n.now, d, n.record)
	n.stir()
}

// Advance tells the network the time. It does not go back.
func (n *Net) Advance(now clock.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.advance(now)
}

func (n *Net) advance(now clock.Time) {
	if now > n.now {
		n.now = now
		n.stir()
	}
}

// read takes the time from Config.Clock, if there is one.
func (n *Net) read() {
	if n.cfg.Clock != nil {
		n.advance(n.cfg.Clock())
	}
}

// stir makes Serve look again.
func (n *Net) stir() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Next returns when the next datagram arrives at either end, or zero if none
// is under way. It may be past.
func (n *Net) Next() clock.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return clock.Sooner(n.up.next(), n.down.next())
}

// Deliver passes what has reached the gateway by now to sink, in one batch and
// in the order of arrival. It does not call sink with nothing.
func (n *Net) Deliver(now clock.Time, sink func(batch []transport.Datagram)) {
	if batch := n.arrived(&n.up, now); len(batch) > 0 {
		sink(batch)
	}
}

// Sent returns what has reached the peers by now, in the order of arrival.
// The caller owns it.
func (n *Net) Sent(now clock.Time) []transport.Datagram {
	return n.arrived(&n.down, now)
}

func (n *Net) arrived(dir *direction, now clock.Time) []transport.Datagram {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.advance(now)
	return dir.arrived(n.now, n.record)
}

// Serve delivers to sink until ctx is cancelled. Without a Config.Clock, what
// is under way arrives when another goroutine tells the time.
func (n *Net) Serve(ctx context.Context, sink func(batch []transport.Datagram)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
		case <-timer.C:
		}
		n.Deliver(n.serveUntil(timer), sink)
	}
}

// serveUntil reads the time and sets timer to when Serve must look next.
func (n *Net) serveUntil(timer *time.Timer) clock.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.read()
	if next := n.up.next(); n.cfg.Clock != nil && next > n.now {
		timer.Reset(next.Sub(n.now))
	}
	return n.now
}
