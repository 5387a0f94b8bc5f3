package client

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// radio checks what the radio has to know: what was sent, what was sent
// before ("again"), what came that came before, and what is waited for.
func (g *gateway) radio(want string) *gateway {
	g.t.Helper()
	var got []string
	for b, s := range g.out.Sent {
		p, err := mqttsn.Decode(mqttsn.V12, b)
		if err != nil || p.Type() != s.Type {
			g.t.Errorf("sent %x as %v: %v", b, s.Type, err)
		}
		got = append(got, s.Type.String()+again(s.Again))
	}
	for range g.out.Repeats {
		got = append(got, "repeat")
	}
	if p, twice := g.c.Awaits(); p != 0 {
		got = append(got, "awaits "+p.String()+again(twice))
	}
	if s := strings.Join(got, ", "); s != want {
		g.t.Errorf("got [%s]\nwant [%s]", s, want)
	}
	return g
}

func again(is bool) string {
	if is {
		return " again"
	}
	return ""
}

func TestRadio(t *testing.T) {
	g := newGateway(t)
	g.connects(willed).radio("CONNECT, awaits CONNECT")
	g.waits(10 * time.Second).radio("CONNECT again, awaits CONNECT again")
	g.sends(&mqttsn.Willtopicreq{}).radio("WILLTOPIC, awaits WILLTOPIC")
	g.sends(&mqttsn.Willtopicreq{}).radio("WILLTOPIC again, repeat, awaits WILLTOPIC")
	g.sends(&mqttsn.Willmsgreq{}).radio("WILLMSG, awaits WILLMSG")
	g.sends(&mqttsn.Connack{}).radio("")

	g.publishes(Message{Topic: Name("a"), QoS: 2}).radio("REGISTER, awaits REGISTER")
	g.sends(&mqttsn.Regack{TopicID: 7, ID: 1}).radio("PUBLISH, awaits PUBLISH")
	g.waits(10 * time.Second).radio("PUBLISH again, awaits PUBLISH again")
	g.sends(&mqttsn.Pubrec{ID: 2}).radio("PUBREL, awaits PUBREL")
	g.sends(&mqttsn.Pubcomp{ID: 2}).radio("")

	down := &mqttsn.Publish{QoS: 1, Topic: Predefined(1), ID: 3}
	g.sends(down).radio("PUBACK")
	down.DUP = true
	g.sends(down).radio("PUBACK again, repeat")
	down.ID = 4 // lost the first time
	g.sends(down).radio("PUBACK")
	down.QoS, down.DUP = 2, false
	g.sends(down).radio("PUBREC")
	g.sends(down).radio("PUBREC again, repeat")
	g.sends(&mqttsn.Pubrel{ID: 4}).radio("PUBCOMP")
	g.sends(&mqttsn.Pubrel{ID: 4}).radio("PUBCOMP again, repeat")
	g.sends(&mqttsn.Register{TopicID: 8, ID: 5, Name: []byte("b")}).radio("REGACK")
	g.sends(&mqttsn.Register{TopicID: 8, ID: 5, Name: []byte("b")}).radio("REGACK again, repeat")

	g.sleeps(time.Hour).radio("DISCONNECT, awaits DISCONNECT")
	g.sends(&mqttsn.Disconnect{}).radio("")
	g.wakes().radio("PINGREQ, awaits PINGREQ")
	g.waits(10 * time.Second).radio("PINGREQ again, awaits PINGREQ again")
	g.sends(&mqttsn.Publish{Topic: Predefined(1)}).radio("awaits PINGREQ") // the flush has begun
	g.sends(&mqttsn.Pingresp{}).radio("")

	g = connected(t)
	g.waits(45 * time.Second).radio("PINGREQ, awaits PINGREQ")
	g.waits(10 * time.Second).radio("PINGREQ again, awaits PINGREQ again")
	g.sends(&mqttsn.Pingresp{}).radio("")
}

// TestSleeperIsSmall keeps a sleeper with a client id of 20 octets and a topic
// of its own to 500 octets in all.
func TestSleeperIsSmall(t *testing.T) {
	const sleepers, most = 10_000, 500
	cfg := DefaultConfig()
	clients := make([]*Client, sleepers)
	var out Actions
	var now clock.Time = 1
	one := func(i int) {
		c := New(mqttsn.V12, &cfg)
		clients[i] = c
		steps := [...]struct {
			ask    func() error
			answer mqttsn.Packet
		}{
			{func() error {
				return c.Connect(now, Session{ClientID: fmt.Sprintf("sensor-%013d", i), CleanSession: true}, &out)
			}, &mqttsn.Connack{}},
			{func() error { return c.Subscribe(now, Name(fmt.Sprintf("command/%d", i)), 1, &out) },
				&mqttsn.Suback{QoS: 1, TopicID: 1, ID: 1}},
			{func() error { return c.Sleep(now, time.Hour, &out) }, &mqttsn.Disconnect{}},
		}
		for _, s := range steps {
			out.Reset()
			if err := s.ask(); err != nil {
				t.Fatal(err)
			}
			c.Handle(now, s.answer, &out)
		}
		if c.State() != Asleep || len(c.topics) != 1 {
			t.Fatalf("%v with %d topics", c.State(), len(c.topics))
		}
	}
	octets := heap(func() {
		for i := range clients {
			one(i)
		}
	})
	runtime.KeepAlive(clients)
	each := octets / sleepers
	t.Logf("%d octets each", each)
	if each > most {
		t.Errorf("a sleeper takes %d octets, want %d at most", each, most)
	}
}

// TestRequestsDoNotAllocate once who drives the clients has gone warm.
func TestRequestsDoNotAllocate(t *testing.T) {
	cfg := DefaultConfig()
	c := New(mqttsn.V12, &cfg)
	var out Actions
	now := clock.Time(1)
	session := Session{ClientID: "dev", KeepAlive: time.Minute}
	m := Message{Topic: Name("a/b"), Payload: []byte("21.5"), QoS: 2}
	puback, connack, disconnect, pingresp := &mqttsn.Publish{QoS: 1, Topic: Predefined(1), ID: 9}, &mqttsn.Connack{}, &mqttsn.Disconnect{}, &mqttsn.Pingresp{}
	regack, pubrec, pubcomp := &mqttsn.Regack{}, &mqttsn.Pubrec{}, &mqttsn.Pubcomp{}
	day := func() {
		out.Reset()
		c.Sleep(now, time.Hour, &out)
		c.Handle(now, disconnect, &out)
		c.Wake(now, &out)
		c.Handle(now, puback, &out)
		c.Handle(now, pingresp, &out)
		c.Connect(now, session, &out)
		c.Handle(now, connack, &out)
		c.Publish(now, &m, &out)
		regack.TopicID, regack.ID = 7, c.lastID
		c.Handle(now, regack, &out)
		pubrec.ID, pubcomp.ID = c.lastID, c.lastID
		c.Handle(now, pubrec, &out)
		c.Handle(now, pubcomp, &out)
		if out.Ended.Request != ToPublish || out.Ended.Err != nil || len(out.Messages) != 1 {
			t.Fatalf("%+v", out)
		}
	}
	c.Connect(now, session, &out)
	c.Handle(now, connack, &out)
	day()
	// A connection has its topic table, with a name in it.
	if n := testing.AllocsPerRun(100, day); n > 2 {
		t.Errorf("a day allocates %v times, want 2", n)
	}
}

// heap returns how many octets build leaves behind.
func heap(build func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return after.HeapAlloc - before.HeapAlloc
}
