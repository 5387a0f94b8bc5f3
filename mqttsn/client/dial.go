package client

import (
	"context"
	"errors"
	"net"
	"time"

	"dormouse/mqttsn"
)

// A Dialer opens Conns. Start from [DefaultDialer].
type Dialer struct {
	Config Config

	// Version is what to speak. Default mqttsn.V12.
	Version mqttsn.Version

	// Inbox is how many messages may wait to be Received. Any more are treated
	// as if the network had lost them: from QoS 1 on they are sent again.
	// At least 1; default 256.
	Inbox int

	// Trace is shown every datagram that is sent or received, also those that
	// make no sense. It must not keep it, nor call the Conn. Default nil.
	Trace func(sent bool, datagram []byte)

	// Open opens the socket for the gateway at address, such as one that secures
	// datagrams. Each Write is one, and each Read. Nil: plain UDP. Default nil.
	Open func(ctx context.Context, address string) (net.Conn, error)

	// Reconnect has a Conn that has lost its connection connect again, by
	// itself and until it succeeds, after waits that it says. Nil: a Conn
	// stays without until Connect is called. Default nil.
	Reconnect *Backoff

	// Changed is told, where Reconnect is set, why a connection has been
	// lost, and nil when it is back; and that a subscription could not be made
	// again. It must not call the Conn. Default nil.
	Changed func(err error)
}

// DefaultDialer returns the defaults.
func DefaultDialer() Dialer {
	return Dialer{Config: DefaultConfig(), Version: mqttsn.V12, Inbox: 256}
}

// Dial opens a socket for the gateway at address, such as "127.0.0.1:1884",
// with the defaults. Nothing is sent yet.
func Dial(ctx context.Context, address string) (*Conn, error) {
	return DefaultDialer().Dial(ctx, address)
}

// Dial opens a socket for the gateway at address. Nothing is sent yet.
func (d Dialer) Dial(ctx context.Context, address string) (*Conn, error) {
	err := d.Config.Validate()
	if d.Reconnect != nil {
		err = errors.Join(err, d.Reconnect.Validate())
	}
	if err != nil {
		return nil, err
	}
	if d.Open == nil {
		d.Open = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", address)
		}
	}
	socket, err := d.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	if d.Trace == nil {
		d.Trace = func(bool, []byte) {}
	}
	if d.Changed == nil {
		d.Changed = func(error) {}
	}
	c := &Conn{
		socket:  socket,
		trace:   d.Trace,
		backoff: d.Reconnect,
		changed: d.Changed,
		turn:    make(chan struct{}, 1),
		ended:   make(chan Outcome, 1),
		mail:    make(chan Message, max(1, d.Inbox)),
		closed:  make(chan struct{}),
		broken:  make(chan struct{}),
		client:  New(d.Version, &d.Config),
	}
	c.mu.Lock() // the timer may run before it is in its place
	c.timer = time.AfterFunc(0, c.tick)
	c.mu.Unlock()
	go c.read()
	return c, nil
}
