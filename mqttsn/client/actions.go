package client

import "dormouse/mqttsn"

// Actions is what a call asks of its caller. The caller owns it and reuses it
// after Reset; in the steady state nothing in it allocates.
type Actions struct {
	Messages []Message // received; valid as long as the datagram they came in
	Ended    Outcome   // the request that came to its end
	Gone     error     // not nil: the virtual connection has ended, unasked for
	Stray    int       // packets dropped because they had no business to come

	arena []byte // the datagrams, one after another
	ends  []int  // where each of them ends in arena
}

// Datagrams yields the datagrams for the gateway, in order. They are valid
// until Reset.
func (a *Actions) Datagrams(yield func([]byte) bool) {
	start := 0
	for _, end := range a.ends {
		if !yield(a.arena[start:end:end]) {
			return
		}
		start = end
	}
}

// Reset empties a, keeping its memory.
func (a *Actions) Reset() {
	clear(a.Messages)
	*a = Actions{Messages: a.Messages[:0], arena: a.arena[:0], ends: a.ends[:0]}
}

// A Message is an application message.
type Message struct {
	// Topic is how the topic is spelled: sent as it is, except that a name of
	// kind mqttsn.TopicName is registered first where need be. A message that
	// is received under an id we know the name of has the name.
	Topic   mqttsn.Topic
	Payload []byte
	QoS     mqttsn.QoS
	Retain  bool
	DUP     bool // received: it may have come before
}

// A Request is what a client was asked to do.
type Request uint8

const (
	_ Request = iota
	ToConnect
	ToRegister
	ToPublish
	ToSubscribe
	ToUnsubscribe
	ToUpdateWill
	ToSleep
	ToWake
	ToDisconnect
)

func (r Request) String() string {
	return [...]string{"none", "connect", "register", "publish", "subscribe", "unsubscribe",
		"update will", "sleep", "wake", "disconnect"}[r]
}

// An Outcome is how a Request ended. The zero Outcome is of no request.
type Outcome struct {
	Request Request
	Err     error        // nil if it was carried out
	QoS     mqttsn.QoS   // ToSubscribe: granted
	Topic   mqttsn.Topic // ToRegister: the topic id, for this virtual connection
}
