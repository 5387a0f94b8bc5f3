package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// This file brings a Conn's virtual connection back, if its Dialer has a
// Backoff for that.

// A restoration is under way from the loss of a virtual connection until it is
// back, or nobody wants it any more.
type restoration struct {
	why    error // it was lost
	cancel context.CancelFunc
	done   chan struct{}
}

// A subscription is what has to be asked for again when a session that was
// clean is lost.
type subscription struct {
	topic mqttsn.Topic
	qos   mqttsn.QoS
}

func (s *subscription) of(t mqttsn.Topic) bool {
	return s.topic.Kind == t.Kind && s.topic.ID == t.ID && string(s.topic.Name) == string(t.Name)
}

// subscribed notes what would have to be asked for again. c.turn is ours.
func (c *Conn) subscribed(t mqttsn.Topic, q mqttsn.QoS) {
	c.unsubscribed(t)
	t.Name = slices.Clone(t.Name)
	c.subscriptions = append(c.subscriptions, subscription{t, q})
}

func (c *Conn) unsubscribed(t mqttsn.Topic) {
	c.subscriptions = slices.DeleteFunc(c.subscriptions, func(s subscription) bool { return s.of(t) })
}

// gone takes the end of the virtual connection. c.mu is held.
func (c *Conn) gone(why error) {
	switch {
	case c.backoff == nil || c.closing:
		if c.restoring != nil {
			c.restoring.cancel()
		}
		c.broke(why)
	case c.restoring == nil:
		ctx, cancel := context.WithCancel(context.Background())
		c.restoring = &restoration{why: why, cancel: cancel, done: make(chan struct{})}
		c.changed(why)
		go c.restore(ctx, c.restoring)
	}
}

// broke tells who Receives that nothing more will come.
func (c *Conn) broke(why error) {
	if c.why == nil {
		c.why = why
		close(c.broken)
	}
}

// restore tries until the connection is back or ctx is done.
func (c *Conn) restore(ctx context.Context, r *restoration) {
	defer close(r.done)
	defer r.cancel()
	for failures, why := 1, r.why; ; failures++ {
		timer := time.NewTimer(c.backoff.After(why, failures, rand.Float64()))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		if ctx.Err() == nil {
			why = c.resume(ctx)
		}
		if c.restored(ctx, why) {
			return
		}
	}
}

// restored ends the restoration, if it has succeeded or is not wanted any more.
func (c *Conn) restored(ctx context.Context, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	active := c.client.State() == Active
	if ctx.Err() == nil && (err != nil || !active) {
		return false
	}
	if active {
		c.changed(nil)
	} else {
		c.broke(c.restoring.why)
	}
	c.restoring = nil
	return true
}

// resume connects as last time. The subscriptions of a clean session have gone
// with it.
func (c *Conn) resume(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := c.perform(ctx, func(now clock.Time, out *Actions) error { return c.client.Connect(now, c.session, out) })
	if err != nil || !c.session.CleanSession {
		return err
	}
	for _, s := range slices.Clone(c.subscriptions) {
		_, err := c.perform(ctx, func(now clock.Time, out *Actions) error {
			return c.client.Subscribe(now, s.topic, s.qos, out)
		})
		var refused *RefusedError
		if errors.As(err, &refused) && !congested(err) { // trying again is no use
			c.unsubscribed(s.topic)
			name, _ := NameOf(s.topic)
			c.changed(fmt.Errorf("the subscription to %q (id %d) is lost: %w", name, s.topic.ID, err))
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leave ends a restoration that is under way, and reports whether it has left
// the Conn without a connection.
func (c *Conn) leave() bool {
	r := c.restoration()
	if r == nil {
		return false
	}
	r.cancel()
	<-r.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client.State() == Disconnected
}

func (c *Conn) restoration() *restoration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restoring
}

// await returns when no restoration is under way and it is our turn.
func (c *Conn) await(ctx context.Context) error {
	for {
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		r := c.restoration()
		if r == nil {
			return nil
		}
		<-c.turn
		select {
		case <-r.done:
		case <-ctx.Done():
			return fmt.Errorf("%w, while there is no connection: %w", ctx.Err(), r.why)
		case <-c.closed:
			return net.ErrClosed
		}
	}
}
