package store

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// A Memory is a Store that outlives its broker but not its process: what an
// engine must do, as plainly as it can be put, and a restart for those who
// test what comes after one. It may be loaded again after Close.
type Memory struct {
	mu       sync.Mutex
	began    *Began // nil: never
	sessions map[string]*kept
	messages map[uint64]*held
	retained map[string]signed // by topic
	notes    map[string][]byte // by name
}

// kept is one session.
type kept struct {
	Session
	subs     map[string]Subscription
	accepted map[uint16]bool
	owed     map[place]Receiver // what waits
	flying   []flying           // in the order in which they were taken
}

// A place is where one message waits in a queue.
type place struct {
	seq   uint64
	share string
}

type flying struct {
	Taken
	received bool
}

// held is one message and how many sessions and topics hold on to it.
type held struct {
	*Message
	holders int
}

// signed is which message a topic retains, and whose it is.
type signed struct {
	seq    uint64
	author string
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		sessions: make(map[string]*kept),
		messages: make(map[uint64]*held),
		retained: make(map[string]signed),
		notes:    make(map[string][]byte),
	}
}

func (m *Memory) Sync(then func(error))   { then(nil) }
func (m *Memory) Follow(then func(error)) { then(nil) }
func (m *Memory) Close() error            { return nil }

func (m *Memory) Write(facts ...Fact) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range facts {
		m.write(f)
	}
	return nil
}

func (m *Memory) write(f Fact) {
	switch f := f.(type) {
	case *Began:
		m.began = f
	case *Noted:
		if m.notes[f.Name] = f.Value; f.Value == nil {
			delete(m.notes, f.Name)
		}
	case *Published:
		m.publish(f)
	case *Owed:
		m.owe(f)
	case *Unretained:
		m.unretain(f.Topic)
	case *Session:
		s := m.session(f.ClientID, true)
		s.Session, s.Granted = *f, false
	case *Ended:
		m.end(f.ClientID)
	case *Subscribed:
		m.session(f.ClientID, false).subs[f.Filter] = f.Subscription
	case *Unsubscribed:
		delete(m.session(f.ClientID, false).subs, f.Filter)
	case *Accepted:
		m.session(f.ClientID, false).accepted[f.ID] = true
	case *Released:
		delete(m.session(f.ClientID, false).accepted, f.ID)
	case *Taken:
		m.take(f)
	case *Received:
		s := m.session(f.ClientID, false)
		if i := s.find(f.ID); i >= 0 && !s.flying[i].received {
			s.flying[i].received = true
			m.letGo(s.flying[i].Seq)
		}
	case *Settled:
		s := m.session(f.ClientID, false)
		if i := s.find(f.ID); i >= 0 {
			if !s.flying[i].received {
				m.letGo(s.flying[i].Seq)
			}
			s.flying = slices.Delete(s.flying, i, i+1)
		}
	case *Dropped:
		s := m.session(f.ClientID, false)
		at := place{f.Seq, f.Share}
		if _, ok := s.owed[at]; ok {
			delete(s.owed, at)
			m.letGo(f.Seq)
		}
	}
}

// session finds a session, or makes one, which is kept if that is asked.
func (m *Memory) session(id string, keep bool) *kept {
	s := m.sessions[id]
	if s == nil {
		s = &kept{
			subs:     make(map[string]Subscription),
			accepted: make(map[uint16]bool),
			owed:     make(map[place]Receiver),
		}
		if keep {
			m.sessions[id] = s
		}
	}
	return s
}

func (s *kept) find(id uint16) int {
	return slices.IndexFunc(s.flying, func(f flying) bool { return f.ID == id })
}

func (m *Memory) end(id string) {
	s := m.session(id, false)
	delete(m.sessions, id)
	for at := range s.owed {
		m.letGo(at.seq)
	}
	for _, f := range s.flying {
		if !f.received {
			m.letGo(f.Seq)
		}
	}
}

func (m *Memory) publish(p *Published) {
	h := &held{Message: p.Message, holders: 1} // us, until we have seen all
	m.messages[p.Seq] = h
	for r := range p.Receivers {
		if s := m.sessions[r.ClientID]; s != nil {
			s.owed[place{p.Seq, r.Share}] = r
			h.holders++
		}
	}
	if p.Message.Retain && m.retained[p.Message.Topic].seq < p.Seq {
		m.unretain(p.Message.Topic)
		if len(p.Message.Payload) > 0 {
			m.retained[p.Message.Topic] = signed{p.Seq, p.Author}
			h.holders++
		}
	}
	m.letGo(p.Seq)
}

func (m *Memory) owe(f *Owed) {
	s, at := m.sessions[f.ClientID], place{f.Seq, f.Share}
	if s == nil {
		return
	}
	if _, already := s.owed[at]; !already {
		h := m.messages[f.Seq]
		if h == nil {
			h = &held{Message: f.Message}
			m.messages[f.Seq] = h
		}
		h.holders++
	}
	s.owed[at] = f.Receiver
}

func (m *Memory) take(t *Taken) {
	s, at := m.sessions[t.ClientID], place{t.Seq, t.Share}
	if s == nil {
		return
	}
	if _, waited := s.owed[at]; waited {
		delete(s.owed, at)
	} else if h := m.messages[t.Seq]; h != nil {
		h.holders++
	} else {
		return
	}
	s.flying = append(s.flying, flying{Taken: *t})
}

func (m *Memory) unretain(topic string) {
	if s, ok := m.retained[topic]; ok {
		delete(m.retained, topic)
		m.letGo(s.seq)
	}
}

func (m *Memory) letGo(seq uint64) {
	h := m.messages[seq]
	if h.holders--; h.holders == 0 {
		delete(m.messages, seq)
	}
}

func (m *Memory) Load(visit func(Fact) error) error {
	m.mu.Lock()
	facts := m.facts()
	m.mu.Unlock()
	for _, f := range facts {
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// facts is the present as Load tells it.
func (m *Memory) facts() (facts []Fact) {
	if m.began != nil {
		facts = append(facts, m.began)
	}
	for _, name := range slices.Sorted(maps.Keys(m.notes)) {
		facts = append(facts, &Noted{Name: name, Value: m.notes[name]})
	}
	waiting := make(map[uint64][]Receiver)
	ids := slices.Sorted(maps.Keys(m.sessions))
	for _, id := range ids {
		s := m.sessions[id]
		session := s.Session
		facts = append(facts, &session)
		for _, filter := range slices.Sorted(maps.Keys(s.subs)) {
			facts = append(facts, &Subscribed{ClientID: id, Subscription: s.subs[filter]})
		}
		for _, packet := range slices.Sorted(maps.Keys(s.accepted)) {
			facts = append(facts, &Accepted{ClientID: id, ID: packet})
		}
		for at, r := range s.owed {
			waiting[at.seq] = append(waiting[at.seq], r)
		}
	}
	var unretained []Fact
	for _, seq := range slices.Sorted(maps.Keys(m.messages)) {
		msg, to := m.messages[seq].Message, waiting[seq]
		slices.SortFunc(to, func(a, b Receiver) int {
			return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Share, b.Share))
		})
		p := &Published{Seq: seq, Message: msg, Receivers: slices.Values(to)}
		facts = append(facts, p)
		now, ok := m.retained[msg.Topic]
		if now.seq == seq {
			p.Author = now.author
		}
		if msg.Retain && !ok {
			unretained = append(unretained, &Unretained{Topic: msg.Topic})
		}
	}
	facts = append(facts, unretained...)
	for _, id := range ids {
		for _, f := range m.sessions[id].flying {
			taken := f.Taken
			facts = append(facts, &taken)
			if f.received {
				facts = append(facts, &Received{ClientID: id, ID: f.ID})
			}
		}
	}
	return facts
}
