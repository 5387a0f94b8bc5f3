package session

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// resolve returns the topic name that a PUBLISH, SUBSCRIBE or UNSUBSCRIBE
// means by an id or two octets. Names in full are not for it.
func (v12) resolve(s *Session, t mqttsn.Topic) (name string, ok bool) {
	switch t.Kind {
	case mqttsn.TopicNormal:
		if known := s.topicByID(t.ID); known != nil {
			return known.name, true
		}
	case mqttsn.TopicPredefined:
		return s.cfg.PredefinedTopic(t.ID, s.clientID)
	case mqttsn.TopicShort:
		octets := []byte{byte(t.ID >> 8), byte(t.ID)}
		return string(octets), s.cfg.ValidName(octets)
	}
	return "", false
}

// onPublish: a PUBLISH whose topic means nothing is refused at every QoS by a
// PUBACK with the ids as received, rule 33.
func (v v12) onPublish(s *Session, now clock.Time, p *mqttsn.Publish, out *Actions) {
	if p.QoS == mqttsn.QoSMinusOne {
		v.onPublishMinusOne(s, now, p, out)
		return
	}
	refusal := promise{says: mqttsn.TypePuback, id: p.ID, topicID: p.Topic.ID}
	if p.Topic.Kind > mqttsn.TopicShort { // TopicIdType 11
		if p.QoS == 0 {
			out.count(BadTopic)
			return
		}
		s.reject(refusal, mqttsn.NotSupported, out)
		return
	}
	name, ok := v.resolve(s, p.Topic)
	switch {
	case !ok:
		s.reject(refusal, mqttsn.InvalidTopicID, out)
	case name[0] == '$':
		s.reject(refusal, mqttsn.NotSupported, out)
	default:
		s.publish(now, p, name, out)
	}
}

// onPublishMinusOne takes a PUBLISH that is never answered, 1.2 §6.8. It may
// carry its topic name in full (rule 43), but no normal id.
func (v v12) onPublishMinusOne(s *Session, now clock.Time, p *mqttsn.Publish, out *Actions) {
	name, ok := "", false
	switch p.Topic.Kind {
	case mqttsn.TopicPredefined, mqttsn.TopicShort:
		name, ok = v.resolve(s, p.Topic)
	case mqttsn.TopicName:
		name, ok = string(p.Topic.Name), s.cfg.ValidName(p.Topic.Name)
	}
	switch {
	case !s.cfg.QoSMinusOne:
		out.count(OutOfState)
	case !ok || name[0] == '$':
		out.count(BadTopic)
	default:
		s.publish(now, p, name, out)
	}
}

// onRegister gives the client an id for a name, the same one each time, rules
// 24 and 25.
func (v v12) onRegister(s *Session, now clock.Time, p *mqttsn.Register, out *Actions) {
	answer := promise{says: mqttsn.TypeRegack, id: p.ID}
	if !s.cfg.ValidTarget(p.Name) {
		s.reject(answer, mqttsn.NotSupported, out)
		return
	}
	name := string(p.Name)
	answer.sum = digest(0, p.Name)
	if s.expected(answer.says, answer.id, answer.sum, out) {
		return
	}
	t := s.topicNamed(name)
	if t == nil {
		t = s.allotAtWish(now, name)
	}
	if t == nil {
		s.reject(answer, mqttsn.Congestion, out)
		return
	}
	answer.topicID = t.id
	s.promise(now, answer, Request{}, out)
}

// filter returns the topic filter that a SUBSCRIBE or UNSUBSCRIBE means, or
// why it cannot be had.
func (v v12) filter(s *Session, t mqttsn.Topic) (string, mqttsn.Reason) {
	switch t.Kind {
	case mqttsn.TopicName:
		if s.cfg.ValidFilter(t.Name) {
			return string(t.Name), mqttsn.Accepted
		}
	case mqttsn.TopicPredefined:
		if name, ok := v.resolve(s, t); ok {
			return name, mqttsn.Accepted
		}
		return "", mqttsn.InvalidTopicID
	case mqttsn.TopicShort:
		if name, ok := v.resolve(s, t); ok {
			return name, mqttsn.Accepted
		}
	}
	return "", mqttsn.NotSupported
}

// onSubscribe answers with the id by which the messages will come: a new
// normal id for a name without wildcards, the predefined id that was asked for,
// and 0 where there is none (rules 45 to 47, A6, A7). A retransmission gets the
// answer that it missed and does not bring the retained message again (rule 48).
func (v v12) onSubscribe(s *Session, now clock.Time, p *mqttsn.Subscribe, out *Actions) {
	answer := promise{says: mqttsn.TypeSuback, id: p.ID}
	filter, reason := v.filter(s, p.Topic)
	if p.QoS < 0 {
		reason = mqttsn.NotSupported
	}
	if reason != mqttsn.Accepted {
		s.reject(answer, reason, out)
		return
	}
	answer.sum = digest(uint32(p.Topic.Kind)<<8|uint32(p.QoS), []byte(filter))
	if s.expected(answer.says, answer.id, answer.sum, out) {
		return
	}
	if s.isSubscribe(now, answer.id, answer.sum) {
		again := s.repeats.suback
		v.answer(again, out)
		s.tell(now, again.topicID, out)
		return
	}
	ok := true
	switch {
	case p.Topic.Kind == mqttsn.TopicPredefined:
		answer.topicID = p.Topic.ID
	case p.Topic.Kind == mqttsn.TopicName && !wild(filter):
		t := s.topicNamed(filter)
		if t == nil {
			t = s.allotAtWish(now, filter)
		}
		if ok = t != nil; ok {
			answer.topicID = t.id
		}
	}
	if !ok || !s.subscribedBy(p.Topic.Kind, p.Topic.ID, filter) {
		s.reject(answer, mqttsn.Congestion, out)
		return
	}
	s.wanted(filter)
	s.promise(now, answer, Request{Kind: AskSubscribe, Topic: filter, QoS: p.QoS}, out)
}

// onUnsubscribe is answered always, also where there was nothing to take back,
// rule 51. Normal ids stay.
func (v v12) onUnsubscribe(s *Session, now clock.Time, p *mqttsn.Unsubscribe, out *Actions) {
	answer := promise{says: mqttsn.TypeUnsuback, id: p.ID}
	filter, reason := v.filter(s, p.Topic)
	if reason != mqttsn.Accepted {
		v.answer(answer, out)
		return
	}
	answer.sum = digest(uint32(p.Topic.Kind), []byte(filter))
	if s.expected(answer.says, answer.id, answer.sum, out) {
		return
	}
	s.forgetKinds(filter)
	s.wanted(filter)
	s.forgetSubscribe()
	s.promise(now, answer, Request{Kind: AskUnsubscribe, Topic: filter}, out)
}

// spell says a name by the predefined id or the two octets that the client
// subscribed by; else by its normal id, if it has one; else two octets speak
// for themselves, since only a wildcard can have matched them; else by a new
// normal id, which the client has to be told first (rule 27, 1.2 §6.10).
func (v12) spell(s *Session, name string) (mqttsn.Topic, spelling) {
	var normal *topic
	for i := range s.topics {
		switch t := &s.topics[i]; {
		case t.name != name:
		case t.kind != mqttsn.TopicNormal:
			return mqttsn.Topic{Kind: t.kind, ID: t.id}, spelled
		default:
			normal = t
		}
	}
	if normal == nil && len(name) == 2 {
		return mqttsn.Topic{Kind: mqttsn.TopicShort, ID: uint16(name[0])<<8 | uint16(name[1])}, spelled
	}
	switch {
	case normal != nil && normal.refused:
		return mqttsn.Topic{}, refused
	case normal != nil && normal.told:
		return mqttsn.Topic{ID: normal.id}, spelled
	case packetSize(6+len(name)) > s.cfg.MaxPacket: // before it takes an id
		return mqttsn.Topic{}, tooLong
	case normal == nil:
		normal = s.allot(name)
	}
	if normal == nil {
		return mqttsn.Topic{}, impossible
	}
	return mqttsn.Topic{ID: normal.id}, unheard
}

// doubt: a normal id is to be told again, a predefined id or short name is
// not used again until the client subscribes by it (rule 53).
func (v12) doubt(s *Session, t mqttsn.Topic) {
	if t.Kind == mqttsn.TopicNormal {
		if known := s.topicByID(t.ID); known != nil {
			known.told = false
		}
		return
	}
	for i := range s.topics {
		if known := s.topics[i]; known.kind == t.Kind && known.id == t.ID {
			s.forgetKinds(known.name)
			return
		}
	}
}
