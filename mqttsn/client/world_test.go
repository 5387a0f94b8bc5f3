package client

import (
	"fmt"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A world is one client, one station, and a network between them that loses
// and repeats what it is told to. Nothing in it waits.
type world struct {
	t       *testing.T
	now     clock.Time
	c       *Client
	s       station
	fate    func(n int) (copies int) // of the nth datagram
	n       int                      // datagrams so far
	air     []flight
	out     Actions
	ended   []Outcome
	heard   []string // messages at the client, as "topic=payload"
	missing error    // what the client said when it lost its connection
}

type flight struct {
	up    bool
	octet []byte
}

func newWorld(t *testing.T, cfg *Config, fate func(n int) int) *world {
	w := &world{t: t, now: clock.Time(time.Hour), c: New(mqttsn.V12, cfg), fate: fate}
	w.s = station{say: func(p mqttsn.Packet) {
		b, err := mqttsn.Append(nil, mqttsn.V12, p)
		if err != nil {
			t.Fatal(err)
		}
		w.send(false, b)
	}, ids: map[string]uint16{}, taken: map[uint16]bool{}}
	return w
}

func (w *world) send(up bool, b []byte) {
	for range w.fate(w.n) {
		w.air = append(w.air, flight{up, append([]byte(nil), b...)})
	}
	w.n++
}

// do makes a request and lets the world go on until it has ended, and what is
// in the air has come down: a datagram is not held up for hours.
func (w *world) do(request func(clock.Time, *Actions) error) error {
	w.t.Helper()
	w.ended = nil
	w.call(func() {
		if err := request(w.now, &w.out); err != nil {
			w.t.Fatal(err)
		}
	})
	w.until(func() bool { return w.ended != nil && len(w.air) == 0 })
	return w.ended[0].Err
}

// until lets the world go on until done.
func (w *world) until(done func() bool) {
	w.t.Helper()
	for range 10_000 {
		if done() {
			return
		}
		w.step()
	}
	w.t.Fatal("it never comes to an end")
}

// step delivers a datagram or, if there is none, moves time to what is next.
func (w *world) step() {
	if len(w.air) == 0 {
		w.now = max(w.now, clock.Sooner(w.c.Deadline(), w.s.retry))
		w.call(func() { w.c.Tick(w.now, &w.out) })
		w.s.tick(w.now)
		return
	}
	f := w.air[0]
	w.air = w.air[1:]
	p, err := mqttsn.Decode(mqttsn.V12, f.octet)
	if err != nil {
		w.t.Fatalf("%x: %v", f.octet, err)
	}
	if f.up {
		w.s.handle(w.now, p)
	} else {
		w.call(func() { w.c.Handle(w.now, p, &w.out) })
	}
}

func (w *world) call(f func()) {
	w.out.Reset()
	f()
	for b := range w.out.Datagrams {
		w.send(true, b)
	}
	for _, m := range w.out.Messages {
		w.heard = append(w.heard, text(m.Topic)+"="+string(m.Payload))
	}
	if w.out.Ended.Request != 0 {
		w.ended = append(w.ended, w.out.Ended)
	}
	if w.out.Gone != nil {
		w.missing = w.out.Gone
	}
}

// A station is the least gateway that keeps to the specification: it answers
// every repeat in the same words, and repeats what is not answered.
type station struct {
	say    func(mqttsn.Packet)
	ids    map[string]uint16 // of topics that the client knows
	taken  map[uint16]bool   // QoS 2 messages that wait for PUBREL
	heard  []string          // messages from the client
	will   string
	mail   []*mqttsn.Publish // for the client, by name; the first is under way
	asleep bool
	flush  bool
	busy   int // answers CONNECT so often with congestion

	forbidden string // filter that is refused

	packet mqttsn.Packet // unanswered, sent again at retry
	retry  clock.Time
	lastID uint16
}

const stationRetry = 7 * time.Second // out of step with the client's

func (s *station) handle(now clock.Time, p mqttsn.Packet) {
	switch p := p.(type) {
	case *mqttsn.Connect:
		if s.busy > 0 {
			s.busy--
			s.say(&mqttsn.Connack{Reason: mqttsn.Congestion})
			return
		}
		clear(s.ids) // the client may have rebooted, and is told again
		if s.asleep, s.flush = false, false; p.Will {
			s.say(&mqttsn.Willtopicreq{})
			return
		}
		s.say(&mqttsn.Connack{})
	case *mqttsn.Willtopic:
		s.will = string(p.Topic)
		s.say(&mqttsn.Willmsgreq{})
	case *mqttsn.Willmsg:
		s.say(&mqttsn.Connack{})
	case *mqttsn.Willtopicupd:
		s.will = string(p.Topic)
		s.say(&mqttsn.Willtopicresp{})
	case *mqttsn.Willmsgupd:
		s.say(&mqttsn.Willmsgresp{})
	case *mqttsn.Register:
		s.say(&mqttsn.Regack{TopicID: s.id(p.Name), ID: p.ID})
	case *mqttsn.Publish:
		s.onPublish(p)
	case *mqttsn.Pubrel:
		delete(s.taken, p.ID)
		s.say(&mqttsn.Pubcomp{ID: p.ID})
	case *mqttsn.Subscribe:
		if s.forbidden != "" && string(p.Topic.Name) == s.forbidden {
			s.say(&mqttsn.Suback{ID: p.ID, Reason: mqttsn.NotSupported})
			return
		}
		s.say(&mqttsn.Suback{QoS: p.QoS, TopicID: s.id(p.Topic.Name), ID: p.ID})
	case *mqttsn.Unsubscribe:
		s.say(&mqttsn.Unsuback{ID: p.ID})
	case *mqttsn.Disconnect:
		s.asleep, s.flush, s.retry = p.Duration > 0, false, 0
		s.say(&mqttsn.Disconnect{})
	case *mqttsn.Pingreq:
		if s.asleep && len(s.mail) > 0 {
			s.flush = true
			s.deliver(now)
			return
		}
		s.say(&mqttsn.Pingresp{})
	case *mqttsn.Regack:
		s.answered(now, mqttsn.TypeRegister, p.ID)
	case *mqttsn.Puback:
		s.answered(now, mqttsn.TypePublish, p.ID)
	case *mqttsn.Pubrec:
		s.answered(now, mqttsn.TypePublish, p.ID)
	case *mqttsn.Pubcomp:
		s.answered(now, mqttsn.TypePubrel, p.ID)
	}
}

// id returns the topic id of a name, which the client knows from here on.
func (s *station) id(name []byte) uint16 {
	id, ok := s.ids[string(name)]
	if !ok {
		id = uint16(len(s.ids) + 1)
		s.ids[string(name)] = id
	}
	return id
}

func (s *station) onPublish(p *mqttsn.Publish) {
	if p.QoS == 2 && s.taken[p.ID] {
		s.say(&mqttsn.Pubrec{ID: p.ID})
		return
	}
	s.heard = append(s.heard, fmt.Sprintf("%d=%s", p.Topic.ID, p.Payload))
	switch p.QoS {
	case 1:
		s.say(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
	case 2:
		s.taken[p.ID] = true
		s.say(&mqttsn.Pubrec{ID: p.ID})
	}
}

// deliver begins with the first message in the mail: REGISTER where its name
// has no id yet. Nothing more to deliver ends a flush.
func (s *station) deliver(now clock.Time) {
	if s.packet != nil {
		s.await(now, s.packet) // the exchange in which the client fell asleep
		return
	}
	if len(s.mail) == 0 {
		if s.flush {
			s.flush = false
			s.say(&mqttsn.Pingresp{})
		}
		return
	}
	s.lastID++
	m := *s.mail[0]
	id, known := s.ids[string(m.Topic.Name)]
	if !known {
		s.await(now, &mqttsn.Register{TopicID: s.id(m.Topic.Name), ID: s.lastID, Name: m.Topic.Name})
		return
	}
	m.Topic, m.ID = mqttsn.Topic{ID: id}, s.lastID
	if m.QoS == 0 {
		m.ID = 0
		s.say(&m)
		s.mail = s.mail[1:]
		s.deliver(now)
		return
	}
	s.await(now, &m)
}

func (s *station) await(now clock.Time, p mqttsn.Packet) {
	s.packet, s.retry = p, now.Add(stationRetry)
	s.say(p)
}

// answered goes on with what is under way, if it is what was answered.
func (s *station) answered(now clock.Time, t mqttsn.Type, id uint16) {
	if s.packet == nil || s.packet.Type() != t || messageID(s.packet) != id {
		return
	}
	if p, ok := s.packet.(*mqttsn.Publish); ok && p.QoS == 2 {
		s.await(now, &mqttsn.Pubrel{ID: id})
		return
	}
	if t != mqttsn.TypeRegister {
		s.mail = s.mail[1:]
	}
	s.packet, s.retry = nil, 0
	s.deliver(now)
}

func (s *station) tick(now clock.Time) {
	if s.retry.Reached(now) {
		if p, ok := s.packet.(*mqttsn.Publish); ok {
			p.DUP = true
		}
		s.await(now, s.packet)
	}
}

// posts puts a message for the client into the mail and, if the client is not
// asleep, on its way.
func (w *world) posts(topic, payload string, q mqttsn.QoS) {
	w.s.mail = append(w.s.mail, &mqttsn.Publish{QoS: q, Topic: Name(topic), Payload: []byte(payload)})
	if !w.s.asleep && len(w.s.mail) == 1 {
		w.s.deliver(w.now)
	}
}
