package sim

import (
	"hash/fnv"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

const start = clock.Time(time.Hour)

// A gateway is the least that a fleet needs on the other side, on the
// specification: one exchange at a time to each client, nothing repeated but when
// the client is heard, sessions that are never forgotten but on restart.
type gateway struct {
	f        *Fleet
	sessions map[string]*session
	at       map[Endpoint]*session
	names    map[uint16]string // predefined
	answers  []answer
	congest  bool // answers PUBLISH with congestion
	mute     bool
	got      int // datagrams
}

type answer struct {
	to Endpoint
	p  mqttsn.Packet
}

type session struct {
	id       string
	endpoint Endpoint
	will     *mqttsn.Willtopic
	message  []byte
	topics   []string // id is the index, plus one
	filter   string
	asleep   bool
	awake    bool
	queue    []*mqttsn.Publish
	pending  uint16
	lastID   uint16
	connect  mqttsn.Connect
	taken    map[uint16]bool
	told     map[uint16]bool // ids that the client knows on this connection
}

func newGateway(f *Fleet) *gateway {
	return &gateway{f: f, sessions: map[string]*session{}, at: map[Endpoint]*session{}}
}

func (gw *gateway) say(to Endpoint, p mqttsn.Packet) { gw.answers = append(gw.answers, answer{to, p}) }

// restart forgets everything.
func (gw *gateway) restart(now clock.Time) {
	gw.sessions, gw.at = map[string]*session{}, map[Endpoint]*session{}
	gw.f.Restarted(now)
}

func (gw *gateway) handle(now clock.Time, e Endpoint, b []byte) {
	p, err := mqttsn.Decode(mqttsn.V12, append([]byte(nil), b...))
	if err != nil {
		panic(err)
	}
	gw.got++
	if gw.mute {
		return
	}
	s := gw.at[e]
	switch p := p.(type) {
	case *mqttsn.Connect:
		gw.connect(e, p)
		return
	case *mqttsn.Publish:
		if p.QoS == mqttsn.QoSMinusOne {
			gw.heard(now, gw.name(s, p.Topic), p)
			return
		}
	case *mqttsn.Pingreq:
		if len(p.ClientID) > 0 {
			s = gw.sessions[string(p.ClientID)]
			if s != nil {
				gw.bind(s, e)
			}
		}
	}
	if s == nil {
		gw.say(e, &mqttsn.Disconnect{})
		return
	}
	switch p := p.(type) {
	case *mqttsn.Willtopic:
		s.will = &mqttsn.Willtopic{QoS: p.QoS, Retain: p.Retain, Topic: p.Topic}
		gw.say(e, &mqttsn.Willmsgreq{})
	case *mqttsn.Willmsg:
		s.message = p.Payload
		gw.say(e, &mqttsn.Connack{})
	case *mqttsn.Register:
		id := s.topic(string(p.Name))
		s.told[id] = true
		gw.say(e, &mqttsn.Regack{TopicID: id, ID: p.ID})
	case *mqttsn.Regack:
		if p.ID == s.pending {
			s.pending = 0
			s.told[p.TopicID] = true
			gw.flush(s)
		}
	case *mqttsn.Publish:
		gw.publish(now, s, p)
		gw.again(s)
	case *mqttsn.Pubrel:
		delete(s.taken, p.ID)
		gw.say(e, &mqttsn.Pubcomp{ID: p.ID})
	case *mqttsn.Subscribe:
		s.filter = string(p.Topic.Name)
		id := s.topic(s.filter)
		s.told[id] = true
		gw.say(e, &mqttsn.Suback{QoS: p.QoS, TopicID: id, ID: p.ID})
	case *mqttsn.Puback:
		if p.ID == s.pending {
			s.queue, s.pending = s.queue[1:], 0
			gw.flush(s)
		}
	case *mqttsn.Pingreq:
		if s.asleep && len(p.ClientID) > 0 {
			s.awake = true
			s.pending = 0
			gw.flush(s)
			return
		}
		gw.say(e, &mqttsn.Pingresp{})
		gw.again(s)
	case *mqttsn.Disconnect:
		s.asleep, s.awake = p.Duration > 0, false
		if !s.asleep {
			delete(gw.at, e)
		}
		gw.say(e, &mqttsn.Disconnect{})
	}
}

func (gw *gateway) connect(e Endpoint, p *mqttsn.Connect) {
	s := gw.sessions[string(p.ClientID)]
	if s == nil || p.CleanSession || s.connect.CleanSession { // a clean session is not kept
		s = &session{id: string(p.ClientID), taken: map[uint16]bool{}}
		gw.sessions[s.id] = s
	}
	s.told, s.taken = map[uint16]bool{}, map[uint16]bool{} // who connects may have rebooted
	s.asleep, s.awake, s.pending, s.connect = false, false, 0, *p
	gw.bind(s, e)
	if p.Will {
		gw.say(e, &mqttsn.Willtopicreq{})
		return
	}
	gw.say(e, &mqttsn.Connack{})
	gw.flush(s)
}

// bind notes where a client is now, and that nobody else is there.
func (gw *gateway) bind(s *session, e Endpoint) {
	if gw.at[s.endpoint] == s {
		delete(gw.at, s.endpoint)
	}
	s.endpoint, gw.at[e] = e, s
}

func (s *session) topic(name string) uint16 {
	for i, have := range s.topics {
		if have == name {
			return uint16(i + 1)
		}
	}
	s.topics = append(s.topics, name)
	return uint16(len(s.topics))
}

func (gw *gateway) name(s *session, t mqttsn.Topic) string {
	switch t.Kind {
	case mqttsn.TopicPredefined:
		return gw.names[t.ID]
	case mqttsn.TopicShort:
		return string([]byte{byte(t.ID >> 8), byte(t.ID)})
	case mqttsn.TopicName:
		return string(t.Name)
	}
	if s == nil || t.ID == 0 || int(t.ID) > len(s.topics) {
		return ""
	}
	return s.topics[t.ID-1]
}

func (gw *gateway) publish(now clock.Time, s *session, p *mqttsn.Publish) {
	name := gw.name(s, p.Topic)
	switch {
	case name == "":
		gw.say(s.endpoint, &mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID, Reason: mqttsn.InvalidTopicID})
		return
	case gw.congest:
		gw.say(s.endpoint, &mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID, Reason: mqttsn.Congestion})
		return
	}
	if p.QoS == 2 {
		known := s.taken[p.ID]
		s.taken[p.ID] = true
		gw.say(s.endpoint, &mqttsn.Pubrec{ID: p.ID})
		if known {
			return
		}
	}
	gw.heard(now, name, p)
	if p.QoS == 1 {
		gw.say(s.endpoint, &mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
	}
}

func (gw *gateway) heard(now clock.Time, name string, p *mqttsn.Publish) {
	gw.f.Heard(now, name, p.Payload, false)
}

// deliver takes a command over, for whoever is subscribed to it.
func (gw *gateway) deliver(now clock.Time, p *Publication) {
	gw.f.Published(now, p, nil)
	for _, g := range gw.f.groups { // in the order of devices, not of a map
		for n := range g.count {
			s := gw.sessions[g.clientID.of(g.low+n)]
			if s == nil || s.filter != p.Topic {
				continue
			}
			s.lastID++
			q := &mqttsn.Publish{QoS: min(mqttsn.QoS(p.QoS), 1), Topic: mqttsn.Topic{ID: s.topic(p.Topic)}, ID: s.lastID, Payload: p.Payload}
			s.queue = append(s.queue, q)
			if !s.asleep || s.awake {
				gw.flush(s)
			}
		}
	}
}

// again sends what is not answered once more, when the client is heard: a
// gateway without a clock.
func (gw *gateway) again(s *session) {
	if s.pending == 0 || s.asleep {
		return
	}
	s.queue[0].DUP = s.told[s.queue[0].Topic.ID]
	s.pending = 0
	gw.flush(s)
}

// flush sends what there is, and PINGRESP when a sleeper has got it all.
func (gw *gateway) flush(s *session) {
	for len(s.queue) > 0 && s.pending == 0 {
		p := s.queue[0]
		if !s.told[p.Topic.ID] {
			s.lastID++
			s.pending = s.lastID
			gw.say(s.endpoint, &mqttsn.Register{TopicID: p.Topic.ID, ID: s.pending, Name: []byte(s.topics[p.Topic.ID-1])})
			return
		}
		gw.say(s.endpoint, p)
		if p.QoS > 0 {
			s.pending = p.ID
			return
		}
		s.queue = s.queue[1:]
	}
	if s.awake && s.pending == 0 {
		s.awake = false
		gw.say(s.endpoint, &mqttsn.Pingresp{})
	}
}

// A world is a fleet and a gateway in virtual time.
type world struct {
	t    testing.TB
	f    *Fleet
	gw   *gateway
	now  clock.Time
	sum  uint64 // of every datagram, whose it is, and when
	sent map[mqttsn.Type]int
}

func newWorld(t testing.TB, p *Plan) *world {
	t.Helper()
	f, err := New(p, start, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, f: f, gw: newGateway(f), now: start, sent: map[mqttsn.Type]int{}}
}

// until runs the world to d after the start.
func (w *world) until(d time.Duration) {
	end := start.Add(d)
	h := fnv.New64a()
	for {
		next := w.f.Next()
		if next == 0 || next > end {
			break
		}
		if next < w.now {
			w.t.Fatalf("Next goes back from %v to %v", w.now, next)
		}
		w.now = next
		w.f.Step(w.now)
		for e, b := range w.f.Datagrams {
			h.Write(b)
			w.sum = w.sum*31 + h.Sum64() + uint64(e) + uint64(w.now)
			w.gw.handle(w.now, e, b)
		}
		for p := range w.f.Publications {
			w.gw.deliver(w.now, p)
		}
		w.answer()
	}
	w.now = end
	w.f.Step(end)
}

func (w *world) answer() {
	for _, a := range w.gw.answers {
		b, err := mqttsn.Append(nil, mqttsn.V12, a.p)
		if err != nil {
			w.t.Fatal(err)
		}
		w.f.Receive(w.now, a.to, b)
	}
	w.gw.answers = w.gw.answers[:0]
}

func (w *world) stats() *GroupStats {
	var s Stats
	w.f.Stats(&s)
	return &s.Groups[0]
}
