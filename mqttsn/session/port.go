package session

import "dormouse/mqttsn"

// This file is the port: what sessions ask of the broker behind them, and how
// it answers. mqttsn/gateway carries requests and answers to and fro; bridge
// implements the port on core; tests implement it in a few lines.

// A Broker attaches clients. No method blocks.
type Broker interface {
	// Open carries out r, whose Kind is AskOpen, for the client that sits on
	// seat, and gives it a Link. The Link is usable at once; requests made of
	// it before the Open is answered are carried out after it. Opening a seat
	// again replaces its Link without kicking the seat.
	Open(c Client, r *Request, seat Seat) Link

	// Kept yields the clients that had a virtual connection when the process
	// before this one ended, and have none since, in the order of their ids.
	Kept(yield func(Kept) bool)

	// Resume gives one of them its Link again, as if nothing had happened: what
	// is in flight comes first, marked DUP. Nothing is answered and nothing is
	// stored. False means that the client has connected elsewhere meanwhile.
	Resume(c Client, seat Seat) (Link, bool)

	// Knows reports whether there is a session of that client id, connected or
	// not.
	Knows(clientID string) bool

	// Publish carries out r, whose Kind is AskPublish, for a sender without a
	// session: QoS -1 (1.2 §6.8). There is no answer.
	Publish(c Client, r *Request)
}

// A Client is who a request is for, as access rules and logs name it.
type Client struct {
	ID       string // empty without a session
	User     string // whom the peer has proved to be; empty: nobody
	Listener string // the listener's configured name
	Remote   string // the peer's address, and its node id behind a forwarder
}

// Kept is what the broker has of a client that was there before a restart.
type Kept struct {
	ClientID string
	State    []byte // what AskSave last stored
	Will     *Will
}

// A Link is one client's attachment to the broker. Only the shard that holds
// the client's session calls it. No method blocks.
type Link interface {
	// Ask carries out r. Kinds that have an answer answer once, through
	// Seat.Answer. r and what it points at are valid only during the call.
	Ask(r *Request)

	// Next takes the next message for the client out of its queue, in order.
	// False means there is none now; from then on the seat is told once, by
	// Seat.Mail, when there is. A message with an ID counts as in flight until
	// AskAck; those in flight when a client is opened again come first, under
	// the same ID, marked DUP.
	Next() (Delivery, bool)

	// Coming reports whether there is a message all the same, when Next has
	// none: it may be had as soon as something is stored, and Seat.Mail says
	// so. A client that is awake stays awake for it.
	Coming() bool
}

// A Seat is where the broker finds one client's session again. Its methods may
// be called from any goroutine, also before the call that caused them
// returns; they never block and never call back into the broker.
type Seat interface {
	Answer(Answer)
	Mail()
	Kick(Reason) // another connection has taken the client id, or an operator wants it gone
}

// A RequestKind says what a Request asks.
type RequestKind uint8

const (
	AskOpen        RequestKind = iota + 1 // CleanSession, Will, KeepWill. Answered, but a kept session is stored only once the AskSave that follows is answered; if it is refused, the seat holds nothing
	AskPublish                            // Topic, Payload, QoS, Retain; ID at QoS 2. Answered at QoS 1 and 2. An ID not yet released is answered again, not published
	AskRelease                            // ID of the PUBREL. Answered, also if the ID is unknown
	AskSubscribe                          // Topic (a filter), QoS. Answered
	AskUnsubscribe                        // Topic (a filter). Answered
	AskAck                                // ID of a Delivery: PUBACK or PUBCOMP has come
	AskReceived                           // ID of a Delivery: PUBREC has come, the payload may go. Answered
	AskSetWill                            // Will, or nil to delete it. Answered
	AskSave                               // State, to be handed back by a later AskOpen. Answered
	AskDetach                             // Ending. Answered; the Link is of no use after it
)

// A Request asks something of the broker. Which fields count depends on Kind.
// Slices may alias the datagram: the broker copies what it keeps.
type Request struct {
	Kind RequestKind
	Tag  uint32 // the session's own mark, given back in the Answer

	CleanSession bool
	KeepWill     bool // arm the will that the session kept, 1.2 §6.3
	Will         *Will

	ID      uint16
	Topic   string
	Payload []byte
	QoS     mqttsn.QoS
	Retain  bool

	State  []byte
	Ending Ending
}

// A Will is published for a client that is lost.
type Will struct {
	Topic   string
	Payload []byte
	QoS     mqttsn.QoS
	Retain  bool
}

// An Ending says how a client's connection ended.
type Ending uint8

const (
	Clean    Ending = iota + 1 // the client said so: no will
	Lost                       // it fell silent or stopped answering: its will is published
	Shutdown                   // the gateway stops: a kept session stays as it is, and no will
)

// An Answer is what came of a Request.
type Answer struct {
	Kind   RequestKind
	Tag    uint32
	Result Result
	QoS    mqttsn.QoS // AskSubscribe: granted

	// AskOpen: whether the session existed, what AskSave last stored in it,
	// and its will as it stands (nil: none).
	Present bool
	State   []byte
	Will    *Will
}

// A Result says whether a Request was carried out.
type Result uint8

const (
	Done          Result = iota // carried out, and as durable as the configuration promises
	NotAuthorized               // an access rule forbids it
	Refused                     // malformed or unsupported; asking again is no use
	Busy                        // a bound is reached or the store is full; later may do
	Failed                      // it cannot be known: the client is told nothing, and asks again
)

// A Delivery is one message for the client.
type Delivery struct {
	ID       uint16 // MsgId at QoS 1 and 2, of the server's own space; zero at QoS 0
	Topic    string
	Payload  []byte // shared with other receivers: not to be changed
	QoS      mqttsn.QoS
	Retain   bool
	DUP      bool // it may have been sent before
	Released bool // PUBREC came before: only the PUBREL is owed
}

// A Reason says why a virtual connection ended.
type Reason uint8

const (
	_ Reason = iota
	ByClient
	KeepAliveTimeout
	SleepTimeout
	RetryTimeout
	DialogueTimeout
	TakenOver
	Kicked
	ShuttingDown
	OpenRefused
)

func (r Reason) String() string {
	return [...]string{"none", "by client", "keep-alive timeout", "sleep timeout",
		"retry timeout", "will dialogue timeout", "taken over", "kicked",
		"shutting down", "refused"}[r]
}
