package session

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// publish hands a message of the client to the broker and promises to
// acknowledge it, rule 34. Repeats go no further: at QoS 1 those of the last
// few that are the same in every octet (rule 37), at QoS 2 it is the broker
// that knows the ids which have not been released (rule 36).
func (s *Session) publish(now clock.Time, p *mqttsn.Publish, topic string, out *Actions) {
	r := Request{Kind: AskPublish, Topic: topic, Payload: p.Payload, QoS: max(p.QoS, 0), Retain: p.Retain}
	if p.QoS <= 0 {
		out.ask(r)
		return
	}
	fields := uint32(p.Topic.ID)<<16 | uint32(p.Topic.Kind)
	if p.Retain {
		fields |= 1 << 8
	}
	answer := promise{
		says:    mqttsn.TypePuback,
		id:      p.ID,
		topicID: p.Topic.ID,
		sum:     digest(fields, p.Payload),
	}
	if p.QoS == 2 {
		answer.says = mqttsn.TypePubrec
		r.ID = p.ID
	}
	if s.expected(answer.says, answer.id, answer.sum, out) {
		return
	}
	if p.QoS == 1 && s.isPublish(now, answer.id, answer.sum) {
		out.count(DuplicatePublish)
		s.dialect().answer(answer, out)
		return
	}
	s.promise(now, answer, r, out)
}

// release ends a QoS 2 exchange that the client began, rule 36. An unknown
// MsgId is released as well: the client waits for its PUBCOMP.
func (s *Session) release(now clock.Time, id uint16, out *Actions) {
	if !s.expected(mqttsn.TypePubcomp, id, 0, out) {
		s.promise(now, promise{says: mqttsn.TypePubcomp, id: id}, Request{Kind: AskRelease, ID: id}, out)
	}
}
