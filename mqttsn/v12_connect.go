package mqttsn

// This file lays out the packets that make, keep and end a virtual connection,
// and those of the will.

// decodeConnect12 reads the body of a CONNECT, 1.2 §5.4.4.
//
//	Flags(1: Will, CleanSession) ProtocolId(1) Duration(2) ClientId(n)
func decodeConnect12(r *reader, p *Connect) {
	f := r.uint8("Flags")
	p.Will = f&will12 != 0
	p.CleanSession = f&cleanSession12 != 0
	p.ProtocolID = r.uint8("ProtocolId")
	p.KeepAlive = r.seconds("Duration")
	p.ClientID = r.rest()
}

func appendConnect12(w writer, p *Connect) writer {
	w = flags12(w, 0, bit12(p.Will, will12), bit12(p.CleanSession, cleanSession12))
	return w.uint8(p.ProtocolID).seconds(p.KeepAlive, "Duration").octets(p.ClientID)
}

// decodeConnack12 reads the body of a CONNACK, 1.2 §5.4.5.
//
//	ReturnCode(1)
func decodeConnack12(r *reader, p *Connack)       { p.Reason = Reason(r.uint8("ReturnCode")) }
func appendConnack12(w writer, p *Connack) writer { return w.uint8(uint8(p.Reason)) }

// decodeWilltopic12 reads the body of a WILLTOPIC, 1.2 §5.4.7.
//
//	nothing, or Flags(1: QoS, Retain) WillTopic(n)
func decodeWilltopic12(r *reader, p *Willtopic) {
	p.QoS, p.Retain, p.Topic = willtopic12(r)
}

func appendWilltopic12(w writer, p *Willtopic) writer {
	return appendWill12(w, p.QoS, p.Retain, p.Topic)
}

// decodeWilltopicupd12 reads the body of a WILLTOPICUPD, 1.2 §5.4.22, which is
// that of a WILLTOPIC.
func decodeWilltopicupd12(r *reader, p *Willtopicupd) {
	p.QoS, p.Retain, p.Topic = willtopic12(r)
}

func appendWilltopicupd12(w writer, p *Willtopicupd) writer {
	return appendWill12(w, p.QoS, p.Retain, p.Topic)
}

// willtopic12 takes flags without a topic for the empty form: Paho's C library
// has no other way to say it.
func willtopic12(r *reader) (QoS, bool, []byte) {
	if len(r.b) == 0 {
		return 0, false, nil
	}
	f := r.uint8("Flags")
	topic := r.rest()
	if topic == nil {
		return 0, false, nil
	}
	return qos12(f), f&retain12 != 0, topic
}

func appendWill12(w writer, q QoS, retain bool, topic []byte) writer {
	if len(topic) == 0 {
		return w
	}
	return flags12(w, q, bit12(retain, retain12)).octets(topic)
}

// decodeWillmsg12 reads the body of a WILLMSG, 1.2 §5.4.9.
//
//	WillMsg(n)
func decodeWillmsg12(r *reader, p *Willmsg)       { p.Payload = r.rest() }
func appendWillmsg12(w writer, p *Willmsg) writer { return w.octets(p.Payload) }

// decodeWillmsgupd12 reads the body of a WILLMSGUPD, 1.2 §5.4.23.
//
//	WillMsg(n)
func decodeWillmsgupd12(r *reader, p *Willmsgupd)       { p.Payload = r.rest() }
func appendWillmsgupd12(w writer, p *Willmsgupd) writer { return w.octets(p.Payload) }

// decodeWilltopicresp12 reads the body of a WILLTOPICRESP, 1.2 §5.4.24. RSMB
// sends one octet more, which means nothing.
//
//	ReturnCode(1)
func decodeWilltopicresp12(r *reader, p *Willtopicresp) {
	p.Reason = Reason(r.uint8("ReturnCode"))
	if len(r.b) == 1 {
		r.rest()
	}
}

func appendWilltopicresp12(w writer, p *Willtopicresp) writer { return w.uint8(uint8(p.Reason)) }

// decodeWillmsgresp12 reads the body of a WILLMSGRESP, 1.2 §5.4.25.
//
//	ReturnCode(1)
func decodeWillmsgresp12(r *reader, p *Willmsgresp)       { p.Reason = Reason(r.uint8("ReturnCode")) }
func appendWillmsgresp12(w writer, p *Willmsgresp) writer { return w.uint8(uint8(p.Reason)) }

// decodePingreq12 reads the body of a PINGREQ, 1.2 §5.4.19.
//
//	ClientId(n), which may be absent
func decodePingreq12(r *reader, p *Pingreq)       { p.ClientID = r.rest() }
func appendPingreq12(w writer, p *Pingreq) writer { return w.octets(p.ClientID) }

// decodeDisconnect12 reads the body of a DISCONNECT, 1.2 §5.4.21. A Duration
// of zero is none: the client would have slept no time.
//
//	nothing, or Duration(2)
func decodeDisconnect12(r *reader, p *Disconnect) {
	if len(r.b) > 0 {
		p.Duration = r.seconds("Duration")
	}
}

func appendDisconnect12(w writer, p *Disconnect) writer {
	if p.Duration == 0 {
		return w
	}
	return w.seconds(p.Duration, "Duration")
}
