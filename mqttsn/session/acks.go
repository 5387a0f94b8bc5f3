package session

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// This file takes in what the client says to our packets. An acknowledgement
// may come late, when the client is back asleep: it counts, and nothing is sent.

// awaits reports whether the exchange in the slot has been sent under this
// MsgId, counting the acknowledgement as unknown if not.
func (s *Session) awaits(id uint16, out *Actions) bool {
	if s.busy() && s.slot.ID == id && id != 0 && (s.slot.DUP || s.slot.Released) {
		return true
	}
	out.count(UnknownAck)
	return false
}

// onPuback ends an exchange, rule 54: at QoS 1 whatever it says, at QoS 2 if it
// is an error. An unknown topic id is corrected and the message sent once
// more, rule 53. No error is argued with: a client that cannot take a message
// will not take it the next time (A26).
func (s *Session) onPuback(now clock.Time, p *mqttsn.Puback, out *Actions) {
	if p.ID == 0 && p.Reason != mqttsn.Accepted {
		s.onRefusal(now, p, out)
		return
	}
	if !s.awaits(p.ID, out) {
		return
	}
	x := &s.slot
	switch {
	case p.Reason == mqttsn.Accepted && x.QoS == 2:
		out.count(UnknownAck) // means nothing; PUBREC does
		return
	case p.Reason == mqttsn.InvalidTopicID && !x.corrected && x.step == publishing:
		x.corrected, x.rounds = true, 0
		s.dialect().doubt(s, x.topic)
		s.retry = 0
		s.advance(now, out)
		return
	case p.Reason == mqttsn.InvalidTopicID && x.step < publishing:
		out.count(UnknownAck) // of an earlier copy: it is being corrected
		return
	case p.Reason == mqttsn.Congestion:
		s.leaveAlone(now)
	}
	if p.Reason != mqttsn.Accepted {
		out.count(Rejected)
	}
	s.acknowledge(out)
}

// onRefusal: the client did not take a QoS 0 message. It is gone; the next one
// may fare better.
func (s *Session) onRefusal(now clock.Time, p *mqttsn.Puback, out *Actions) {
	out.count(Rejected)
	switch p.Reason {
	case mqttsn.InvalidTopicID:
		kind := mqttsn.TopicNormal
		if s.topicByID(p.TopicID) == nil {
			kind = mqttsn.TopicPredefined
		}
		s.dialect().doubt(s, mqttsn.Topic{Kind: kind, ID: p.TopicID})
	case mqttsn.Congestion:
		s.leaveAlone(now)
	}
}

// leaveAlone holds all traffic to a client that reported congestion, for T_WAIT.
func (s *Session) leaveAlone(now clock.Time) {
	s.hold = now.Add(s.cfg.CongestionWait)
	s.retry = 0
}

// onPubrec moves a QoS 2 exchange on. When it comes again, PUBREL was lost.
func (s *Session) onPubrec(now clock.Time, id uint16, out *Actions) {
	if !s.awaits(id, out) {
		return
	}
	x := &s.slot
	if x.QoS != 2 && !x.Released {
		out.count(UnknownAck)
		return
	}
	switch x.step {
	case receiving: // PUBREL is on its way
	case releasing:
		if s.listening() {
			s.transmit(now, out)
		}
	default:
		x.step = receiving
		s.retry = 0
		s.promise(now, promise{says: mqttsn.TypePubrel, id: id}, Request{Kind: AskReceived, ID: id}, out)
	}
}

// received goes on to PUBREL once the broker has stored that PUBREC came: a
// client that has heard of PUBREL takes the message for another one if it comes
// again. If the broker could not, PUBLISH is sent again.
func (s *Session) received(now clock.Time, id uint16, ok bool, out *Actions) {
	x := &s.slot
	if !s.busy() || x.step != receiving || x.ID != id {
		return // the client has connected again
	}
	x.step, x.tries, x.rounds = publishing, 0, 0
	if ok {
		x.step, x.Released, x.Payload = releasing, true, nil
	}
	if s.listening() {
		s.transmit(now, out)
	}
}

func (s *Session) onPubcomp(id uint16, out *Actions) {
	if !s.awaits(id, out) {
		return
	}
	if s.slot.step != releasing {
		out.count(UnknownAck)
		return
	}
	s.acknowledge(out)
}

// onRegack lets the message go that waited for it, or takes a rejection as
// unsubscribing from exactly this name: a wildcard subscription stays, and the
// name is remembered (rule 29). Congestion is for later.
func (s *Session) onRegack(now clock.Time, p *mqttsn.Regack, out *Actions) {
	x := &s.slot
	if !s.busy() || x.step != registering || x.registerID != p.ID {
		out.count(UnknownAck)
		return
	}
	switch p.Reason {
	case mqttsn.Accepted:
		s.retry = 0
		x.rounds = 0
		s.tell(now, x.topic.ID, out)
	case mqttsn.Congestion:
		s.leaveAlone(now)
		x.step = waiting
	default:
		out.ask(Request{Kind: AskUnsubscribe, Topic: x.Topic})
		s.forgetSubscribe()
		s.refuseName(x.topic.ID)
		s.drop(NameRefused, out)
		s.save(now, s.nextTag(), 0, out)
	}
}
