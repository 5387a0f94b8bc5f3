package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// An mqttWire tells the history what one MQTT client and the broker say to each
// other, over all connections of the client. Its session is kept.
type mqttWire struct {
	h   *history
	who string
	s   *subscriber

	store mqtt.Store // the client's

	mu      sync.Mutex
	asks    map[uint16][]string // filters by packet identifier
	carries map[uint16]string   // payloads, until PUBACK or PUBCOMP
	taken   map[uint16]string   // payloads at QoS 2, until PUBREL
	known   bool                // the broker has had a session for it
}

func newMQTTWire(h *history, s *subscriber) *mqttWire {
	return &mqttWire{h: h, who: s.who, s: s, asks: make(map[uint16][]string),
		store: mqtt.NewMemoryStore(), carries: make(map[uint16]string), taken: make(map[uint16]string)}
}

// busy reports whether something that was sent is not acknowledged.
func (w *mqttWire) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.carries) > 0
}

// A tapped connection is heard by a wire.
type tapped struct {
	net.Conn
	w        *mqttWire
	up, down bytes.Buffer
}

func (t *tapped) Write(b []byte) (int, error) {
	t.up.Write(b)
	t.w.each(&t.up, t.w.sends)
	return t.Conn.Write(b)
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.down.Write(b[:n])
	t.w.each(&t.down, t.w.gets)
	return n, err
}

// each takes the whole packets out of b.
func (w *mqttWire) each(b *bytes.Buffer, do func(packets.ControlPacket)) {
	for b.Len() > 0 {
		r := bytes.NewReader(b.Bytes())
		p, err := packets.ReadPacket(r)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return // the rest is to come
		case err != nil:
			w.h.blame("%s: octets that are no packet: %v", w.who, err)
			return
		}
		b.Next(b.Len() - r.Len())
		w.mu.Lock()
		do(p)
		w.mu.Unlock()
	}
}

func (w *mqttWire) sends(p packets.ControlPacket) {
	switch p := p.(type) {
	case *packets.PubrelPacket:
		// Paho keeps PUBLISH instead, and would begin the exchange anew.
		w.store.Put(fmt.Sprint("o.", p.MessageID), p)
	case *packets.SubscribePacket:
		w.asks[p.MessageID] = p.Topics
	case *packets.PublishPacket:
		payload := light(p.Payload)
		w.h.sent(w.who, p.TopicName, payload, p.Qos, p.Retain)
		if p.Qos > 0 {
			w.carries[p.MessageID] = payload
		}
	}
}

func (w *mqttWire) gets(p packets.ControlPacket) {
	switch p := p.(type) {
	case *packets.ConnackPacket:
		switch {
		case p.ReturnCode == packets.ErrRefusedServerUnavailable && w.h.fullNow():
			return
		case w.known && !p.SessionPresent:
			w.h.blame("%s: the session is gone", w.who)
		}
		w.known = true
	case *packets.SubackPacket:
		w.h.mu.Lock()
		for i, filter := range w.asks[p.MessageID] {
			w.s.filters[filter] = p.ReturnCodes[i]
		}
		w.h.mu.Unlock()
	case *packets.PubackPacket:
		w.h.acked(w.carries[p.MessageID])
		delete(w.carries, p.MessageID)
	case *packets.PubrecPacket:
		w.h.acked(w.carries[p.MessageID])
	case *packets.PubcompPacket:
		delete(w.carries, p.MessageID)
	case *packets.PubrelPacket:
		delete(w.taken, p.MessageID)
	case *packets.PublishPacket:
		w.publish(p)
	}
}

// publish takes a message, once at QoS 2 for each packet identifier.
func (w *mqttWire) publish(p *packets.PublishPacket) {
	payload := light(p.Payload)
	if p.Qos == 2 {
		switch had, again := w.taken[p.MessageID]; {
		case again && had != payload:
			w.h.blame("%s takes %s for a repetition of %s, whose packet identifier it has", w.who, payload, had)
			return
		case again:
			return
		}
		w.taken[p.MessageID] = payload
	}
	w.h.received(w.s, reception{topic: p.TopicName, payload: payload, qos: p.Qos, dup: p.Dup})
}
