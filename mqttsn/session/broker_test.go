package session

import (
	"fmt"
	"slices"

	"dormouse/mqttsn"
)

// A broker is the port in a few lines: one session, one link.
type broker struct {
	stuck  bool // answers wait
	result map[RequestKind]Result
	log    []string // requests
	due    []Answer

	present  bool
	clean    bool
	will     *Will
	state    []byte
	subs     map[string]mqttsn.QoS
	released map[uint16]bool // inbound QoS 2: false while taken
	retained map[string]string
	replay   []string // filters whose retained messages are to come
	queue    []Delivery
	flight   []Delivery
	lastID   uint16
}

func newBroker() *broker {
	b := &broker{result: map[RequestKind]Result{}, retained: map[string]string{}}
	b.wipe()
	return b
}

func (b *broker) wipe() {
	b.present, b.will, b.state = false, nil, nil
	b.subs, b.released = map[string]mqttsn.QoS{}, map[uint16]bool{}
	b.queue, b.flight = nil, nil
}

func (b *broker) do(r *Request, clientID string) {
	a := Answer{Kind: r.Kind, Tag: r.Tag, Result: b.result[r.Kind]}
	answered, carriedOut := true, a.Result == Done
	note := func(format string, args ...any) { b.log = append(b.log, fmt.Sprintf(format, args...)) }
	switch r.Kind {
	case AskOpen:
		note("open %s", clientID)
		if carriedOut {
			b.open(r)
			a.Present, a.State, a.Will = b.present, slices.Clone(b.state), b.will
			b.present = true
		}
	case AskPublish:
		answered = r.QoS > 0
		if seen, again := b.released[r.ID]; r.QoS == 2 && again && !seen {
			break
		}
		if r.QoS == 2 && carriedOut {
			b.released[r.ID] = false
		}
		note("publish %s=%s q%d", r.Topic, r.Payload, r.QoS)
	case AskRelease:
		delete(b.released, r.ID)
	case AskSubscribe:
		note("subscribe %s q%d", r.Topic, r.QoS)
		a.QoS = r.QoS
		if carriedOut {
			b.subs[r.Topic] = r.QoS
			b.replay = append(b.replay, r.Topic)
		}
	case AskUnsubscribe:
		note("unsubscribe %s", r.Topic)
		delete(b.subs, r.Topic)
	case AskAck:
		answered = false
		b.flight = slices.DeleteFunc(b.flight, func(d Delivery) bool { return d.ID == r.ID })
	case AskReceived:
		for i := range b.flight {
			if b.flight[i].ID == r.ID {
				b.flight[i] = Delivery{ID: r.ID, QoS: 2, Released: true}
			}
		}
	case AskSetWill:
		if carriedOut {
			b.will = r.Will
		}
	case AskSave:
		if carriedOut {
			b.state = slices.Clone(r.State)
		}
	case AskDetach:
		note("detach %s", [...]string{Clean: "clean", Lost: "lost", Shutdown: "shutdown"}[r.Ending])
		if r.Ending == Lost && b.will != nil {
			note("will %s=%s q%d", b.will.Topic, b.will.Payload, b.will.QoS)
		}
		if b.clean {
			b.wipe()
		}
	}
	if answered {
		b.due = append(b.due, a)
	}
}

func (b *broker) open(r *Request) {
	if r.CleanSession {
		b.wipe()
	}
	b.clean = r.CleanSession
	if !r.KeepWill {
		b.will = r.Will
	}
	for i := range b.flight {
		b.flight[i].DUP = true
	}
	b.queue = append(b.flight, b.queue...)
	b.flight = nil
}

func (b *broker) answer() (Answer, bool) {
	if b.stuck || len(b.due) == 0 {
		return Answer{}, false
	}
	a := b.due[0]
	b.due = b.due[1:]
	if a.Kind == AskSubscribe && a.Result == Done { // what follows from it is not seen before
		if payload, ok := b.retained[b.replay[0]]; ok {
			b.enqueue(b.replay[0], 0, payload, true)
		}
		b.replay = b.replay[1:]
	}
	return a, true
}

func (b *broker) enqueue(topic string, q mqttsn.QoS, payload string, retain bool) {
	d := Delivery{Topic: topic, QoS: q, Payload: []byte(payload), Retain: retain}
	if q > 0 {
		b.lastID++
		d.ID = b.lastID
	}
	b.queue = append(b.queue, d)
}

func (b *broker) next() (Delivery, bool) {
	if len(b.queue) == 0 {
		return Delivery{}, false
	}
	d := b.queue[0]
	b.queue = b.queue[1:]
	if d.ID != 0 {
		b.flight = append(b.flight, d)
	}
	return d, true
}
