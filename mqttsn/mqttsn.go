// Package mqttsn encodes and decodes MQTT-SN packets.
//
// [Decode] turns a datagram into a typed [Packet] and [Append] turns one back
// into octets. What the two versions of the protocol share is in packets.go;
// how version 1.2 lays it out is in v12.go and its sisters, and another version
// is other such files beside them.
//
// The package imports only the standard library and touches no clock, network
// or lock.
package mqttsn

import (
	"errors"
	"fmt"
)

// A Version is a protocol version. The zero Version is not valid.
type Version uint8

// V12 is MQTT-SN 1.2 (IBM, 14 November 2013).
const V12 Version = 1

func (v Version) String() string {
	if v == V12 {
		return "1.2"
	}
	return fmt.Sprintf("Version(%d)", uint8(v))
}

// A Type names a packet. Its value is ours: the octet on the wire differs
// between versions and never leaves this package.
type Type uint8

const (
	_ Type = iota
	TypeAdvertise
	TypeSearchgw
	TypeGwinfo
	TypeConnect
	TypeConnack
	TypeWilltopicreq
	TypeWilltopic
	TypeWillmsgreq
	TypeWillmsg
	TypeRegister
	TypeRegack
	TypePublish
	TypePuback
	TypePubrec
	TypePubrel
	TypePubcomp
	TypeSubscribe
	TypeSuback
	TypeUnsubscribe
	TypeUnsuback
	TypePingreq
	TypePingresp
	TypeDisconnect
	TypeWilltopicupd
	TypeWillmsgupd
	TypeWilltopicresp
	TypeWillmsgresp
	NumTypes // one more than the last Type, to size a table
)

var typeNames = [NumTypes]string{
	TypeAdvertise: "ADVERTISE", TypeSearchgw: "SEARCHGW", TypeGwinfo: "GWINFO",
	TypeConnect: "CONNECT", TypeConnack: "CONNACK",
	TypeWilltopicreq: "WILLTOPICREQ", TypeWilltopic: "WILLTOPIC",
	TypeWillmsgreq: "WILLMSGREQ", TypeWillmsg: "WILLMSG",
	TypeRegister: "REGISTER", TypeRegack: "REGACK",
	TypePublish: "PUBLISH", TypePuback: "PUBACK",
	TypePubrec: "PUBREC", TypePubrel: "PUBREL", TypePubcomp: "PUBCOMP",
	TypeSubscribe: "SUBSCRIBE", TypeSuback: "SUBACK",
	TypeUnsubscribe: "UNSUBSCRIBE", TypeUnsuback: "UNSUBACK",
	TypePingreq: "PINGREQ", TypePingresp: "PINGRESP", TypeDisconnect: "DISCONNECT",
	TypeWilltopicupd: "WILLTOPICUPD", TypeWillmsgupd: "WILLMSGUPD",
	TypeWilltopicresp: "WILLTOPICRESP", TypeWillmsgresp: "WILLMSGRESP",
}

func (t Type) String() string {
	if t < NumTypes && typeNames[t] != "" {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// A QoS is a quality of service, -1 to 2.
type QoS int8

// QoSMinusOne publishes without a connection, 1.2 §6.8.
const QoSMinusOne QoS = -1

// A Reason says how a request went, in the octet of the wire. 1.2 §5.3.10
// calls it ReturnCode. A code that is not listed here is a refusal.
type Reason uint8

// The return codes of 1.2 §5.3.10.
const (
	Accepted       Reason = 0x00
	Congestion     Reason = 0x01
	InvalidTopicID Reason = 0x02
	NotSupported   Reason = 0x03
)

func (r Reason) String() string {
	names := [...]string{"accepted", "congestion", "invalid topic id", "not supported"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("reason 0x%02x", uint8(r))
}

// A TopicKind says how a packet names its topic.
type TopicKind uint8

const (
	TopicNormal     TopicKind = iota // an id that the gateway assigned to this client
	TopicPredefined                  // an id that both sides were configured with
	TopicShort                       // a name of two octets, in place of an id
	TopicName                        // a name or filter in full
	TopicReserved                    // 0b11 in 1.2: read, so that it can be refused, but never written
)

// A Topic is a topic as a packet spells it. Exactly one of ID and Name is
// used: Name for TopicName, and ID for all others, where a short name is its
// two octets, the first one high.
type Topic struct {
	Kind TopicKind
	ID   uint16
	Name []byte
}

// Kinds of malformed packet. Test for them with errors.Is.
var (
	ErrTruncated = errors.New("truncated")
	ErrLength    = errors.New("length field disagrees with datagram")
	ErrReserved  = errors.New("reserved bits set")
	ErrValue     = errors.New("value not allowed")
	ErrType      = errors.New("unknown packet type")
	ErrVersion   = errors.New("packet does not exist in this version")
)

// A PacketError reports octets that are not a packet of Version, or a packet
// that cannot be written in Version.
type PacketError struct {
	Version Version
	Type    Type   // zero if the type octet itself was unreadable
	Field   string // the specification's name, such as "TopicIdType"
	Err     error  // one of ErrTruncated, ErrLength, …
}

func (e *PacketError) Error() string {
	s := "mqttsn " + e.Version.String()
	if e.Type != 0 {
		s += " " + e.Type.String()
	}
	if e.Field != "" {
		s += " " + e.Field
	}
	return s + ": " + e.Err.Error()
}

func (e *PacketError) Unwrap() error { return e.Err }
