package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A Conn is a client with a socket and a clock of its own. Its methods block
// until the gateway has answered, the gateway is given up, or ctx is done; the
// request is then abandoned, though the gateway may have carried it out. They
// may be called from any goroutine, and wait for each other. Pings are sent
// by themselves.
//
// The errors are those of [Client]: [ErrNoAnswer], [ErrDisconnected],
// *[RefusedError], and so on.
//
// A Conn with a [Dialer.Reconnect] that loses its connection, to a gateway that
// falls silent or no longer knows it, comes back by itself. The request during
// which that was noticed fails, for the gateway may have carried it out;
// requests made from then on wait until the connection is back. A session that
// was not clean finds its subscriptions as they were; those of a clean one are
// made again, though what was published meanwhile is lost. (That a gateway has
// forgotten a session that was not clean, 1.2 has no way to say.) A will is
// given again as it was last. A Conn that was asleep is active when it is back.
type Conn struct {
	socket  net.Conn
	trace   func(sent bool, datagram []byte)
	backoff *Backoff
	changed func(error)
	turn    chan struct{} // who has put something in may make a request
	ended   chan Outcome  // of the request under way
	mail    chan Message
	closed  chan struct{} // when the reader has ended

	// Who has the turn also has these: what to restore.
	session       Session
	subscriptions []subscription

	mu        sync.Mutex // guards what follows, and sending to ended and mail
	client    *Client
	decoder   mqttsn.Decoder
	out       Actions
	timer     *time.Timer
	broken    chan struct{} // closed when the virtual connection has gone for good
	why       error
	restoring *restoration // nil: none
	closing   bool         // the socket is closed
	shut      bool         // the reader has ended
}

// Connect asks for a virtual connection. A Conn may Connect again, and must
// after it was told that the connection has gone. If it does not succeed
// nothing is tried again.
func (c *Conn) Connect(ctx context.Context, s Session) error {
	c.leave()
	if s.Will != nil {
		w := *s.Will
		s.Will = &w
	}
	_, err := c.request(ctx, func(now clock.Time, out *Actions) error {
		if c.why != nil {
			c.why, c.broken = nil, make(chan struct{})
		}
		return c.client.Connect(now, s, out)
	}, func() { c.session, c.subscriptions = s, nil })
	return err
}

// Register asks for the id of a topic name. There is no need to: Publish does it.
func (c *Conn) Register(ctx context.Context, name string) (mqttsn.Topic, error) {
	o, err := c.request(ctx, func(now clock.Time, out *Actions) error {
		return c.client.Register(now, name, out)
	}, nil)
	return o.Topic, err
}

// Publish sends m. At QoS -1 it needs no Connect, and at QoS -1 and 0 nobody
// says whether m arrived; at QoS 1 and 2 it did when Publish returns nil.
func (c *Conn) Publish(ctx context.Context, m Message) error {
	begin := func(now clock.Time, out *Actions) error { return c.client.Publish(now, &m, out) }
	if m.QoS == mqttsn.QoSMinusOne {
		err, sendErr := c.drive(begin)
		return errors.Join(err, sendErr)
	}
	_, err := c.request(ctx, begin, nil)
	return err
}

// Subscribe asks for the messages of a topic or filter, to be Received, and
// returns the QoS granted.
func (c *Conn) Subscribe(ctx context.Context, t mqttsn.Topic, q mqttsn.QoS) (mqttsn.QoS, error) {
	o, err := c.request(ctx, func(now clock.Time, out *Actions) error {
		return c.client.Subscribe(now, t, q, out)
	}, func() { c.subscribed(t, q) })
	return o.QoS, err
}

// Unsubscribe takes a Subscribe back.
func (c *Conn) Unsubscribe(ctx context.Context, t mqttsn.Topic) error {
	_, err := c.request(ctx, func(now clock.Time, out *Actions) error {
		return c.client.Unsubscribe(now, t, out)
	}, func() { c.unsubscribed(t) })
	return err
}

// UpdateWill replaces the will, or deletes it if its Topic is empty.
func (c *Conn) UpdateWill(ctx context.Context, w Will) error {
	_, err := c.request(ctx, func(now clock.Time, out *Actions) error {
		return c.client.UpdateWill(now, &w, out)
	}, func() { c.session.Will = &w })
	return err
}

// Sleep asks the gateway to keep messages for up to d, and closes the ear.
func (c *Conn) Sleep(ctx context.Context, d time.Duration) error {
	_, err := c.request(ctx, func(now clock.Time, out *Actions) error {
		return c.client.Sleep(now, d, out)
	}, nil)
	return err
}

// Wake fetches what the gateway kept for a Conn that sleeps, which is asleep
// again when it returns. It must come before the sleep duration has passed.
func (c *Conn) Wake(ctx context.Context) error {
	_, err := c.request(ctx, c.wake, nil)
	return err
}

func (c *Conn) wake(now clock.Time, out *Actions) error { return c.client.Wake(now, out) }

// Disconnect says goodbye, and gives up a connection that was lost. The socket
// stays open for another Connect.
func (c *Conn) Disconnect(ctx context.Context) error {
	if c.leave() {
		return nil // there is nobody to say it to
	}
	_, err := c.request(ctx, func(now clock.Time, out *Actions) error {
		return c.client.Disconnect(now, out)
	}, nil)
	return err
}

// Receive returns the next message. If there is none and the connection has
// gone, it says why.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	select {
	case m := <-c.mail:
		return m, nil
	default:
	}
	select {
	case m := <-c.mail:
		return m, nil
	case <-broken:
		c.mu.Lock()
		defer c.mu.Unlock()
		return Message{}, c.why
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

// Close closes the socket without a word to the gateway: see Disconnect. What
// blocks returns net.ErrClosed.
func (c *Conn) Close() error {
	err := c.socket.Close()
	<-c.closed
	c.leave()
	return err
}

// request makes a request when it can be made, and waits for its end. If it
// was carried out, done is called, unless it is nil.
func (c *Conn) request(ctx context.Context, begin func(clock.Time, *Actions) error, done func()) (Outcome, error) {
	if err := c.await(ctx); err != nil {
		return Outcome{}, err
	}
	defer func() { <-c.turn }()
	o, err := c.perform(ctx, begin)
	if err == nil && done != nil {
		done()
	}
	return o, err
}

// perform makes a request and waits for its end. The turn is ours.
func (c *Conn) perform(ctx context.Context, begin func(clock.Time, *Actions) error) (Outcome, error) {
	if err, _ := c.drive(begin); err != nil {
		return Outcome{}, err
	}
	select {
	case o := <-c.ended:
		return o, o.Err
	case <-ctx.Done():
		c.drive(func(_ clock.Time, out *Actions) error {
			c.client.Abandon(out)
			return nil
		})
		<-c.ended // as abandoned, or as an answer that came in the last moment
		return Outcome{}, ctx.Err()
	}
}

// drive makes one call to the client and does what it asks for. It returns
// the call's error, and the socket's; the latter has had its consequences.
func (c *Conn) drive(call func(clock.Time, *Actions) error) (err, sendErr error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return net.ErrClosed, nil
	}
	now := clock.Now()
	c.out.Reset()
	err = call(now, &c.out)
	for b := range c.out.Datagrams {
		c.trace(true, b)
		if _, err := c.socket.Write(b); err != nil && sendErr == nil {
			sendErr = err
		}
	}
	if sendErr != nil {
		c.unsent(sendErr)
	}
	for _, m := range c.out.Messages {
		m.Payload = bytes.Clone(m.Payload)
		c.mail <- m // has room: see receive
	}
	if c.out.Ended.Request != 0 {
		c.ended <- c.out.Ended
	}
	if c.out.Gone != nil {
		c.gone(c.out.Gone)
	}
	if at := c.client.Deadline(); at != 0 {
		c.timer.Reset(at.Sub(now))
	} else {
		c.timer.Stop()
	}
	return err, sendErr
}

// unsent takes an error of sending: a datagram that the network does not take,
// or news of an earlier one.
func (c *Conn) unsent(err error) {
	switch out := &c.out; {
	case errors.Is(err, syscall.ECONNREFUSED):
		c.refused()
	case out.Ended.Request != 0:
		out.Ended.Err = err
	case c.client.Busy():
		c.client.Abandon(out)
		out.Ended.Err = err
	}
}

// refused takes ICMP's word that nobody listens at the other end. It need not
// stay so: only a client that is about to connect gives up.
func (c *Conn) refused() {
	if c.client.State() == Connecting {
		c.client.lost(fmt.Errorf("%w: nobody listens at %v", ErrNoAnswer, c.socket.RemoteAddr()), &c.out)
	}
}

func (c *Conn) tick() {
	c.drive(func(now clock.Time, out *Actions) error {
		c.client.Tick(now, out)
		return nil
	})
}

// read takes in datagrams until the socket is closed.
func (c *Conn) read() {
	defer close(c.closed)
	buf := make([]byte, 1<<16)
	for {
		n, err := c.socket.Read(buf)
		over := err != nil && !errors.Is(err, syscall.ECONNREFUSED)
		c.drive(func(now clock.Time, out *Actions) error {
			switch {
			case over:
				c.closing = true
				c.client.lost(err, out)
				out.Gone = err // also when there was no connection yet
			case err != nil:
				c.refused()
			default:
				c.trace(false, buf[:n])
				c.receive(now, buf[:n], out)
			}
			return nil
		})
		if over {
			break
		}
	}
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
}

// receive hands a datagram to the client, unless it is no packet, or a message
// that there is no room for.
func (c *Conn) receive(now clock.Time, b []byte, out *Actions) {
	p, err := c.decoder.Decode(c.client.version, b)
	if err != nil || p.Type() == mqttsn.TypePublish && len(c.mail) == cap(c.mail) {
		return
	}
	c.client.Handle(now, p, out)
}
