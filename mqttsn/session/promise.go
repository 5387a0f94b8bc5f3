package session

import (
	"slices"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// maxPromises bounds how many requests of one client may wait for the broker.
// Further ones are ignored, and the client's retransmission finds room.
const maxPromises = 16

// A promise is an answer that the client waits for and the broker has to make
// good first. Until then a repetition of the request causes nothing: the
// answer is on its way.
//
// An answer may come late, and must not come to a sleeper. Three rules see to it:
//
//   - The last word before the client's radio closes, PINGRESP or the
//     acknowledgement of its request to sleep, is not said while any promise
//     is open ([Session.rest]). So after it nothing is left to be answered.
//   - A promise made later is made because the sleeper sent something, out of
//     its sleep (A10): its radio is open for the answer.
//   - When the flush of a client that stopped acknowledging is given up,
//     there is no last word and promises may be open: they are muted. The
//     broker's answer still takes effect here, but nothing is sent unless the
//     client asks again before it. If after it, every request is idempotent: a
//     repeated PUBLISH is recognized here (QoS 1) or by the broker (QoS 2), SUBSCRIBE and
//     REGISTER give the same ids, PUBREL of a released id is confirmed.
//
// A CONNECT forgets all promises: the client has given up on them, and their
// answers, known by their tags, change nothing.
type promise struct {
	tag     uint32
	sum     uint32 // digest of the request, to tell a repetition from a MsgId used again
	id      uint16 // MsgId
	topicID uint16
	says    mqttsn.Type // the packet that answers; DISCONNECT for a request to sleep, REGISTER and PUBREL for our own
	owed    uint8       // answers still to come from the broker
	qos     mqttsn.QoS  // granted
	reason  mqttsn.Reason
	mute    bool
}

// expected reports whether a request needs no work: its answer is on its way,
// or there is no room to make it another promise.
func (s *Session) expected(says mqttsn.Type, id uint16, sum uint32, out *Actions) bool {
	for i := range s.promises {
		if p := &s.promises[i]; p.says == says && p.id == id && p.sum == sum {
			p.mute = false // its radio is open again
			return true
		}
	}
	if len(s.promises) >= maxPromises {
		out.count(Crowded)
		return true
	}
	return false
}

// tells reports whether the answer tells the client what has to be stored
// first: an id, that it may sleep, or that it is connected.
func (p *promise) tells() bool {
	switch p.says {
	case mqttsn.TypeConnack, mqttsn.TypeRegister, mqttsn.TypeRegack, mqttsn.TypeSuback, mqttsn.TypeDisconnect:
		return true
	}
	return false
}

// promise answers a request once the broker has stored what the answer tells
// and has carried out r, if r asks anything; at once if there is neither. The
// order matters: what follows from r must find the ids stored.
func (s *Session) promise(now clock.Time, p promise, r Request, out *Actions) {
	p.tag = s.nextTag()
	if s.unsaved && !s.clean {
		if p.tells() {
			p.owed++
			s.save(now, p.tag, p.topicID, out)
		} else {
			s.save(now, s.nextTag(), 0, out)
		}
	}
	if r.Kind != 0 {
		p.owed++
		r.Tag = p.tag
		out.ask(r)
	}
	if p.owed == 0 {
		s.settle(now, p, out)
		return
	}
	s.promises = append(s.promises, p)
}

// reject answers a request that does not reach the broker.
func (s *Session) reject(p promise, r mqttsn.Reason, out *Actions) {
	switch r {
	case mqttsn.Congestion:
		out.count(Congested)
	case mqttsn.InvalidTopicID:
		out.count(UnknownTopic)
	default:
		out.count(BadTopic)
	}
	p.reason = r
	s.dialect().answer(p, out)
}

// Complete takes in the broker's answer to a Request.
func (s *Session) Complete(now clock.Time, a Answer, out *Actions) {
	s.rouse(out)
	defer s.calm(out)
	if a.Kind == AskSave && a.Tag == s.saveTag && a.Result == Done {
		s.saved()
	}
	i := slices.IndexFunc(s.promises, func(p promise) bool { return p.tag == a.Tag })
	if i < 0 {
		return // nobody waits for it
	}
	p := &s.promises[i]
	p.owed--
	if a.Result != Done && p.reason == mqttsn.Accepted {
		p.reason = reasonFor(a.Result)
	}
	if a.Result == Failed {
		p.mute = true
	}
	if a.Kind == AskSubscribe {
		p.qos = a.QoS
	}
	if p.owed > 0 {
		return
	}
	kept := *p
	s.promises = slices.Delete(s.promises, i, i+1)
	switch {
	case kept.says != mqttsn.TypeConnack:
		s.settle(now, kept, out)
	case kept.mute:
		s.attached = s.attached && a.Kind != AskOpen
		s.abort(out)
	case a.Kind == AskOpen:
		s.opened(now, &a, kept.reason, out)
	default:
		s.admit(now, kept.reason, out)
	}
	s.rest(now, out)
}

// settle does what follows from a promise that can be kept, or cannot, and
// answers the client.
func (s *Session) settle(now clock.Time, p promise, out *Actions) {
	accepted := p.reason == mqttsn.Accepted
	switch p.says {
	case mqttsn.TypeDisconnect:
		if s.leaving {
			s.left(!p.mute, out)
			return
		}
		s.oweSleep = s.oweSleep && accepted // said by rest
		if p.reason == mqttsn.Congestion {
			out.count(Congested)
		}
		return
	case mqttsn.TypeRegister:
		s.stored(now, p.id, accepted, out)
		return
	case mqttsn.TypePubrel:
		s.received(now, p.id, accepted, out)
		return
	case mqttsn.TypePuback:
		if accepted {
			s.remembered().publish(now, p)
		}
	case mqttsn.TypeSuback:
		if accepted {
			s.remembered().subscribe(now, p)
		}
	case mqttsn.TypeUnsuback:
		s.forgetSubscribe() // one that was answered since
	case mqttsn.TypeWilltopicresp, mqttsn.TypeWillmsgresp:
		if accepted {
			s.will = s.newWill
		}
		s.newWill = nil
	}
	if p.reason == mqttsn.Congestion {
		out.count(Congested)
		s.forgetUnstored()
	}
	if p.mute {
		return
	}
	s.dialect().answer(p, out)
	if accepted && (p.says == mqttsn.TypeSuback || p.says == mqttsn.TypeRegack) {
		s.tell(now, p.topicID, out)
	}
}
