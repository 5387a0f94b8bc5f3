package storetest

import (
	"errors"
	"slices"
	"sync"

	"pgregory.net/rapid"

	"dormouse/core/store"
)

// A machine does to a store what core might, and what fate might, and knows
// from store.Memory what must be there.
type machine struct {
	t    tb
	kind Kind
	n    func(int) int // chooses a number below
	s    store.Store
	full bool
	log  [][]store.Fact // each Write that was not refused

	mu      sync.Mutex
	durable int // how many of log were answered to be
}

func newMachine(t tb, k Kind, n func(int) int) *machine {
	return &machine{t: t, kind: k, n: n, s: k.Open()}
}

func (m *machine) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"write":       func(*rapid.T) { m.writes() },
		"write again": func(*rapid.T) { m.writes() },
		"ask":         func(*rapid.T) { m.asks() },
		"await":       func(*rapid.T) { m.awaits() },
		"reopen":      func(*rapid.T) { m.reopens() },
	}
	if m.kind.Crash != nil {
		actions["crash"] = func(*rapid.T) { m.crashes() }
	}
	if m.kind.Fill != nil {
		actions["fill"] = func(*rapid.T) { m.fills() }
	}
	return actions
}

func (m *machine) close() {
	if err := m.s.Close(); err != nil {
		m.t.Error(err)
	}
}

func (m *machine) pick(from ...string) string { return from[m.n(len(from))] }

// writes has one to three facts, all or none.
func (m *machine) writes() {
	var facts []store.Fact
	for range 1 + m.n(3) {
		if f := m.fact(append(slices.Concat(m.log...), facts...)); f != nil {
			facts = append(facts, f)
		}
	}
	once := slices.Clone(facts)
	over := false
	for i, f := range once {
		if p, ok := f.(*store.Published); ok {
			once[i] = &store.Published{Seq: p.Seq, Message: p.Message, Author: p.Author, Granted: p.Granted, Receivers: func(yield func(store.Receiver) bool) {
				if over {
					m.t.Error("Receivers were used after the Write")
				}
				p.Receivers(yield)
			}}
		}
	}
	err := m.s.Write(once...)
	over = true
	switch {
	case err == nil && m.full && slices.ContainsFunc(facts, grows):
		m.t.Fatalf("full, and takes %v", shown(facts))
	case err == nil:
		m.log = append(m.log, facts)
	case !m.full || !errors.Is(err, store.ErrFull):
		m.t.Fatalf("Write(%v): %v", shown(facts), err)
	case !slices.ContainsFunc(facts, grows):
		m.t.Fatalf("full, and does not let go: Write(%v): %v", shown(facts), err)
	}
}

// grows reports whether f must be refused where there is no room.
func grows(f store.Fact) bool {
	switch f := f.(type) {
	case *store.Published:
		return !f.Granted && (len(f.Message.Payload) > 0 || !f.Message.Retain)
	case *store.Session:
		return !f.Granted
	case *store.Noted:
		return !f.Granted && f.Value != nil
	case *store.Subscribed, *store.Accepted:
		return true
	}
	return false
}

// asks has whatever was written by now be known as durable once it is said to.
func (m *machine) asks() (answered <-chan error) {
	n, answer := len(m.log), make(chan error, 1)
	m.s.Sync(func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if err == nil {
			m.durable = max(m.durable, n)
		}
		answer <- err
	})
	return answer
}

func (m *machine) awaits() {
	if err := <-m.asks(); err != nil {
		m.t.Fatal(err)
	}
}

// reopens closes the store: all must be there.
func (m *machine) reopens() {
	m.close()
	m.durable = len(m.log)
	m.opens()
}

// crashes has the power go: what was answered must be there, and of the rest
// what came before whatever is.
func (m *machine) crashes() {
	m.mu.Lock()
	durable := m.durable
	m.mu.Unlock()
	m.kind.Crash(m.s)
	m.durable = durable
	m.opens()
}

// opens opens the store and takes as written what is there.
func (m *machine) opens() {
	m.s = m.kind.Open()
	if m.full {
		m.full = false
		m.kind.Fill(m.s, false)
	}
	got := loaded(m.t, m.s)
	for n := len(m.log); n >= m.durable; n-- {
		model := store.NewMemory()
		for _, facts := range m.log[:n] {
			model.Write(facts...)
		}
		if loaded(m.t, model) == got {
			m.log, m.durable = m.log[:n], n
			return
		}
	}
	model := store.NewMemory()
	for _, facts := range m.log[:m.durable] {
		model.Write(facts...)
	}
	m.t.Fatalf("after %d Writes, of which %d were durable:\n%s\nwhat was durable:\n%s",
		len(m.log), m.durable, got, loaded(m.t, model))
}

// fills has no room, or room again: that shows at once.
func (m *machine) fills() {
	m.full = !m.full
	m.kind.Fill(m.s, m.full)
	f := &store.Session{ClientID: "ann", Edge: m.pick("x", "y")}
	err := m.s.Write(f)
	if m.full != errors.Is(err, store.ErrFull) || !m.full && err != nil {
		m.t.Fatalf("full: %v, and Write answers %v", m.full, err)
	}
	if err == nil {
		m.log = append(m.log, []store.Fact{f})
	}
}

// fact is one such as core would write after those of log, or nil.
func (m *machine) fact(log []store.Fact) store.Fact {
	var (
		client                = m.pick("ann", "bob", "eve")
		topic                 = m.pick("a", "!a", "!b")
		share                 = m.pick("", "$share/g/a")
		id                    = uint16(1 + m.n(4))
		seq, messages, flying = past(log)
	)
	facts := []store.Fact{
		&store.Session{ClientID: client, Edge: topic, Granted: m.n(2) > 0},
		&store.Subscribed{ClientID: client, Subscription: store.Subscription{Filter: topic, QoS: store.QoS(m.n(3))}},
		&store.Unsubscribed{ClientID: client, Filter: topic},
		&store.Accepted{ClientID: client, ID: id},
		&store.Released{ClientID: client, ID: id},
		&store.Received{ClientID: client, ID: id},
		&store.Settled{ClientID: client, ID: id},
		&store.Dropped{ClientID: client, Share: share, Seq: uint64(m.n(int(seq) + 1))},
		&store.Unretained{Topic: "a"},
		&store.Began{Run: seq},
		&store.Ended{ClientID: client},
		&store.Noted{Name: topic, Value: []byte(client), Granted: m.n(2) > 0},
		&store.Noted{Name: topic},
	}
	switch n := m.n(22); {
	case n < len(facts):
		return facts[n]
	case n < 17 || seq == 0:
		receivers := []string{"ann", "bob", "eve", "eve $share/g/a"}
		first := m.n(len(receivers))
		receivers = append(receivers[first:], receivers[:first]...)
		return &store.Published{Seq: seq + 1, Message: message(topic, m.pick("", "x")), Receivers: to(receivers[:m.n(5)]...), Author: m.pick("", "x"), Granted: m.n(4) == 0}
	case n < 19:
		old := 1 + uint64(m.n(int(seq)))
		return owed(client+" $share/g/a", old, messages[old])
	case flying[store.Received{ClientID: client, ID: id}]: // an identifier is not taken twice
		return nil
	default:
		return &store.Taken{Receiver: store.Receiver{ClientID: client, Share: share, QoS: 1}, Seq: 1 + uint64(m.n(int(seq))), ID: id}
	}
}

// past is what there has been: the last Seq, messages by theirs, and what may
// be in flight.
func past(log []store.Fact) (seq uint64, messages map[uint64]*store.Message, flying map[store.Received]bool) {
	messages, flying = make(map[uint64]*store.Message), make(map[store.Received]bool)
	for _, f := range log {
		switch f := f.(type) {
		case *store.Published:
			seq = f.Seq
			messages[seq] = f.Message
		case *store.Taken:
			flying[store.Received{ClientID: f.ClientID, ID: f.ID}] = true
		case *store.Settled:
			delete(flying, store.Received(*f))
		case *store.Ended:
			for in := range flying {
				if in.ClientID == f.ClientID {
					delete(flying, in)
				}
			}
		}
	}
	return seq, messages, flying
}
