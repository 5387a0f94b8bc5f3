package ledger

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A gateway is a correct one, in one process with its broker, as plain as can
// be. What faults say it does wrong on purpose.
type gateway struct {
	w        *world
	faults   faults
	sessions map[string]*session
	bound    map[int]*session // by address
	retries  int              // N_RETRY
	interval time.Duration    // T_RETRY
	grace    float64          // of supervision
	seen     map[payload.Tag]bool
	lost     payload.Tag
}

// faults are counted down: the one that comes to zero is carried out.
type faults struct {
	loseReport, doubleReport, loseCommand, doubleCommand int
	toSleeper, early, falseWill, swap                    int
	noWill, eagerWill                                    bool
	done                                                 int // carried out
}

func (g *gateway) faulty(n *int) bool {
	if *n == 0 {
		return false
	}
	*n--
	if *n == 0 {
		g.faults.done++
		return true
	}
	return false
}

type gwState int

const (
	away gwState = iota
	dialogue
	active
	asleep
	awake
)

type session struct {
	name     string
	addr     int
	state    gwState
	clean    bool
	keep     time.Duration
	sleep    time.Duration
	dies     clock.Time // supervision
	connect  mqttsn.Connect
	newTopic string
	will     string // topic
	subbed   bool
	granted  mqttsn.QoS
	knows    bool // topic id 100
	held     map[uint16]bool
	queue    []*mail
	flying   *mail
	nextID   uint16
}

type mail struct {
	payload []byte
	qos     mqttsn.QoS
	id      uint16
	step    mqttsn.Type // REGISTER, PUBLISH, PUBREL
	copies  int
	again   clock.Time
	dup     bool
}

func (g *gateway) send(s *session, p mqttsn.Packet) { g.w.down(s.addr, p) }

// dead lets a session go as lost.
func (g *gateway) dead(s *session, will bool) {
	if will && s.will != "" && !g.faults.noWill {
		g.w.will(s.name)
	}
	g.unbind(s)
	if s.clean {
		delete(g.sessions, s.name)
	}
}

func (g *gateway) unbind(s *session) {
	if g.bound[s.addr] == s {
		delete(g.bound, s.addr)
	}
	s.state, s.dies = away, 0
	if s.flying != nil {
		s.flying.again = 0
	}
}

func (g *gateway) supervise(s *session) {
	d := s.keep
	if s.state == asleep || s.state == awake {
		d = s.sleep
	}
	s.dies = 0
	if d > 0 {
		s.dies = g.w.now.Add(time.Duration(float64(d) * g.grace))
	}
	if g.faults.eagerWill && d > 0 {
		s.dies = g.w.now.Add(d / 2)
	}
}

func (g *gateway) tick(now clock.Time) {
	for _, s := range g.w.inOrder(g.sessions) {
		if s.dies.Reached(now) {
			if g.faults.eagerWill {
				g.faults.done++
			}
			g.dead(s, s.state != dialogue)
			continue
		}
		if f := s.flying; f != nil && f.again.Reached(now) {
			f.again = 0
			switch {
			case s.state != active && s.state != awake:
			case f.copies <= g.retries:
				g.transmit(s)
			case s.state == awake:
				s.state = asleep
				g.supervise(s)
			default:
				g.dead(s, true)
			}
		}
	}
}

// next brings the mail on its way, and a sleeper to rest.
func (g *gateway) next(s *session) {
	for s.state == active || s.state == awake {
		if s.flying == nil {
			if len(s.queue) == 0 {
				break
			}
			s.flying, s.queue = s.queue[0], s.queue[1:]
			if s.flying.qos > 0 && g.faulty(&g.faults.loseCommand) {
				s.flying = nil
				continue
			}
		}
		f := s.flying
		if f.again != 0 {
			return
		}
		if !s.knows && f.step == mqttsn.TypePublish {
			f.step = mqttsn.TypeRegister
		}
		if f.id == 0 {
			s.nextID++
			f.id = s.nextID
		}
		f.copies = 0
		g.transmit(s)
		if s.state == awake && f.qos > 0 && g.faulty(&g.faults.early) {
			break
		}
		if s.flying != nil {
			return
		}
	}
	if s.state == awake {
		g.send(s, &mqttsn.Pingresp{})
		s.state = asleep
		g.supervise(s)
		if g.faulty(&g.faults.toSleeper) {
			g.send(s, &mqttsn.Register{TopicID: 101, ID: 9999, Name: []byte("x")})
		}
	}
}

func (g *gateway) transmit(s *session) {
	f := s.flying
	f.copies++
	f.again = g.w.now.Add(g.interval)
	switch f.step {
	case mqttsn.TypeRegister:
		g.send(s, &mqttsn.Register{TopicID: 100, ID: f.id, Name: []byte("cmd")})
	case mqttsn.TypePublish:
		g.send(s, &mqttsn.Publish{DUP: f.dup && f.qos > 0, QoS: f.qos, ID: f.id, Topic: mqttsn.Topic{ID: 100}, Payload: f.payload})
		f.dup = true
		if f.qos == 0 {
			s.flying = nil
		}
	case mqttsn.TypePubrel:
		g.send(s, &mqttsn.Pubrel{ID: f.id})
	}
}

func (g *gateway) finish(s *session) {
	f := s.flying
	s.flying = nil
	if f.qos == 2 && g.faulty(&g.faults.doubleCommand) {
		s.queue = append(s.queue, &mail{payload: f.payload, qos: 2, step: mqttsn.TypePublish})
	}
	g.next(s)
}

// command is what the broker has for a device.
func (g *gateway) command(name string, b []byte, q mqttsn.QoS) {
	s := g.sessions[name]
	if s == nil || !s.subbed {
		return
	}
	s.queue = append(s.queue, &mail{payload: b, qos: min(q, s.granted), step: mqttsn.TypePublish})
	if s.state == active || s.state == awake {
		g.next(s)
	}
}

func (g *gateway) publish(p *mqttsn.Publish) {
	t, ok := payload.Parse(p.Payload)
	if !ok || t == g.lost {
		return
	}
	if !g.seen[t] && g.faulty(&g.faults.loseReport) {
		g.lost = t // with all its copies
		return
	}
	g.seen[t] = true
	if g.faulty(&g.faults.swap) {
		g.w.publishLate(t)
		return
	}
	g.w.publish(t)
	if p.QoS != 1 && g.faulty(&g.faults.doubleReport) {
		g.w.publish(t)
	}
}

func (g *gateway) restart(forgets bool) {
	for _, s := range g.w.inOrder(g.sessions) {
		g.unbind(s)
		if forgets || s.clean {
			delete(g.sessions, s.name)
		}
	}
}

func (g *gateway) receive(addr int, p mqttsn.Packet) {
	now := g.w.now
	s := g.bound[addr]
	switch p := p.(type) {
	case *mqttsn.Connect:
		g.connect(addr, p)
		return
	case *mqttsn.Publish:
		if p.QoS == mqttsn.QoSMinusOne {
			g.publish(p)
			return
		}
	case *mqttsn.Pingreq:
		if s != nil && len(p.ClientID) > 0 && s.name != string(p.ClientID) {
			s = nil
		}
	}
	if s == nil {
		switch p.(type) {
		case *mqttsn.Puback, *mqttsn.Pubrec, *mqttsn.Pubcomp, *mqttsn.Regack, *mqttsn.Pingresp:
		default:
			g.w.down(addr, &mqttsn.Disconnect{})
		}
		return
	}
	if s.state == dialogue {
		switch p := p.(type) {
		case *mqttsn.Willtopic:
			s.newTopic = string(p.Topic)
			g.send(s, &mqttsn.Willmsgreq{})
		case *mqttsn.Willmsg:
			if s.newTopic != "" {
				s.will = s.newTopic
				g.open(s)
			}
		}
		return
	}
	if s.state != awake {
		g.supervise(s)
	}
	switch p := p.(type) {
	case *mqttsn.Willmsg:
		if s.state == active {
			g.send(s, &mqttsn.Connack{})
		}
	case *mqttsn.Register:
		g.send(s, &mqttsn.Regack{TopicID: 1, ID: p.ID})
	case *mqttsn.Publish:
		switch p.QoS {
		case 0:
			g.publish(p)
		case 1:
			g.publish(p)
			g.send(s, &mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
		case 2:
			if !s.held[p.ID] {
				s.held[p.ID] = true
				g.publish(p)
			}
			g.send(s, &mqttsn.Pubrec{ID: p.ID})
		}
	case *mqttsn.Pubrel:
		delete(s.held, p.ID)
		g.send(s, &mqttsn.Pubcomp{ID: p.ID})
	case *mqttsn.Subscribe:
		s.subbed, s.granted, s.knows = true, p.QoS, true
		g.send(s, &mqttsn.Suback{QoS: p.QoS, TopicID: 100, ID: p.ID})
	case *mqttsn.Pingreq:
		switch s.state {
		case active:
			g.send(s, &mqttsn.Pingresp{})
			if g.faulty(&g.faults.falseWill) {
				g.w.will(s.name)
			}
		case asleep:
			s.state, s.dies = awake, 0
			if s.flying != nil {
				s.flying.again = 0
			}
			g.next(s)
		case awake:
			if f := s.flying; f != nil && f.again != 0 && f.copies <= g.retries && f.again.Sub(now) < g.interval*3/4 {
				g.transmit(s)
			}
		}
	case *mqttsn.Disconnect:
		g.send(s, &mqttsn.Disconnect{})
		if p.Duration == 0 {
			g.dead(s, false)
			return
		}
		s.state, s.sleep = asleep, p.Duration
		g.supervise(s)
	case *mqttsn.Puback:
		if f := s.flying; f != nil && f.step == mqttsn.TypePublish && f.qos == 1 && f.id == p.ID {
			g.finish(s)
		}
	case *mqttsn.Pubrec:
		if f := s.flying; f != nil && f.qos == 2 && f.id == p.ID && f.step == mqttsn.TypePublish {
			f.step, f.copies, f.again = mqttsn.TypePubrel, 0, 0
			if s.state == active || s.state == awake {
				g.transmit(s)
			}
		}
	case *mqttsn.Pubcomp:
		if f := s.flying; f != nil && f.step == mqttsn.TypePubrel && f.id == p.ID {
			g.finish(s)
		}
	case *mqttsn.Regack:
		if f := s.flying; f != nil && f.step == mqttsn.TypeRegister && f.id == p.ID {
			s.knows, f.step, f.again = true, mqttsn.TypePublish, 0
			g.next(s)
		}
	}
}

func (g *gateway) connect(addr int, p *mqttsn.Connect) {
	name := string(p.ClientID)
	if old := g.bound[addr]; old != nil && old.name != name {
		dies := old.dies
		g.unbind(old)
		old.state, old.dies, old.addr = active, dies, -1
	}
	s := g.sessions[name]
	if s != nil {
		g.unbind(s)
	}
	if s == nil || p.CleanSession || s.clean {
		s = &session{name: name, held: make(map[uint16]bool)}
		g.sessions[name] = s
	}
	s.addr, s.connect, s.newTopic = addr, *p, ""
	s.connect.ClientID = nil
	g.bound[addr] = s
	if p.Will {
		s.state = dialogue
		s.dies = g.w.now.Add(time.Minute)
		g.send(s, &mqttsn.Willtopicreq{})
		return
	}
	g.open(s)
}

func (g *gateway) open(s *session) {
	s.state, s.keep, s.clean, s.knows = active, s.connect.KeepAlive, s.connect.CleanSession, false
	g.supervise(s)
	g.send(s, &mqttsn.Connack{})
	if f := s.flying; f != nil {
		f.again = 0
		if f.step == mqttsn.TypeRegister {
			f.step = mqttsn.TypePublish
		}
	}
	g.next(s)
}
