package session

import (
	"bytes"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// onWilltopic takes the first half of a will, which counts only together with
// the second (rule 12). Empty, it deletes the stored will and ends the
// dialogue (rule 11).
func (v v12) onWilltopic(s *Session, now clock.Time, p *mqttsn.Willtopic, out *Actions) {
	o := v.dialogue(s, p, len(p.Topic) == 0, out)
	switch {
	case o == nil:
	case len(p.Topic) == 0:
		o.will = nil
		s.lastStep = p.Type()
		s.open(now, out)
	case p.QoS < 0 || !s.cfg.ValidTarget(p.Topic):
		out.count(BadTopic)
		s.refuse(mqttsn.NotSupported, out)
	default:
		o.will = &Will{Topic: string(p.Topic), QoS: p.QoS, Retain: p.Retain}
		v.say(&out.packet.v12.willmsgreq, out)
	}
}

// onWillmsg takes the second half of a will: the CONNECT is complete.
func (v v12) onWillmsg(s *Session, now clock.Time, p *mqttsn.Willmsg, out *Actions) {
	o := v.dialogue(s, p, true, out)
	switch {
	case o == nil:
	case o.will == nil:
		out.count(OutOfState) // nobody asked
	default:
		o.will.Payload = bytes.Clone(p.Payload)
		s.lastStep = p.Type()
		s.open(now, out)
	}
}

// dialogue returns the opening that a step of the will dialogue is for. There
// is none if the step came before: if the broker has still to answer, CONNACK
// is on its way, and if it has, the CONNACK was lost and is sent again (rule 16).
func (v v12) dialogue(s *Session, p mqttsn.Packet, last bool, out *Actions) *opening {
	switch o := s.opening; {
	case s.state == Active && last && s.lastStep == p.Type():
		v.connack(mqttsn.Accepted, out)
	case o == nil || !o.dialogue:
		out.count(OutOfState)
	case !o.asked:
		return o
	}
	return nil
}

// onWilltopicupd changes the stored will's topic; empty, it deletes the will,
// rules 20, 21 and 23.
func (v v12) onWilltopicupd(s *Session, now clock.Time, p *mqttsn.Willtopicupd, out *Actions) {
	answer := promise{says: mqttsn.TypeWilltopicresp}
	if len(p.Topic) == 0 {
		v.setWill(s, now, answer, nil, out)
		return
	}
	if p.QoS < 0 || !s.cfg.ValidTarget(p.Topic) {
		s.reject(answer, mqttsn.NotSupported, out)
		return
	}
	will := &Will{Topic: string(p.Topic), QoS: p.QoS, Retain: p.Retain}
	if s.will != nil {
		will.Payload = s.will.Payload
	}
	v.setWill(s, now, answer, will, out)
}

// onWillmsgupd changes the stored will's payload. A payload without a topic is
// no will, rule 22.
func (v v12) onWillmsgupd(s *Session, now clock.Time, p *mqttsn.Willmsgupd, out *Actions) {
	answer := promise{says: mqttsn.TypeWillmsgresp}
	if s.will == nil {
		s.reject(answer, mqttsn.NotSupported, out)
		return
	}
	will := *s.will
	will.Payload = bytes.Clone(p.Payload)
	v.setWill(s, now, answer, &will, out)
}

// setWill asks the broker to replace the will. The two kinds of update build on
// each other, so that one waits for the other; the client repeats it.
func (v v12) setWill(s *Session, now clock.Time, answer promise, w *Will, out *Actions) {
	for i := range s.promises {
		if says := s.promises[i].says; says == mqttsn.TypeWilltopicresp || says == mqttsn.TypeWillmsgresp {
			return
		}
	}
	if s.expected(answer.says, 0, 0, out) {
		return
	}
	s.newWill = w
	s.promise(now, answer, Request{Kind: AskSetWill, Will: w}, out)
}
