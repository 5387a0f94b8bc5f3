// Package core is the broker: sessions, subscriptions, ordered queues, QoS
// windows, retained messages and wills, for clients of every edge alike.
package core

import "time"

// A Broker is one broker. Its edges attach clients to it.
type Broker struct{}

// New returns a broker.
func New(o Options) *Broker { panic("stub") }

// Open attaches s to the session of id.ClientID, created or resumed as o says,
// and kicks any other Sink of that client id, whichever edge it is on. done
// gets the Session, whether one was there before, and nil, or an error.
func (b *Broker) Open(id Identity, o SessionOptions, s Sink, done func(s *Session, present bool, err error)) {
	panic("stub")
}

// Publish takes responsibility for m from a sender without a session.
func (b *Broker) Publish(from Identity, m Message, done func(error)) { panic("stub") }

// Tick does what is due at now: expires sessions and messages, publishes
// delayed wills.
func (b *Broker) Tick(now time.Time) { panic("stub") }

// A Session is one client's attachment to its session. After a Kick or Detach
// its calls change nothing and answer ErrDetached.
type Session struct{}

// Publish takes responsibility for m. At QoS 2, id is the packet identifier:
// while it has not been released, another Publish with it is answered without
// being published again. done runs once m and its receivers are as durable as
// the configuration promises.
func (s *Session) Publish(m Message, id uint16, done func(error)) { panic("stub") }

// Release forgets the identifier of a QoS 2 Publish: PUBREL has come. An
// unknown id is no error.
func (s *Session) Release(id uint16, done func(error)) { panic("stub") }

// Subscribe adds or replaces a subscription. Retained messages follow through
// the queue.
func (s *Session) Subscribe(sub Subscription, done func(granted QoS, err error)) { panic("stub") }

// Unsubscribe removes a subscription.
func (s *Session) Unsubscribe(filter string, done func(existed bool, err error)) { panic("stub") }

// Next takes the next message out of the queue, in order. False means there is
// none now and arms Sink.Mail. At QoS 1 and 2 it stays in flight until Ack.
func (s *Session) Next() (Delivery, bool) { panic("stub") }

// Ack ends the exchange of a Delivery: PUBACK or PUBCOMP has come.
func (s *Session) Ack(id uint16) { panic("stub") }

// Received notes that PUBREC has come: the payload may go, the id stays.
func (s *Session) Received(id uint16) { panic("stub") }

// Will returns the session's will, or nil.
func (s *Session) Will() *Will { panic("stub") }

// SetWill replaces the will, or deletes it if w is nil.
func (s *Session) SetWill(w *Will, done func(error)) { panic("stub") }

// EdgeState returns what SaveEdge last stored.
func (s *Session) EdgeState() []byte { panic("stub") }

// SaveEdge stores state, opaque to core, with the session.
func (s *Session) SaveEdge(state []byte, done func(error)) { panic("stub") }

// SetExpiry changes how long the session outlives its connection.
func (s *Session) SetExpiry(d time.Duration) { panic("stub") }

// Detach ends the attachment. The will follows from how.
func (s *Session) Detach(how Ending, done func(error)) { panic("stub") }
