package client

import "dormouse/mqttsn"

// Actions is what a call asks of its caller. The caller owns it and reuses it
// after Reset, for one client or, one after another, for any number of them;
// in the steady state nothing in it allocates.
type Actions struct {
	Messages []Message // received; valid as long as the datagram they came in
	Ended    Outcome   // the request that came to its end
	Gone     error     // not nil: the virtual connection has ended, unasked for
	Stray    int       // packets dropped because they had no business to come
	Repeats  int       // packets that, as far as the client knows, had come before: the gateway missed the answer

	arena   []byte     // the datagrams, one after another
	ends    []sentTill // where each of them ends in arena
	spare   []*exchange
	answers answers
}

// A Sending says what a datagram is.
type Sending struct {
	Type   mqttsn.Type
	Again  bool  // the same packet went before: it was not answered, or the other side missed it
	Radius uint8 // of a Finder's: how many hops it is to be broadcast, 0 for all there are
}

type sentTill struct {
	end int
	Sending
}

// answers are packets that are sent at once and need not be kept.
type answers struct {
	puback  mqttsn.Puback
	pubrec  mqttsn.Pubrec
	pubcomp mqttsn.Pubcomp
	regack  mqttsn.Regack
	pingreq mqttsn.Pingreq
}

// Datagrams yields the datagrams for the gateway, in order. They are valid
// until Reset.
func (a *Actions) Datagrams(yield func([]byte) bool) {
	a.Sent(func(b []byte, _ Sending) bool { return yield(b) })
}

// Sent yields the datagrams as Datagrams does, and what each of them is, for
// who counts what its radio sends.
func (a *Actions) Sent(yield func([]byte, Sending) bool) {
	start := 0
	for _, s := range a.ends {
		if !yield(a.arena[start:s.end:s.end], s.Sending) {
			return
		}
		start = s.end
	}
}

// Reset empties a, keeping its memory.
func (a *Actions) Reset() {
	clear(a.Messages)
	a.Messages, a.arena, a.ends = a.Messages[:0], a.arena[:0], a.ends[:0]
	a.Ended, a.Gone, a.Stray, a.Repeats = Outcome{}, nil, 0, 0
}

// send appends the datagram for p.
func (a *Actions) send(v mqttsn.Version, p mqttsn.Packet, again bool) error {
	b, err := mqttsn.Append(a.arena, v, p)
	if err != nil {
		return err
	}
	a.arena = b
	a.ends = append(a.ends, sentTill{len(b), Sending{Type: p.Type(), Again: again}})
	return nil
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
