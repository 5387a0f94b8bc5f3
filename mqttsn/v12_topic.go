package mqttsn

import "math"

// This file lays out the packets that name a topic, and their answers.

// topicKinds12 is TopicIdType, 1.2 §5.3.4 and §5.3.11.
var topicKinds12 = [4]TopicKind{TopicNormal, TopicPredefined, TopicShort, TopicReserved}

// topicIDType12 is its inverse; both kinds of name are 0b00.
func topicIDType12(w writer, k TopicKind) (writer, byte) {
	switch k {
	case TopicNormal, TopicName:
		return w, 0b00
	case TopicPredefined:
		return w, 0b01
	case TopicShort:
		return w, 0b10
	}
	return w.fail("TopicIdType"), 0
}

// decodeRegister12 reads the body of a REGISTER, 1.2 §5.4.10.
//
//	TopicId(2) MsgId(2) TopicName(n > 0)
func decodeRegister12(r *reader, p *Register) {
	p.TopicID = r.uint16("TopicId")
	p.ID = r.uint16("MsgId")
	p.Name = r.name(len(r.b), "TopicName")
}

func appendRegister12(w writer, p *Register) writer {
	return w.uint16(p.TopicID).uint16(p.ID).name(p.Name, "TopicName")
}

// decodeRegack12 reads the body of a REGACK, 1.2 §5.4.11.
//
//	TopicId(2) MsgId(2) ReturnCode(1)
func decodeRegack12(r *reader, p *Regack) {
	p.TopicID = r.uint16("TopicId")
	p.ID = r.uint16("MsgId")
	p.Reason = Reason(r.uint8("ReturnCode"))
}

func appendRegack12(w writer, p *Regack) writer {
	return w.uint16(p.TopicID).uint16(p.ID).uint8(uint8(p.Reason))
}

// decodePublish12 reads the body of a PUBLISH, 1.2 §5.4.12.
//
//	Flags(1: DUP, QoS, Retain, TopicIdType) TopicId(2) MsgId(2) Data(n)
//
// At QoS -1 there are no normal topic ids, and Paho and RSMB put a name in
// full there: TopicId is then its length, and the name comes before Data.
func decodePublish12(r *reader, p *Publish) {
	f := r.uint8("Flags")
	p.DUP = f&dup12 != 0
	p.QoS = qos12(f)
	p.Retain = f&retain12 != 0
	p.Topic.Kind = topicKinds12[f&3]
	p.Topic.ID = r.uint16("TopicId")
	p.ID = r.uint16("MsgId")
	if p.QoS == QoSMinusOne && p.Topic.Kind == TopicNormal {
		p.Topic = Topic{Kind: TopicName, Name: r.name(int(p.Topic.ID), "TopicName")}
	}
	p.Payload = r.rest()
}

func appendPublish12(w writer, p *Publish) writer {
	w, kind := topicIDType12(w, p.Topic.Kind)
	w = flags12(w, p.QoS, kind, bit12(p.DUP, dup12), bit12(p.Retain, retain12))
	named := p.Topic.Kind == TopicName
	switch {
	case (p.QoS == QoSMinusOne) != named && kind == 0b00:
		return w.fail("TopicIdType")
	case named && len(p.Topic.Name) > math.MaxUint16:
		return w.fail("TopicName")
	case named:
		w = w.uint16(uint16(len(p.Topic.Name))).uint16(p.ID).name(p.Topic.Name, "TopicName")
	default:
		w = w.uint16(p.Topic.ID).uint16(p.ID)
	}
	return w.octets(p.Payload)
}

// decodePuback12 reads the body of a PUBACK, 1.2 §5.4.13.
//
//	TopicId(2) MsgId(2) ReturnCode(1)
func decodePuback12(r *reader, p *Puback) {
	p.TopicID = r.uint16("TopicId")
	p.ID = r.uint16("MsgId")
	p.Reason = Reason(r.uint8("ReturnCode"))
}

func appendPuback12(w writer, p *Puback) writer {
	return w.uint16(p.TopicID).uint16(p.ID).uint8(uint8(p.Reason))
}

// The rest of a QoS 2 exchange, 1.2 §5.4.14, is a message id each.
//
//	MsgId(2)
func decodePubrec12(r *reader, p *Pubrec)         { p.ID = r.uint16("MsgId") }
func appendPubrec12(w writer, p *Pubrec) writer   { return w.uint16(p.ID) }
func decodePubrel12(r *reader, p *Pubrel)         { p.ID = r.uint16("MsgId") }
func appendPubrel12(w writer, p *Pubrel) writer   { return w.uint16(p.ID) }
func decodePubcomp12(r *reader, p *Pubcomp)       { p.ID = r.uint16("MsgId") }
func appendPubcomp12(w writer, p *Pubcomp) writer { return w.uint16(p.ID) }

// decodeSubscribe12 reads the body of a SUBSCRIBE, 1.2 §5.4.15.
//
//	Flags(1: DUP, QoS, TopicIdType) MsgId(2) TopicName(n > 0) or TopicId(2)
func decodeSubscribe12(r *reader, p *Subscribe) {
	f := r.uint8("Flags")
	p.DUP = f&dup12 != 0
	p.QoS = qos12(f)
	p.ID = r.uint16("MsgId")
	p.Topic = filter12(r, f)
}

func appendSubscribe12(w writer, p *Subscribe) writer {
	w, kind := topicIDType12(w, p.Topic.Kind)
	w = flags12(w, p.QoS, kind, bit12(p.DUP, dup12)).uint16(p.ID)
	return appendFilter12(w, p.Topic)
}

// decodeUnsubscribe12 reads the body of an UNSUBSCRIBE, 1.2 §5.4.17.
//
//	Flags(1: TopicIdType) MsgId(2) TopicName(n > 0) or TopicId(2)
func decodeUnsubscribe12(r *reader, p *Unsubscribe) {
	f := r.uint8("Flags")
	p.ID = r.uint16("MsgId")
	p.Topic = filter12(r, f)
}

func appendUnsubscribe12(w writer, p *Unsubscribe) writer {
	w, kind := topicIDType12(w, p.Topic.Kind)
	return appendFilter12(flags12(w, 0, kind).uint16(p.ID), p.Topic)
}

// filter12 reads the topic that ends a SUBSCRIBE or UNSUBSCRIBE. Of the
// reserved kind nobody knows what it holds: its first two octets are kept.
func filter12(r *reader, flags byte) Topic {
	switch kind := topicKinds12[flags&3]; kind {
	case TopicNormal:
		return Topic{Kind: TopicName, Name: r.name(len(r.b), "TopicName")}
	case TopicReserved:
		t := Topic{Kind: kind, ID: r.uint16("TopicId")}
		r.rest()
		return t
	default:
		return Topic{Kind: kind, ID: r.uint16("TopicId")}
	}
}

func appendFilter12(w writer, t Topic) writer {
	switch t.Kind {
	case TopicName:
		return w.name(t.Name, "TopicName")
	case TopicNormal:
		return w.fail("TopicIdType") // these octets would be a name
	}
	return w.uint16(t.ID)
}

// decodeSuback12 reads the body of a SUBACK, 1.2 §5.4.16.
//
//	Flags(1: QoS) TopicId(2) MsgId(2) ReturnCode(1)
func decodeSuback12(r *reader, p *Suback) {
	p.QoS = qos12(r.uint8("Flags"))
	p.TopicID = r.uint16("TopicId")
	p.ID = r.uint16("MsgId")
	p.Reason = Reason(r.uint8("ReturnCode"))
}

func appendSuback12(w writer, p *Suback) writer {
	return flags12(w, p.QoS).uint16(p.TopicID).uint16(p.ID).uint8(uint8(p.Reason))
}

// decodeUnsuback12 reads the body of an UNSUBACK, 1.2 §5.4.18.
//
//	MsgId(2)
func decodeUnsuback12(r *reader, p *Unsuback)       { p.ID = r.uint16("MsgId") }
func appendUnsuback12(w writer, p *Unsuback) writer { return w.uint16(p.ID) }
