package session

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// v12 is MQTT-SN 1.2: what it alone has is in the files named v12.
type v12 struct{}

// words12 is where the session's answers are put together.
type words12 struct {
	connack       mqttsn.Connack
	regack        mqttsn.Regack
	puback        mqttsn.Puback
	pubrec        mqttsn.Pubrec
	pubcomp       mqttsn.Pubcomp
	suback        mqttsn.Suback
	unsuback      mqttsn.Unsuback
	willtopicresp mqttsn.Willtopicresp
	willmsgresp   mqttsn.Willmsgresp
	willtopicreq  mqttsn.Willtopicreq
	willmsgreq    mqttsn.Willmsgreq
	pingresp      mqttsn.Pingresp
	disconnect    mqttsn.Disconnect
}

// arrivals12 is the table of 1.2 §6.14 and figure 4, widened by the rules: a
// client may publish, register and subscribe out of its sleep without waking
// (A10), and the network may repeat or delay an acknowledgement, or the end of
// a will dialogue, past a change of state. What is not listed is not a
// client's packet.
var arrivals12 = [mqttsn.NumTypes]states{
	mqttsn.TypeConnect:      DCASW,
	mqttsn.TypeWilltopic:    _CA__,
	mqttsn.TypeWillmsg:      _CA__,
	mqttsn.TypeRegister:     __ASW,
	mqttsn.TypeRegack:       __ASW,
	mqttsn.TypePublish:      __ASW,
	mqttsn.TypePuback:       __ASW,
	mqttsn.TypePubrec:       __ASW,
	mqttsn.TypePubrel:       __ASW,
	mqttsn.TypePubcomp:      __ASW,
	mqttsn.TypeSubscribe:    __ASW,
	mqttsn.TypeUnsubscribe:  __ASW,
	mqttsn.TypePingreq:      __ASW,
	mqttsn.TypeDisconnect:   _CASW,
	mqttsn.TypeWilltopicupd: __ASW,
	mqttsn.TypeWillmsgupd:   __ASW,
}

// mayArrive looks p up. A request to sleep is a DISCONNECT on the wire but not
// in meaning: there is nothing to sleep from while connecting.
func (v12) mayArrive(p mqttsn.Packet) states {
	if d, ok := p.(*mqttsn.Disconnect); ok && d.Duration > 0 {
		return __ASW
	}
	return arrivals12[p.Type()]
}

func (v v12) handle(s *Session, now clock.Time, p mqttsn.Packet, out *Actions) {
	switch p := p.(type) {
	case *mqttsn.Connect:
		v.onConnect(s, now, p, out)
	case *mqttsn.Willtopic:
		v.onWilltopic(s, now, p, out)
	case *mqttsn.Willmsg:
		v.onWillmsg(s, now, p, out)
	case *mqttsn.Willtopicupd:
		v.onWilltopicupd(s, now, p, out)
	case *mqttsn.Willmsgupd:
		v.onWillmsgupd(s, now, p, out)
	case *mqttsn.Register:
		v.onRegister(s, now, p, out)
	case *mqttsn.Regack:
		s.onRegack(now, p, out)
	case *mqttsn.Publish:
		v.onPublish(s, now, p, out)
	case *mqttsn.Pubrel:
		s.release(now, p.ID, out)
	case *mqttsn.Subscribe:
		v.onSubscribe(s, now, p, out)
	case *mqttsn.Unsubscribe:
		v.onUnsubscribe(s, now, p, out)
	case *mqttsn.Puback:
		s.onPuback(now, p, out)
	case *mqttsn.Pubrec:
		s.onPubrec(now, p.ID, out)
	case *mqttsn.Pubcomp:
		s.onPubcomp(p.ID, out)
	case *mqttsn.Pingreq:
		v.onPingreq(s, now, p, out)
	case *mqttsn.Disconnect:
		if p.Duration > 0 {
			s.sleepFor(now, p.Duration, out)
		} else {
			s.leave(out)
		}
	}
}

// onPingreq: from a sleeper it means "I am awake", with or without the client
// id (rule 78). From an active client it is a ping, whatever it holds (rule 81).
func (v v12) onPingreq(s *Session, now clock.Time, p *mqttsn.Pingreq, out *Actions) {
	if len(p.ClientID) > 0 && string(p.ClientID) != s.clientID {
		out.count(OutOfState)
		return
	}
	if s.state == Active {
		v.flushed(out)
		return
	}
	s.wake(now, out)
}

// stray answers what needs a connection that is not there with DISCONNECT, so
// that the client connects, rule 19. Everything else is left alone: nothing a
// server sends, and nothing at QoS -1, may be answered, and a client in the
// middle of its will dialogue is not to be interrupted, rule 17.
func (v v12) stray(in State, p mqttsn.Packet, out *Actions) {
	if in != Disconnected || v.mayArrive(p) == 0 {
		return
	}
	if p, ok := p.(*mqttsn.Publish); ok && p.QoS == mqttsn.QoSMinusOne {
		return
	}
	v.goodbye(out)
}

func (v12) say(p mqttsn.Packet, out *Actions) { out.send(mqttsn.V12, p) }

func (v v12) connack(r mqttsn.Reason, out *Actions) {
	w := &out.packet.v12
	w.connack = mqttsn.Connack{Reason: r}
	v.say(&w.connack, out)
}

func (v v12) slept(out *Actions)   { v.goodbye(out) }
func (v v12) flushed(out *Actions) { v.say(&out.packet.v12.pingresp, out) }
func (v v12) goodbye(out *Actions) { v.say(&out.packet.v12.disconnect, out) }

// answer puts a kept promise into the packet that the client waits for. PUBREC,
// PUBCOMP and UNSUBACK cannot carry a refusal: a PUBLISH is refused by PUBACK
// whatever its QoS (A4), the others by silence, and the client asks again.
func (v v12) answer(p promise, out *Actions) {
	w := &out.packet.v12
	topicID := p.topicID
	if p.reason != mqttsn.Accepted && p.says != mqttsn.TypePuback && p.says != mqttsn.TypePubrec {
		topicID = 0
	}
	switch p.says {
	case mqttsn.TypeConnack:
		v.connack(p.reason, out)
	case mqttsn.TypeRegack:
		w.regack = mqttsn.Regack{TopicID: topicID, ID: p.id, Reason: p.reason}
		v.say(&w.regack, out)
	case mqttsn.TypePubrec:
		if p.reason == mqttsn.Accepted {
			w.pubrec.ID = p.id
			v.say(&w.pubrec, out)
			return
		}
		fallthrough
	case mqttsn.TypePuback:
		w.puback = mqttsn.Puback{TopicID: topicID, ID: p.id, Reason: p.reason}
		v.say(&w.puback, out)
	case mqttsn.TypePubcomp:
		if p.reason == mqttsn.Accepted {
			w.pubcomp.ID = p.id
			v.say(&w.pubcomp, out)
		}
	case mqttsn.TypeSuback:
		w.suback = mqttsn.Suback{QoS: p.qos, TopicID: topicID, ID: p.id, Reason: p.reason}
		v.say(&w.suback, out)
	case mqttsn.TypeUnsuback:
		if p.reason == mqttsn.Accepted {
			w.unsuback.ID = p.id
			v.say(&w.unsuback, out)
		}
	case mqttsn.TypeWilltopicresp:
		w.willtopicresp.Reason = p.reason
		v.say(&w.willtopicresp, out)
	case mqttsn.TypeWillmsgresp:
		w.willmsgresp.Reason = p.reason
		v.say(&w.willmsgresp, out)
	}
}
