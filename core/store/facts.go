package store

import (
	"iter"
	"time"
)

// A Fact is something that must be remembered. Its types are listed in this
// file; nothing else is a Fact.
type Fact interface{ fact() }

// Began: a broker has begun to work with what is kept. Its Run, counted from
// zero, is one more than that of the broker before.
type Began struct{ Run uint64 }

// Published: a message was taken, kept once for all its receivers. A retained
// message also becomes the retained message of its topic, or with an empty
// payload clears it.
type Published struct {
	Seq       uint64 // identifies the message, and orders it
	Message   *Message
	Receivers iter.Seq[Receiver]
	Author    string // whose it is, opaque; of a retained message as long as it is that
	Granted   bool   // as a will it was stored before: not to be refused for want of room
}

// Owed: the message Seq waits for one more session, which has it from another.
// That it is no longer that one's, by Dropped or Settled, follows in the same
// Write.
type Owed struct {
	Receiver
	Seq     uint64
	Message *Message // what Seq is: nothing may be known of it by now
}

// Noted: a transport keeps Value under Name, in place of what it kept there; nil
// is nothing any more. Names of several transports differ.
type Noted struct {
	Name    string
	Value   []byte
	Granted bool // what is stored there takes as much room: not to be refused for want of any
}

// A Receiver is a session in whose queue a message waits, and how it is to be
// delivered there. Under one Share, or none, a message waits once at most.
type Receiver struct {
	ClientID        string
	Share           string // filter of the shared subscription that it comes by; empty: of no one
	QoS             QoS
	Retain          bool
	SubscriptionIDs []uint32
}

// Accepted: a QoS 2 message came from a session under a packet identifier.
// Until it is Released, the same is not another message.
type Accepted struct {
	ClientID string
	ID       uint16
}

// Released: PUBREL came for what was Accepted.
type Released struct {
	ClientID string
	ID       uint16
}

// Taken: the message Seq is in flight to a session under a packet identifier.
// It need not have waited there: a retained message goes straight to Taken.
// If nothing is known of Seq by now, there is nothing to keep.
type Taken struct {
	Receiver
	Seq uint64
	ID  uint16
}

// Received: PUBREC came for a message in flight.
type Received struct {
	ClientID string
	ID       uint16
}

// Settled: a message in flight was acknowledged.
type Settled struct {
	ClientID string
	ID       uint16
}

// Dropped: the message Seq no longer waits for a session: it has expired, had
// to go when the queue overflowed, or is Owed to another.
type Dropped struct {
	ClientID string
	Share    string // as the Receiver has it
	Seq      uint64
}

// Unretained: the retained message of a topic expired.
type Unretained struct{ Topic string }

// Session: a session exists and this is all about it but its subscriptions
// and messages. One without Expiry is there for the will of its connection.
type Session struct {
	ClientID string
	User     string // whose it is; empty: anybody's who has no name
	Expiry   time.Duration
	Ends     time.Time // zero: not while attached, or never
	Will     *Will
	KeepWill bool      // the will outlives the connection
	WillDue  time.Time // when the will is to be published; zero: the client is not lost
	Author   string    // whose the will is, opaque
	Edge     string    // state of the edge, opaque
	Granted  bool      // what is stored of it takes as much room: not to be refused for want of any
}

// Ended: a session and all that belongs to it is gone.
type Ended struct{ ClientID string }

// Subscribed: a session has a subscription, in place of any of that filter.
type Subscribed struct {
	ClientID string
	Subscription
}

// Unsubscribed: a session no longer has a subscription.
type Unsubscribed struct{ ClientID, Filter string }

func (*Began) fact()        {}
func (*Noted) fact()        {}
func (*Published) fact()    {}
func (*Owed) fact()         {}
func (*Accepted) fact()     {}
func (*Released) fact()     {}
func (*Taken) fact()        {}
func (*Received) fact()     {}
func (*Settled) fact()      {}
func (*Dropped) fact()      {}
func (*Unretained) fact()   {}
func (*Session) fact()      {}
func (*Ended) fact()        {}
func (*Subscribed) fact()   {}
func (*Unsubscribed) fact() {}
