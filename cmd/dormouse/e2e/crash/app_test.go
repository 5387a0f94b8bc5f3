package crash

import (
	"fmt"
	"math/rand/v2"

	"dormouse/core"
)

// An app is an MQTT client in virtual time, as its edge shows it to core. Its
// session is kept. It has one message under way, and answers at once.
type app struct {
	w       *world
	id      string
	dice    *rand.Rand
	s       *subscriber
	session *core.Session // nil: not open
	opening bool
	asked   bool              // its subscriptions are there
	taken   map[uint16]string // payloads at QoS 2 until PUBREL
	pending *publication      // that is not acknowledged, or not released
	carried bool              // it has been acknowledged
	under   uint16            // its packet identifier
	flies   bool              // an answer is to come in this life
	count   int
}

func newApp(w *world, i int) *app {
	id := fmt.Sprint("app", i)
	return &app{w: w, id: id, dice: w.rand(i), s: w.h.subscriber(id), taken: make(map[uint16]string)}
}

func (a *app) Mail()                {}
func (a *app) Kick(core.KickReason) {}

// crashed forgets what was only under way.
func (a *app) crashed() { a.session, a.opening, a.flies = nil, false, false }

// now does something if a is still in the life in which it was to be done.
func (a *app) now(life int, do func()) {
	a.w.later(func() {
		if life == a.w.h.life {
			do()
		}
	})
}

// open takes up the session.
func (a *app) open() {
	a.opening = true
	life := a.w.h.life
	who := core.Identity{ClientID: a.id, Edge: "mqtt"}
	a.w.broker.Open(who, core.SessionOptions{Expiry: core.Forever}, a, func(s *core.Session, present bool, err error) {
		a.now(life, func() {
			switch {
			case err != nil:
				a.w.h.blame("%s: CONNACK %v", a.id, err)
			case a.asked && !present:
				a.w.h.blame("%s: the session is gone", a.id)
			}
			a.session = s
		})
	})
}

// step does one thing.
func (a *app) step() {
	switch {
	case a.session == nil && !a.opening:
		a.open()
	case a.session == nil || a.flies:
	case !a.asked:
		a.flies = true
		a.subscribe("apps/#", 1+core.QoS(a.dice.IntN(2)))
		a.subscribe("all", 2)
		a.subscribe("wills", 1)
	case a.pending != nil:
		a.carry()
	case a.w.running.Load() && !a.w.calm.Load() && a.dice.IntN(3) == 0:
		a.publish()
	}
	a.fetch()
}

func (a *app) subscribe(filter string, qos core.QoS) {
	life := a.w.h.life
	a.session.Subscribe(core.Subscription{Filter: filter, QoS: qos}, func(granted core.QoS, err error) {
		a.now(life, func() {
			if err != nil {
				a.w.h.blame("%s: SUBACK %v", a.id, err)
			}
			a.s.filters[filter] = byte(granted)
			if len(a.s.filters) == 3 {
				a.asked, a.flies = true, false
			}
		})
	})
}

func (a *app) publish() {
	a.count++
	a.under = a.under%100 + 1
	p := &publication{topic: []string{"s/" + a.w.someone(a.dice), "all", "r/" + a.id}[a.dice.IntN(3)],
		payload: fmt.Sprint(a.id, "/", a.count), qos: byte(1 + a.dice.IntN(2))}
	p.retain = p.topic[0] == 'r'
	a.pending, a.carried = p, false
	a.w.h.begun(a.s, p.payload)
	a.carry()
}

// carry sends the message that is pending, or PUBREL for it.
func (a *app) carry() {
	p, life := a.pending, a.w.h.life
	a.flies = true
	if a.carried {
		a.session.Release(a.under, func(err error) {
			a.now(life, func() { a.pending, a.flies = nil, false })
		})
		return
	}
	a.w.h.sent(a.id, p.topic, p.payload, p.qos, p.retain)
	m := core.Message{Topic: p.topic, Payload: []byte(p.payload), QoS: core.QoS(p.qos), Retain: p.retain}
	a.session.Publish(m, a.under, func(err error) {
		a.now(life, func() {
			a.flies = false
			if err != nil {
				a.w.h.blame("%s: PUBACK %v", a.id, err)
				return
			}
			a.w.h.acked(p.payload)
			if a.carried = true; p.qos < 2 {
				a.pending = nil
			}
		})
	})
}

// fetch takes what has come.
func (a *app) fetch() {
	for a.session != nil && a.asked {
		d, ok := a.session.Next()
		if !ok {
			return
		}
		switch {
		case d.Released:
			delete(a.taken, d.ID)
			a.session.Ack(d.ID)
		case d.QoS == 2:
			a.take(d)
		default:
			a.w.h.received(a.s, reception{topic: d.Topic, payload: string(d.Payload), qos: byte(d.QoS), dup: d.DUP})
			if d.QoS == 1 {
				a.session.Ack(d.ID)
			}
		}
	}
}

// take begins the exchange of QoS 2, in the midst of which the broker may die.
func (a *app) take(d core.Delivery) {
	switch had, again := a.taken[d.ID]; {
	case again && had != string(d.Payload):
		a.w.h.blame("%s takes %s for a repetition of %s, whose packet identifier it has", a.id, d.Payload, had)
	case !again:
		a.taken[d.ID] = string(d.Payload)
		a.w.h.received(a.s, reception{topic: d.Topic, payload: string(d.Payload), qos: 2, dup: d.DUP})
	}
	s, life := a.session, a.w.h.life
	a.w.later(func() {
		s.Received(d.ID, func(attached bool) {
			a.now(life, func() {
				if attached { // PUBREL comes, and PUBCOMP goes
					delete(a.taken, d.ID)
					s.Ack(d.ID)
				}
			})
		})
	})
}
