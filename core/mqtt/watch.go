package mqtt

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What receive returns before the connection has come to an end.
var (
	errLater = errors.New("nothing is left to read")
	errBusy  = errors.New("what is left to read holds others up")
)

// turnMost is how long a client may have others of its lookout wait.
const turnMost = time.Millisecond

// A watch is a lookout's part in a connection. Whoever reads holds mu: the
// lookout for a moment, or a goroutine of the connection's for as long as its
// packets take.
type watch struct {
	mu     sync.Mutex  // guards what follows
	ready  bool        // the socket may be read, once
	began  time.Time   // when it could be
	heard  time.Time   // the last packet; an octet of one does not count
	silent *time.Timer // calls outwait; nil: the client may be silent for ever, or is not watched yet
}

// converse takes what the client sends. As soon as there is nothing to read it
// leaves it to the lookout to go on, if there is one.
func (c *conn) converse() {
	if err := c.goOn(); err != nil {
		c.finish(err)
	}
}

func (c *conn) goOn() error {
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	c.begin() // with room for the first packet
	c.end()
	err := c.protect(c.receive)
	c.settle()
	if !errors.Is(err, errLater) {
		return err
	}
	c.countReceived()
	if c.watch.silent == nil {
		c.socket.SetReadDeadline(time.Time{}) // that of CONNECT
		if c.idle > 0 {
			c.watch.silent = time.AfterFunc(c.idle, c.outwait)
		}
	}
	c.watch.heard = time.Now()
	c.watched.Store(true)
	err = c.lookout.add(c)
	if err == nil && c.isParting() {
		err = net.ErrClosed
	}
	if err != nil {
		c.unwatch()
	}
	return err
}

// watchful is await for a lookout, which has waited for the socket.
func (c *conn) watchful() error {
	if !c.watch.ready {
		return errLater
	}
	c.watch.ready = false
	return nil
}

// holdsUp reports whether others would have to wait for the next packet, or
// what it asks for.
func (c *conn) holdsUp() bool {
	return c.watched.Load() &&
		(len(c.requests) == cap(c.requests) || c.guard.left() > 0 && time.Since(c.watch.began) > turnMost)
}

// glance takes what the client has sent, which it is to read from the lookout.
// Unless part of a packet is there already it reads into room.
func (c *conn) glance(from io.Reader, room []byte, now time.Time) {
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	if !c.watched.Load() {
		return
	}
	g := &c.guard
	g.from = from
	lent := g.left() == 0
	if lent {
		g.buf, g.at, g.filled = room, 0, false
	}
	c.watch.ready, c.watch.began = true, now
	c.hand = true // the lookout's
	err := c.protect(c.receive)
	c.hand, c.watch.ready = false, false
	if g.packets > 0 {
		c.watch.heard = now
	}
	if lent || g.left() == 0 {
		g.keep()
	}
	c.countReceived()
	switch {
	case errors.Is(err, errLater):
	case errors.Is(err, errBusy):
		c.unwatch()
		go c.converse()
	default:
		c.unwatch()
		go c.finish(err)
	}
}

// unwatch undoes what goOn has done at its end. The caller holds watch.mu.
func (c *conn) unwatch() {
	c.watched.Store(false)
	c.lookout.drop(c)
}

// dismiss finishes a connection that is over while the lookout waits for it.
func (c *conn) dismiss() {
	c.watch.mu.Lock()
	watched := c.watched.Load()
	if watched {
		c.unwatch()
	}
	c.watch.mu.Unlock()
	if watched {
		c.finish(net.ErrClosed)
	}
}

// outwait ends the connection if the client has been silent for too long. Its
// timer is not set back by packets, but starts again for what is left.
func (c *conn) outwait() {
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	if c.isParting() {
		return
	}
	left := c.idle
	if c.watched.Load() {
		left -= time.Since(c.watch.heard)
	}
	if left > 0 {
		c.watch.silent.Reset(left)
		return
	}
	c.part(packets.ErrKeepAliveTimeout)
}

// stopOutwait follows the end of the connection.
func (c *conn) stopOutwait() {
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	if c.watch.silent != nil {
		c.watch.silent.Stop()
	}
}
