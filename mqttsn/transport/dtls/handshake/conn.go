package handshake

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn/transport/dtls/record"
)

const (
	// maxOctets bounds what one peer may send before its handshake is done: two
	// certificate chains of 16 KB, and repeats. pion's own buffers hold no more.
	maxOctets = 64 << 10

	maxWaiting = 16 // datagrams that pion has not read yet

	// maxRepeats bounds the repeats of the last flight, each of which takes a
	// sequence number below firstSent.
	maxRepeats = 64
)

// A conn is the network as pion sees it, for one peer.
type conn struct {
	peer   net.Addr
	send   func([]byte)
	in     chan []byte
	finish *finish

	mu        sync.Mutex
	octets    int           // received
	cut       chan struct{} // closed: a read that waits returns
	cutShort  bool
	closed    bool
	asked     func()   // pion has asked for a cookie. Nil: it has one
	next      uint64   // number of the next record of epoch 0
	last      bool     // the last flight has begun
	held      [][]byte // it, as long as holding
	holding   bool
	repeats   int
	forgotten bool // nothing of pion's may be sent any more
}

func newConn(peer netip.AddrPort, send func([]byte)) *conn {
	return &conn{
		peer: net.UDPAddrFromAddrPort(peer), send: send,
		in: make(chan []byte, maxWaiting), cut: make(chan struct{}), holding: true,
	}
}

// greet has pion, which is the server, hear a ClientHello whose cookie fits. It
// knows no cookies but those that it keeps with all else it has of a peer, so
// it gets to see the ClientHello without one first, asks for a cookie, and is
// made to take ours for its own: see Check.
func (c *conn) greet(hello *Hello, pion *piondtls.Conn, f *finish) error {
	bare, err := hello.bare()
	if err != nil {
		return err
	}
	datagram := bytes.Clone(hello.datagram)
	c.finish = f
	c.asked = func() { // on pion's own goroutine, which looks at its cookie after that
		copy(cookieOf(pion), hello.message.Cookie)
		c.in <- datagram
		c.asked = nil
	}
	c.in <- bare
	return nil
}

// deliver gives pion a copy of a datagram. False means that the peer has sent
// more than it may. What finds no room is lost.
func (c *conn) deliver(b []byte) bool {
	c.mu.Lock()
	c.octets += len(b)
	within, early := c.octets <= maxOctets, c.asked != nil
	c.mu.Unlock()
	if !within || early || isForeign(b) {
		return within // what is early is a ClientHello again
	}
	if c.finish != nil {
		c.finish.hear(b)
	}
	select {
	case c.in <- append([]byte(nil), b...):
	default:
	}
	return true
}

// isForeign reports whether a datagram has a record that is not sealed and has no
// place in a handshake. RFC 6347 §4.1.2.7 would have it discarded: anybody may
// have sent it. pion gives up instead, and says so to the peer, sealed if it can.
func isForeign(datagram []byte) bool {
	for len(datagram) > 0 {
		r, rest, err := record.Next(datagram, record.IDLength)
		if err != nil {
			return true
		}
		switch {
		case r.Type == record.ChangeCipherSpec: // sealed in no epoch, for pion
			if r.Epoch != 0 || !bytes.Equal(r.Fragment, []byte{1}) {
				return true
			}
		case r.Epoch != 0, r.Type == record.Handshake, r.Type == record.Alert && len(r.Fragment) == 2:
		default:
			return true
		}
		datagram = rest
	}
	return false
}

// ReadFrom waits for what is delivered.
func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	cut, closed := c.cut, c.closed
	c.mu.Unlock()
	if closed {
		return 0, nil, net.ErrClosed
	}
	select {
	case d := <-c.in:
		return copy(b, d), c.peer, nil
	case <-cut:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// WriteTo sends what pion has for the peer; but the last flight only when
// release says so.
func (c *conn) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const helloVerifyRequest, typeAt = 3, 13
	switch {
	case c.forgotten:
		return len(b), nil
	case c.asked != nil && len(b) > typeAt && record.ContentType(b[0]) == record.Handshake && b[typeAt] == helloVerifyRequest:
		c.asked()
		return len(b), nil
	case len(b) > 0 && record.ContentType(b[0]) == record.ChangeCipherSpec:
		c.last = true
		if c.repeats++; c.repeats > maxRepeats {
			return len(b), nil
		}
	}
	c.count(b)
	if c.last && c.holding {
		c.held = append(c.held, append([]byte(nil), b...))
		return len(b), nil
	}
	c.send(b)
	return len(b), nil
}

// release sends the last flight.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.held {
		c.send(b)
	}
	c.held, c.holding = nil, false
}

// forget has nothing be sent from now on, whatever pion says.
func (c *conn) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten = true
}

// count notes which numbers of epoch 0 pion has used.
func (c *conn) count(datagram []byte) {
	for len(datagram) > 0 {
		r, rest, err := record.Next(datagram, 0)
		if err != nil {
			return
		}
		if r.Epoch == 0 {
			c.next = r.Sequence + 1
		}
		datagram = rest
	}
}

// refuse tells the peer that it has another key.
func (c *conn) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, err := refusal(c.next); err == nil {
		c.send(b)
	}
}

// SetReadDeadline knows two deadlines: none, and one that has passed. pion
// sets no other.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case !t.IsZero() && !c.cutShort:
		close(c.cut)
		c.cutShort = true
	case t.IsZero() && c.cutShort:
		c.cut, c.cutShort = make(chan struct{}), false
	}
	return nil
}

func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && !c.cutShort {
		close(c.cut)
	}
	c.closed = true
	return nil
}

func (c *conn) LocalAddr() net.Addr              { return c.peer }
func (c *conn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
