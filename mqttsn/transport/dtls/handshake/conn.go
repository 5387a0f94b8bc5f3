package handshake

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

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
	peer net.Addr
	send func([]byte)
	in   chan []byte

	mu        sync.Mutex
	octets    int           // received
	cut       chan struct{} // closed: a read that waits returns
	cutShort  bool
	closed    bool
	verified  bool     // pion has seen its cookie again
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

// deliver gives pion a copy of a datagram. False means that the peer has sent
// more than it may. What finds no room is lost.
func (c *conn) deliver(b []byte) bool {
	c.mu.Lock()
	c.octets += len(b)
	within := c.octets <= maxOctets
	c.mu.Unlock()
	if !within {
		return false
	}
	select {
	case c.in <- append([]byte(nil), b...):
	default:
	}
	return true
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
	const serverHello, typeAt = 2, 13
	switch {
	case c.forgotten:
		return len(b), nil
	case len(b) > typeAt && record.ContentType(b[0]) == record.Handshake && b[typeAt] == serverHello:
		c.verified = true
	case len(b) > 0 && record.ContentType(b[0]) == record.ChangeCipherSpec:
		c.last = true
		if c.repeats++; c.repeats > maxRepeats {
			return len(b), nil
		}
	}
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

func (c *conn) isVerified() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.verified
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
