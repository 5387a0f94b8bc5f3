package store

import "time"

// This file is the vocabulary that core shares with its store. Package core
// gives the same types under its own name.

// A QoS is a quality of service, 0 to 2.
type QoS uint8

// A Message is an application message. It is shared by all who receive it and
// does not change once published.
type Message struct {
	Topic     string
	Payload   []byte
	QoS       QoS
	Retain    bool
	Publisher string    // client id; empty for the broker itself
	Expires   time.Time // zero: never
	Taken     int64     // when core took it, in seconds since 1970; zero: not known

	// Properties are those of MQTT 5 that travel with the message, or nil.
	Properties *Properties
}

// Properties travel with a message from an MQTT 5 publisher to MQTT 5
// subscribers unchanged (MQTT 5 §3.3.2.3).
type Properties struct {
	PayloadFormat   *byte
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            []UserProperty
}

// userSize is the octets of memory that a property of the user takes before
// it says anything.
const userSize = 32

// Size is the octets that bounds on memory count for p's strings and data.
// Those of nil are none.
func (p *Properties) Size() int {
	if p == nil {
		return 0
	}
	n := len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, u := range p.User {
		n += userSize + len(u.Key) + len(u.Value)
	}
	return n
}

// A UserProperty is a name and a value; both may repeat.
type UserProperty struct{ Key, Value string }

// A Will is published when a client is lost.
type Will struct {
	Message
	Delay    time.Duration // MQTT 5 §3.1.3.2.2
	Lifetime time.Duration // from then on, MQTT 5 §3.1.3.2.4; zero: for ever
}

// A Subscription is one filter of a session.
type Subscription struct {
	Filter            string
	QoS               QoS
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    uint8 // 0: send retained; 1: only if new; 2: never
	ID                uint32
}
