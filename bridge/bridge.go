// Package bridge is the sensors' edge of the broker: it implements the port of
// mqttsn/session on core, and nothing more. To core a sensor is a client like
// any other, of edge "mqttsn".
package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// Config configures a Bridge.
type Config struct {
	// SessionExpiry is how long a session with CleanSession=0 outlives its
	// connection: MQTT-SN 1.2 has no word for it. 1 min to 8760 h; default 24 h.
	SessionExpiry time.Duration
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{SessionExpiry: 24 * time.Hour} }

// Validate reports what is wrong with c.
func (c *Config) Validate() error {
	if e := c.SessionExpiry; e < time.Minute || e > 8760*time.Hour {
		return fmt.Errorf("mqttsn.session_expiry is %v; it must be 1m to 8760h", e)
	}
	return nil
}

// A Bridge is a [session.Broker] on core.
type Bridge struct {
	core *core.Broker
	cfg  Config
}

var _ session.Broker = (*Bridge)(nil)

// New returns a bridge to b.
func New(b *core.Broker, c Config) *Bridge { return &Bridge{b, c} }

func identity(c session.Client) core.Identity {
	return core.Identity{ClientID: c.ID, User: c.User, Edge: "mqttsn", Listener: c.Listener, Remote: c.Remote}
}

// Open attaches the client.
func (b *Bridge) Open(c session.Client, r *session.Request, seat session.Seat) session.Link {
	l := &link{seat: seat}
	o := core.SessionOptions{
		CleanStart: r.CleanSession,
		Will:       will(r.Will),
		Sensor:     true,
		DeleteWill: !r.KeepWill,
		Saves:      !r.CleanSession,
	}
	if !r.CleanSession {
		o.Expiry = b.cfg.SessionExpiry
	}
	tag := r.Tag
	b.core.Open(identity(c), o, sink{seat}, func(s *core.Session, present bool, err error) {
		a := session.Answer{Kind: session.AskOpen, Tag: tag, Result: result(err), Present: present}
		if err == nil {
			a.State, a.Will = s.EdgeState(), willOf(s.Will())
		}
		l.opened(s, a)
	})
	return l
}

// Kept yields the clients that were attached when the process before ended.
func (b *Bridge) Kept(yield func(session.Kept) bool) {
	for l := range b.core.Left {
		if !yield(session.Kept{ClientID: l.ClientID, State: l.EdgeState, Will: willOf(l.Will)}) {
			return
		}
	}
}

// Resume attaches one of them again.
func (b *Bridge) Resume(c session.Client, seat session.Seat) (session.Link, bool) {
	o := core.SessionOptions{Sensor: true, Expiry: b.cfg.SessionExpiry}
	s := b.core.Resume(identity(c), o, sink{seat})
	return &link{seat: seat, session: s}, s != nil
}

// Knows reports whether the client has a session.
func (b *Bridge) Knows(clientID string) bool { return b.core.Knows(clientID) }

// Publish passes on a message of a sender without a session.
func (b *Bridge) Publish(c session.Client, r *session.Request) {
	b.core.Publish(identity(c), message(r), func(error) {})
}

// A sink is a seat as core knows it. Two of one seat are equal, so that a
// client that connects again from where it is does not get itself kicked.
type sink struct{ seat session.Seat }

func (s sink) Mail() { s.seat.Mail() }

func (s sink) Kick(why core.KickReason) { s.seat.Kick(reasons[why]) }

var reasons = [...]session.Reason{
	core.TakenOver:    session.TakenOver,
	core.Kicked:       session.Kicked,
	core.ShuttingDown: session.ShuttingDown,
}

func message(r *session.Request) core.Message {
	return core.Message{
		Topic:   r.Topic,
		Payload: bytes.Clone(r.Payload),
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
		Payload: bytes.Clone(w.Payload),
		QoS:     core.QoS(w.QoS),
		Retain:  w.Retain,
	}}
}

func willOf(w *core.Will) *session.Will {
	if w == nil {
		return nil
	}
	return &session.Will{Topic: w.Topic, Payload: w.Payload, QoS: mqttsn.QoS(w.QoS), Retain: w.Retain}
}

// result says in the session's words how a request went. A client that another
// connection has taken over is about to hear of it: until then it may ask again.
// If the store has failed, or we stop, nobody knows what holds, and nothing is
// said.
func result(err error) session.Result {
	switch {
	case err == nil:
		return session.Done
	case errors.Is(err, core.ErrNotAuthorized):
		return session.NotAuthorized
	case errors.Is(err, core.ErrInvalidTopic), errors.Is(err, core.ErrUnsupported), errors.Is(err, core.ErrClientID):
		return session.Refused
	case errors.Is(err, core.ErrQuota), errors.Is(err, core.ErrBusy), errors.Is(err, core.ErrFull), errors.Is(err, core.ErrDetached):
		return session.Busy
	}
	return session.Failed
}
