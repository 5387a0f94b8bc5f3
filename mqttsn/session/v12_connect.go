package session

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// onConnect follows the table of 1.2 §6.3: a CONNECT with a will goes through
// the will dialogue first; one without it keeps the stored will unless the
// session is to be clean. A CONNECT that cannot be accepted changes nothing of
// a connection that exists.
func (v v12) onConnect(s *Session, now clock.Time, p *mqttsn.Connect, out *Actions) {
	if p.ProtocolID != 1 || !s.cfg.ValidClientID(p.ClientID) {
		v.connack(mqttsn.NotSupported, out)
		if s.state == Disconnected {
			s.over(OpenRefused, out)
		}
		return
	}
	id := string(p.ClientID)
	if s.state != Disconnected && id != s.clientID {
		out.count(OutOfState) // another client: not this session's business
		return
	}
	if o := s.opening; o != nil && o.asked && !o.dialogue && !p.Will &&
		o.clean == p.CleanSession && o.keepAlive == p.KeepAlive {
		return // a repetition: CONNACK is on its way
	}
	s.connect(now, id, &opening{
		clean:     p.CleanSession,
		keepWill:  !p.CleanSession && !p.Will,
		dialogue:  p.Will,
		keepAlive: p.KeepAlive,
	})
	if p.Will {
		v.say(&out.packet.v12.willtopicreq, out)
	} else {
		s.open(now, out)
	}
}
