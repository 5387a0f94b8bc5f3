package mqttsn

import "time"

// A Packet is one MQTT-SN packet, in terms that both versions share. Which
// versions have it, and how its octets lie, is the business of the version's
// own file (v12.go).
//
// The byte slices of a decoded packet alias the datagram: whoever keeps one
// copies it.
type Packet interface {
	Type() Type
}

type (
	// An Advertise announces a gateway to everybody, 1.2 §5.4.1.
	Advertise struct {
		GatewayID uint8
		Duration  time.Duration // until the next one; whole seconds, 0 s to 65535 s
	}

	// A Searchgw asks who is there, 1.2 §5.4.2.
	Searchgw struct {
		Radius uint8 // broadcast radius in hops; 0 reaches every node
	}

	// A Gwinfo answers a Searchgw, 1.2 §5.4.3.
	Gwinfo struct {
		GatewayID uint8
		Address   []byte // only when a client answers for a gateway; raw, see INTERPRETATION.md
	}

	// A Connect asks for a virtual connection, 1.2 §5.4.4.
	Connect struct {
		Will         bool // the will dialogue is to follow
		CleanSession bool
		ProtocolID   uint8         // 1 in version 1.2
		KeepAlive    time.Duration // whole seconds, 0 s to 65535 s; zero means no supervision
		ClientID     []byte
	}

	// A Connack answers a Connect, 1.2 §5.4.5.
	Connack struct{ Reason Reason }

	// A Willtopicreq asks for the will topic, 1.2 §5.4.6.
	Willtopicreq struct{}

	// A Willtopic carries the will topic, 1.2 §5.4.7. An empty Topic deletes
	// the stored will.
	Willtopic struct {
		QoS    QoS
		Retain bool
		Topic  []byte
	}

	// A Willmsgreq asks for the will message, 1.2 §5.4.8.
	Willmsgreq struct{}

	// A Willmsg carries the will message, 1.2 §5.4.9.
	Willmsg struct{ Payload []byte }

	// A Register tells the receiver which topic id stands for a name, or asks
	// the gateway for one, 1.2 §5.4.10.
	Register struct {
		TopicID uint16 // zero from a client
		ID      uint16
		Name    []byte
	}

	// A Regack answers a Register, 1.2 §5.4.11.
	Regack struct {
		TopicID uint16
		ID      uint16
		Reason  Reason
	}

	// A Publish carries an application message, 1.2 §5.4.12.
	Publish struct {
		DUP     bool
		QoS     QoS // QoSMinusOne only from a client without a connection
		Retain  bool
		Topic   Topic
		ID      uint16 // zero at QoS 0 and -1, by convention
		Payload []byte
	}

	// A Puback ends a QoS 1 exchange, or refuses a Publish of any QoS, 1.2 §5.4.13.
	Puback struct {
		TopicID uint16 // as in the Publish: for a short topic, its two octets
		ID      uint16
		Reason  Reason
	}

	// A Pubrec is the second packet of a QoS 2 exchange, 1.2 §5.4.14.
	Pubrec struct{ ID uint16 }
	// A Pubrel is the third packet of a QoS 2 exchange, 1.2 §5.4.14.
	Pubrel struct{ ID uint16 }
	// A Pubcomp ends a QoS 2 exchange, 1.2 §5.4.14.
	Pubcomp struct{ ID uint16 }

	// A Subscribe asks for messages, 1.2 §5.4.15. A Topic of kind TopicName
	// may hold wildcards. QoSMinusOne decodes, here and in the will, so that
	// it can be refused.
	Subscribe struct {
		DUP   bool
		QoS   QoS
		ID    uint16
		Topic Topic
	}

	// A Suback answers a Subscribe, 1.2 §5.4.16.
	Suback struct {
		QoS     QoS // granted
		TopicID uint16
		ID      uint16
		Reason  Reason
	}

	// An Unsubscribe takes a Subscribe back, 1.2 §5.4.17.
	Unsubscribe struct {
		ID    uint16
		Topic Topic
	}

	// An Unsuback answers an Unsubscribe, 1.2 §5.4.18.
	Unsuback struct{ ID uint16 }

	// A Pingreq asks whether the other side is alive, or says that a sleeping
	// client is awake, 1.2 §5.4.19.
	Pingreq struct {
		ClientID []byte // only from a sleeping client
	}

	// A Pingresp answers a Pingreq and ends a sleeping client's flush, 1.2 §5.4.20.
	Pingresp struct{}

	// A Disconnect ends a virtual connection; with a Duration it asks to
	// sleep, 1.2 §5.4.21.
	Disconnect struct {
		Duration time.Duration // whole seconds, 0 s to 65535 s; zero ends the connection
	}

	// A Willtopicupd replaces the stored will topic, 1.2 §5.4.22. An empty
	// Topic deletes the stored will.
	Willtopicupd struct {
		QoS    QoS
		Retain bool
		Topic  []byte
	}

	// A Willmsgupd replaces the stored will message, 1.2 §5.4.23.
	Willmsgupd struct{ Payload []byte }

	// A Willtopicresp answers a Willtopicupd, 1.2 §5.4.24.
	Willtopicresp struct{ Reason Reason }

	// A Willmsgresp answers a Willmsgupd, 1.2 §5.4.25.
	Willmsgresp struct{ Reason Reason }
)

func (*Advertise) Type() Type     { return TypeAdvertise }
func (*Searchgw) Type() Type      { return TypeSearchgw }
func (*Gwinfo) Type() Type        { return TypeGwinfo }
func (*Connect) Type() Type       { return TypeConnect }
func (*Connack) Type() Type       { return TypeConnack }
func (*Willtopicreq) Type() Type  { return TypeWilltopicreq }
func (*Willtopic) Type() Type     { return TypeWilltopic }
func (*Willmsgreq) Type() Type    { return TypeWillmsgreq }
func (*Willmsg) Type() Type       { return TypeWillmsg }
func (*Register) Type() Type      { return TypeRegister }
func (*Regack) Type() Type        { return TypeRegack }
func (*Publish) Type() Type       { return TypePublish }
func (*Puback) Type() Type        { return TypePuback }
func (*Pubrec) Type() Type        { return TypePubrec }
func (*Pubrel) Type() Type        { return TypePubrel }
func (*Pubcomp) Type() Type       { return TypePubcomp }
func (*Subscribe) Type() Type     { return TypeSubscribe }
func (*Suback) Type() Type        { return TypeSuback }
func (*Unsubscribe) Type() Type   { return TypeUnsubscribe }
func (*Unsuback) Type() Type      { return TypeUnsuback }
func (*Pingreq) Type() Type       { return TypePingreq }
func (*Pingresp) Type() Type      { return TypePingresp }
func (*Disconnect) Type() Type    { return TypeDisconnect }
func (*Willtopicupd) Type() Type  { return TypeWilltopicupd }
func (*Willmsgupd) Type() Type    { return TypeWillmsgupd }
func (*Willtopicresp) Type() Type { return TypeWilltopicresp }
func (*Willmsgresp) Type() Type   { return TypeWillmsgresp }
