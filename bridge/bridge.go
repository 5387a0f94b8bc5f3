// Package bridge puts sensors on the broker: it implements the port of
// mqttsn/session on core, and nothing more. A sensor is a session of core like
// any other; what is its own (topic ids, sleep) core keeps for it unread.
package bridge

import (
	"slices"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// A Bridge is the sensors' edge of a core.Broker. It implements
// [session.Broker].
type Bridge struct {
	broker *core.Broker
	expiry time.Duration
}

// New returns a bridge to b. A session without CleanSession is kept for expiry
// after its connection has ended: 1.2 says nothing of how long.
func New(b *core.Broker, expiry time.Duration) *Bridge {
	return &Bridge{broker: b, expiry: expiry}
}

// identity is c as core knows it.
func identity(c session.Client) core.Identity {
	return core.Identity{ClientID: c.ID, Edge: "mqttsn", Listener: c.Listener, Remote: c.Remote}
}

// Open attaches the client that sits on seat. The will of a sensor belongs to
// its session and stays in it, 1.2 §6.3.
func (b *Bridge) Open(c session.Client, r *session.Request, seat session.Seat) session.Link {
	o := core.SessionOptions{
		CleanStart: r.CleanSession,
		Will:       will(r.Will),
		KeepWill:   true,
		DeleteWill: !r.KeepWill,
	}
	if !r.CleanSession {
		o.Expiry = b.expiry
	}
	l := &link{seat: seat}
	tag := r.Tag
	b.broker.Open(identity(c), o, sink{seat}, func(s *core.Session, present bool, err error) {
		a := session.Answer{Kind: session.AskOpen, Tag: tag, Result: result(err), Present: present}
		if err == nil {
			a.State = s.EdgeState()
			a.Will = unwill(s.Will())
		}
		l.opened(s)
		seat.Answer(a)
	})
	return l
}

// Publish takes a message of a sender without a session.
func (b *Bridge) Publish(c session.Client, r *session.Request) {
	b.broker.Publish(identity(c), message(r), func(error) {})
}

// A sink tells a seat what core tells a client. Two of the same seat are
// equal: a seat that opens again does not kick itself.
type sink struct{ session.Seat }

func (s sink) Kick(why core.KickReason) {
	s.Seat.Kick([...]session.Reason{
		core.TakenOver:    session.TakenOver,
		core.Kicked:       session.Kicked,
		core.ShuttingDown: session.ShuttingDown,
	}[why])
}

// message is what r publishes. It copies the payload, which lies in the
// datagram.
func message(r *session.Request) core.Message {
	return core.Message{
		Topic:   r.Topic,
		Payload: slices.Clone(r.Payload),
		QoS:     core.QoS(r.QoS),
		Retain:  r.Retain,
	}
}

func will(w *session.Will) *core.Will {
	if w == nil {
		return nil
	}
	return &core.Will{Message: core.Message{
		Topic:   w.Topic,
		Payload: slices.Clone(w.Payload),
		QoS:     core.QoS(w.QoS),
		Retain:  w.Retain,
	}}
}

func unwill(w *core.Will) *session.Will {
	if w == nil {
		return nil
	}
	return &session.Will{Topic: w.Topic, Payload: w.Payload, QoS: mqttsn.QoS(w.QoS), Retain: w.Retain}
}
