package core

import (
	"time"

	"dormouse/core/store"
)

// This file is the port that core's edges speak: core/mqtt and bridge. An
// edge opens a Session for each client, asks, and pulls messages; core tells
// it through a Sink when there is mail and when it must let go.
//
// Three rules hold for every call:
//
//   - No call blocks. What promises something durable answers by done, which
//     may run before the call returns or later on another goroutine, and must
//     itself neither block nor call back into core; that of Open may read the
//     Session's Will and EdgeState.
//   - For one caller, done functions run in the order of the calls; but a
//     Publish of QoS 0 that is refused is answered at once.
//   - done of a Publish or Subscribe runs before any message that it causes can
//     be had from Next: an acknowledgement can always be sent ahead of an echo.

// The vocabulary that core shares with its store.
type (
	QoS          = store.QoS
	Message      = store.Message
	Properties   = store.Properties
	UserProperty = store.UserProperty
	Will         = store.Will
	Subscription = store.Subscription
)

// An Identity is who asks, as access rules, logs and NoLocal see it.
type Identity struct {
	ClientID string
	User     string // whom a provider knows it to be; empty: nobody knows
	Roles    string // that came with the name, separated by blanks
	Edge     string // "mqtt" or "mqttsn"
	Listener string // the listener's configured name
	Remote   string // network address of the peer
}

// SessionOptions say how a session is opened.
type SessionOptions struct {
	// CleanStart discards what was there, will included.
	CleanStart bool

	// Expiry is how long the session outlives its connection. Zero: not at
	// all. Forever: without end.
	Expiry time.Duration

	// Sensor has it the way of MQTT-SN 1.2. §6.3: a nil Will leaves the stored
	// one armed, and the will stays in a kept session after the connection's
	// end, whichever way it ended. §6.14: CONNECT from a client that is
	// connected, or asleep, ends nothing, so that also a session without Expiry
	// is taken up while it is attached to a Sensor.
	Sensor bool

	// Prompt says that the edge takes messages as they come: if more wait than
	// Options.Queue has room for, that may be for want of a processor, and is no
	// reason yet to drop any.
	Prompt bool

	// Will replaces the session's will; nil deletes it, except for a Sensor.
	Will *Will

	// DeleteWill has a nil Will of a Sensor delete the stored one: the client said
	// that it wants none.
	DeleteWill bool

	// Saves says that SaveEdge follows, and that the client is told nothing
	// before that is answered: one write then does for both, and Open is
	// answered before it is durable.
	Saves bool
}

// Forever is an Expiry without end.
const Forever time.Duration = 1<<63 - 1

// A Sink is what an edge gives core for one attached client. Its methods may
// be called from any goroutine, also before the call that caused them
// returns; they never block and never call back into core.
type Sink interface {
	// Mail says that Next has something again. It is called once after each
	// time that Next returned false, and once after Open if there is mail.
	Mail()

	// Kick says that the attachment is over and why; Detach is not needed.
	Kick(KickReason)
}

// A KickReason says why core ended an attachment.
type KickReason uint8

const (
	TakenOver    KickReason = iota + 1 // another connection opened the client id
	Kicked                             // an operator's wish
	ShuttingDown                       // Broker.Close
)

// A Delivery is one message for one client.
type Delivery struct {
	*Message

	// ID is the packet identifier at QoS 1 and 2, unique among those in flight
	// to this session, the same when delivered again; zero at QoS 0.
	ID uint16

	QoS      QoS  // min(published, granted)
	Retain   bool // as the receiver is to see it
	DUP      bool // it was taken from Next before
	Released bool // PUBREC came already: only PUBREL is owed, and Message is nil

	SubscriptionIDs []uint32 // MQTT 5 §3.3.2.3.8
}

// An Ending says how an attachment ended.
type Ending uint8

const (
	Clean    Ending = iota + 1 // the client said so: no will
	Lost                       // anything else: the will is published
	Shutdown                   // we stop: nothing is published, a kept session stays
)
