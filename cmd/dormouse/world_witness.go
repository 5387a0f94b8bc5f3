package main

import (
	"bytes"

	"dormouse/core"
	"dormouse/mqttsn/session"
)

// A witness is an MQTT client without MQTT: a session of core itself. It hears
// every message as soon as it is published, so that nothing ever waits in its
// queue.
type witness struct {
	session *core.Session
	filters []core.Subscription // for when it has to attend again
	hear    func(topic string, payload []byte, qos byte, retained bool)
	mail    bool
	lastID  uint16
}

// attend opens a session and subscribes again to what was subscribed before.
func (w *witness) attend(b *core.Broker) (err error) {
	who := core.Identity{ClientID: "dormouse-sim", Edge: "mqtt", Listener: "sim", Remote: "127.0.0.1:1"}
	w.mail = false
	b.Open(who, core.SessionOptions{CleanStart: true}, (*slot)(w), func(s *core.Session, _ bool, failed error) {
		w.session, err = s, failed
	})
	for _, f := range w.filters {
		if err == nil {
			err = w.subscribe(f)
		}
	}
	return err
}

// Hear says who is told of messages.
func (w *witness) Hear(f func(topic string, payload []byte, qos byte, retained bool)) { w.hear = f }

// Subscribe subscribes, for as long as there is a world.
func (w *witness) Subscribe(filter string, qos byte) error {
	s := core.Subscription{Filter: filter, QoS: core.QoS(qos)}
	w.filters = append(w.filters, s)
	return w.subscribe(s)
}

func (w *witness) subscribe(s core.Subscription) (err error) {
	w.session.Subscribe(s, func(_ core.QoS, failed error) { err = failed })
	w.listen()
	return err
}

// Publish publishes. done is called at once.
func (w *witness) Publish(topic string, payload []byte, qos byte, retain bool, done func(error)) {
	m := core.Message{Topic: topic, Payload: bytes.Clone(payload), QoS: core.QoS(qos), Retain: retain}
	if qos < 2 {
		w.session.Publish(m, 0, done)
	} else {
		w.lastID = max(1, w.lastID+1)
		w.session.Publish(m, w.lastID, done)
		w.session.Release(w.lastID, func(error) {})
	}
	w.listen()
}

// Close ends the session.
func (w *witness) Close() error {
	w.session.Detach(core.Clean, func(error) {})
	return nil
}

// listen takes what has come.
func (w *witness) listen() {
	for w.mail {
		var d core.Delivery
		if d, w.mail = w.session.Next(); !w.mail {
			return
		}
		if !d.Released && w.hear != nil {
			w.hear(d.Topic, d.Payload, byte(d.QoS), d.Retain)
		}
		if d.QoS == 2 {
			w.session.Received(d.ID, func(bool) {})
		}
		if d.QoS > 0 {
			w.session.Ack(d.ID)
		}
	}
}

// A slot is where core leaves word for a witness.
type slot witness

func (s *slot) Mail()                { s.mail = true }
func (s *slot) Kick(core.KickReason) {}

// attended is a broker whose witness listens after whatever is asked of it.
type attended struct {
	session.Broker
	by *witness
}

func (a attended) Open(c session.Client, r *session.Request, seat session.Seat) session.Link {
	l := &attendedLink{a.Broker.Open(c, r, seat), a.by}
	a.by.listen()
	return l
}

func (a attended) Resume(c session.Client, seat session.Seat) (session.Link, bool) {
	l, ok := a.Broker.Resume(c, seat)
	return &attendedLink{l, a.by}, ok
}

func (a attended) Publish(c session.Client, r *session.Request) {
	a.Broker.Publish(c, r)
	a.by.listen()
}

type attendedLink struct {
	session.Link
	by *witness
}

func (l *attendedLink) Ask(r *session.Request) {
	l.Link.Ask(r)
	l.by.listen()
}
