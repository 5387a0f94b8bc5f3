package session

// An Event is something that a counter should know about. The set is closed,
// so that its names may label a metric.
type Event uint8

const (
	Retransmission   Event = iota // a packet was sent again
	DuplicatePublish              // a PUBLISH of the client was a repeat and went no further
	OutOfState                    // a packet came in a state in which it means nothing
	UnknownAck                    // an acknowledgement of nothing that is outstanding
	UnknownTopic                  // a PUBLISH or SUBSCRIBE named an id that stands for nothing
	BadTopic                      // a topic name or filter that may not be used
	Congested                     // a request was answered "congestion": a bound or rate is reached
	Crowded                       // a request was ignored: too many of this client wait for the broker
	Oversize                      // a message was dropped: too long for the client
	NameRefused                   // a message was dropped: the client refuses its topic name
	Unregistered                  // a message was dropped: the client never answers REGISTER
	NoTopicID                     // a message was dropped: the client's topic ids are used up
	Rejected                      // the client answered a message with an error
	Misdelivered                  // a Deliver came while another message was under way
	BadState                      // the stored state could not be read and was discarded
	NumEvents                     // one more than the last Event, to size a table
)

func (e Event) String() string {
	return [...]string{"retransmission", "duplicate publish", "out of state", "unknown ack",
		"unknown topic", "bad topic", "congested", "crowded", "oversize", "name refused",
		"unregistered", "no topic id", "rejected", "misdelivered", "bad state"}[e]
}
