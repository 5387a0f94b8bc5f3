package crash

import (
	"bytes"
	"strings"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
)

// A sensorWire tells the history what one sensor and its gateway say to each
// other. Its session is kept.
type sensorWire struct {
	h       *history
	who     string
	s       *subscriber
	says    map[uint16]mqttsn.Packet // requests by MsgId
	carries map[uint16]string        // payloads by MsgId, until they are acknowledged
	taken   map[uint16]string        // payloads at QoS 2 until PUBREL
	leaving bool                     // it has asked to sleep or to go: DISCONNECT is the answer
	gone    bool                     // it connects, for the first time or because it has to
}

func newSensorWire(h *history, s *subscriber) *sensorWire {
	return &sensorWire{h: h, who: s.who, s: s, says: make(map[uint16]mqttsn.Packet),
		carries: make(map[uint16]string), taken: make(map[uint16]string), gone: true}
}

// sends takes what the sensor sends.
func (w *sensorWire) sends(datagram []byte) {
	p, err := mqttsn.Decode(mqttsn.V12, bytes.Clone(datagram))
	if err != nil {
		w.h.blame("%s sends %x: %v", w.who, datagram, err)
		return
	}
	switch p := p.(type) {
	case *mqttsn.Connect:
		w.gone, w.leaving = true, false
	case *mqttsn.Register:
		w.says[p.ID] = p
	case *mqttsn.Subscribe:
		w.says[p.ID] = p
	case *mqttsn.Disconnect:
		w.leaving = true
	case *mqttsn.Publish:
		topic := w.h.name(w.who, p.Topic.ID)
		w.h.sent(w.who, topic, string(p.Payload), byte(p.QoS), p.Retain)
		if p.QoS > 0 {
			w.carries[p.ID] = string(p.Payload)
		}
	}
}

// gets takes what comes for the sensor, and what messages that is to it.
func (w *sensorWire) gets(datagram []byte, messages []client.Message) {
	p, err := mqttsn.Decode(mqttsn.V12, datagram)
	if err != nil {
		w.h.blame("%s gets %x: %v", w.who, datagram, err)
		return
	}
	switch p := p.(type) {
	case *mqttsn.Connack:
		w.gone = false
		if p.Reason != mqttsn.Accepted && !(p.Reason == mqttsn.Congestion && w.h.fullNow()) {
			w.h.blame("%s: CONNACK %v", w.who, p.Reason)
		}
	case *mqttsn.Regack:
		if r, ok := w.says[p.ID].(*mqttsn.Register); ok && p.Reason == mqttsn.Accepted {
			w.h.assigned(w.who, string(r.Name), p.TopicID)
		}
	case *mqttsn.Suback:
		w.suback(p)
	case *mqttsn.Register:
		w.h.assigned(w.who, string(p.Name), p.TopicID)
	case *mqttsn.Puback:
		switch {
		case p.Reason == mqttsn.InvalidTopicID:
			w.h.blame("%s: topic id %d is not known any more", w.who, p.TopicID)
		case p.Reason == mqttsn.Congestion:
			w.h.refusedPublish(w.who)
		case p.Reason == mqttsn.Accepted:
			w.h.acked(w.carries[p.ID])
		}
	case *mqttsn.Pubrec:
		w.h.acked(w.carries[p.ID])
	case *mqttsn.Publish:
		w.publish(p, messages)
	case *mqttsn.Pubrel:
		delete(w.taken, p.ID)
	case *mqttsn.Disconnect:
		if !w.leaving && !w.gone {
			w.h.blame("%s, whose session is kept, is sent away", w.who)
		}
	}
}

func (w *sensorWire) suback(p *mqttsn.Suback) {
	r, ok := w.says[p.ID].(*mqttsn.Subscribe)
	if !ok || p.Reason != mqttsn.Accepted {
		return
	}
	filter := string(r.Topic.Name)
	w.h.mu.Lock()
	w.s.filters[filter] = byte(p.QoS)
	w.h.mu.Unlock()
	if !strings.ContainsAny(filter, "+#") {
		w.h.assigned(w.who, filter, p.TopicID)
	}
}

// publish takes a message, unless it is none to the client: it does not know the
// topic id, or has the packet identifier at QoS 2.
func (w *sensorWire) publish(p *mqttsn.Publish, messages []client.Message) {
	payload := string(p.Payload)
	if had, again := w.taken[p.ID]; p.QoS == 2 && again && had != payload {
		w.h.blame("%s takes %s for a repetition of %s, whose MsgId it has", w.who, payload, had)
	}
	for _, m := range messages {
		if p.QoS == 2 {
			w.taken[p.ID] = payload
		}
		w.h.received(w.s, reception{topic: string(m.Topic.Name), payload: payload, qos: byte(p.QoS), dup: p.DUP})
	}
}
