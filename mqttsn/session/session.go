package session

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// Config is shared, read-only, by every session of a listener.
type Config struct{}

// Actions is what a call asks of its caller, in order: first Ask, then Send.
type Actions struct {
	Ask  []Request // to the broker
	Gone Reason    // not zero: the session is over and may be forgotten
}

// Datagrams yields the datagrams for the peer, in order. They are valid until Reset.
func (a *Actions) Datagrams(yield func([]byte) bool) { panic("stub") }

// Reset empties a, keeping its memory.
func (a *Actions) Reset() { panic("stub") }

// A Session is one client's virtual connection. Use [New].
type Session struct{}

// New returns a session for a peer that speaks v and has not connected yet.
func New(v mqttsn.Version, cfg *Config) *Session { panic("stub") }

// Handle takes in a packet from the peer.
func (s *Session) Handle(now clock.Time, p mqttsn.Packet, out *Actions) { panic("stub") }

// Complete takes in the broker's answer to a Request.
func (s *Session) Complete(now clock.Time, a Answer, out *Actions) { panic("stub") }

// Ready reports whether the session can take a Delivery now.
func (s *Session) Ready() bool { panic("stub") }

// Deliver takes in a message for the client, whenever it comes: a session
// that is no longer Ready keeps it until it is.
func (s *Session) Deliver(now clock.Time, d Delivery, out *Actions) { panic("stub") }

// Drained says that Link.Next had nothing for a session that was Ready: an
// awake client may be sent back to sleep.
func (s *Session) Drained(now clock.Time, out *Actions) { panic("stub") }

// Tick runs whatever timers have expired. A call too early does nothing.
func (s *Session) Tick(now clock.Time, out *Actions) { panic("stub") }

// Deadline returns when Tick is next wanted, or zero for never. It may change
// with every call.
func (s *Session) Deadline() clock.Time { panic("stub") }

// End ends the virtual connection from our side: taken over, kicked, or
// shutting down.
func (s *Session) End(now clock.Time, why Reason, out *Actions) { panic("stub") }
