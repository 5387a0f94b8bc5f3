package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/core/store"
	"dormouse/mqttsn"
	"dormouse/mqttsn/transport/memnet"
)

// durableWorld is a world on a disk that keeps what it answers for.
func durableWorld(t testing.TB, change func(*Config)) *world {
	return newWorldOn(t, memnet.Config{}, &disk{memory: store.NewMemory()}, change)
}

// syncs has everything happen until the disk has answered all.
func (w *world) syncs() {
	w.settle()
	for len(w.disk.queue) > 0 {
		w.disk.answer()
		w.settle()
	}
}

// says has the gateway receive p, and the disk answer.
func (s *sensor) says(p mqttsn.Packet) *sensor {
	s.sends(p)
	s.w.syncs()
	return s
}

// killed kills the broker and starts it again.
func (w *world) killed() {
	w.disk.crash(0)
	w.start()
	w.settle()
}

func connectKept(id string) *mqttsn.Connect {
	return &mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte(id)}
}

func publishTo(id uint16, qos mqttsn.QoS, msgID uint16, payload string) *mqttsn.Publish {
	return &mqttsn.Publish{QoS: qos, ID: msgID, Topic: mqttsn.Topic{ID: id}, Payload: []byte(payload)}
}

// settled is a sensor of a durableWorld with a will, subscribed to "cmd", its
// id 1, and with the id 2 for "up".
func settled(w *world) *sensor {
	s := w.at("10.0.0.1:7")
	s.says(&mqttsn.Connect{ProtocolID: 1, Will: true, KeepAlive: time.Minute, ClientID: []byte("a")})
	s.says(&mqttsn.Willtopic{Topic: []byte("will")}).says(&mqttsn.Willmsg{Payload: []byte("gone")})
	s.says(&mqttsn.Subscribe{QoS: 2, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd")}})
	s.says(&mqttsn.Register{ID: 2, Name: []byte("up")})
	s.gets("WILLTOPICREQ WILLMSGREQ CONNACK SUBACK REGACK")
	return s
}

// TestConnectWaitsOnce: CONNACK of a kept session comes after one sync, whether
// or not the session is new.
func TestConnectWaitsOnce(t *testing.T) {
	w := durableWorld(t, nil)
	s := w.at("10.0.0.1:7")
	for _, session := range []string{"new", "kept", "of another address"} {
		s.sends(connectKept("a"))
		w.settle()
		s.gets("")
		for n := len(w.disk.queue); n > 0; n-- { // what is written until then shares the sync
			w.disk.step()
		}
		w.settle()
		s.gets("CONNACK")
		w.syncs()
		if session == "kept" {
			s = w.at("10.0.0.2:7")
		}
	}
}

// TestEveryAnswerWaitsForItsWrite kills the broker at every step of every
// exchange that a sensor may begin. No answer comes before all that it promises
// is durable; when the sensor repeats its request after the restart, without a
// CONNECT, it gets the answer; and of what it published nothing is missing and
// nothing of QoS 2 is there twice.
func TestEveryAnswerWaitsForItsWrite(t *testing.T) {
	asleep := func(s *sensor) { s.says(&mqttsn.Disconnect{Duration: time.Hour}).gets("DISCONNECT") }
	for _, tt := range []struct {
		name   string
		before func(s *sensor)
		from   string // another address
		sends  mqttsn.Packet
		gets   string
		says   []string // what the application hears
		free   bool     // the answer promises nothing
	}{
		{name: "CONNECT", sends: connectKept("a"), gets: "CONNACK"},
		{name: "CONNECT of a sleeper", before: asleep, sends: connectKept("a"), gets: "CONNACK"},
		{name: "CONNECT from elsewhere", from: "10.0.0.9:7", sends: connectKept("a"), gets: "CONNACK"},
		{name: "CONNECT of another", from: "10.0.0.9:7", sends: connectKept("b"), gets: "CONNACK"},
		{name: "REGISTER", sends: &mqttsn.Register{ID: 3, Name: []byte("more")}, gets: "REGACK"},
		{name: "REGISTER of a sleeper", before: asleep, sends: &mqttsn.Register{ID: 3, Name: []byte("more")}, gets: "REGACK"},
		{name: "SUBSCRIBE", sends: &mqttsn.Subscribe{QoS: 1, ID: 3, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("more")}}, gets: "SUBACK"},
		{name: "UNSUBSCRIBE", sends: &mqttsn.Unsubscribe{ID: 3, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd")}}, gets: "UNSUBACK"},
		{name: "PUBLISH 1", sends: publishTo(2, 1, 3, "x"), gets: "PUBACK", says: []string{"up=x"}},
		{name: "PUBLISH 1 of a sleeper", before: asleep, sends: publishTo(2, 1, 3, "x"), gets: "PUBACK", says: []string{"up=x"}},
		{name: "PUBLISH 2", sends: publishTo(2, 2, 3, "x"), gets: "PUBREC", says: []string{"up=x"}},
		{name: "PUBREL", before: func(s *sensor) { s.says(publishTo(2, 2, 3, "x")).gets("PUBREC") },
			sends: &mqttsn.Pubrel{ID: 3}, gets: "PUBCOMP", says: []string{"up=x"}},
		{name: "DISCONNECT with a duration", sends: &mqttsn.Disconnect{Duration: time.Hour}, gets: "DISCONNECT"},
		{name: "DISCONNECT with another", before: asleep, sends: &mqttsn.Disconnect{Duration: 2 * time.Hour}, gets: "DISCONNECT"},
		{name: "WILLTOPICUPD", sends: &mqttsn.Willtopicupd{Topic: []byte("other")}, gets: "WILLTOPICRESP"},
		{name: "WILLMSGUPD", sends: &mqttsn.Willmsgupd{Payload: []byte("other")}, gets: "WILLMSGRESP"},
		{name: "PINGREQ", sends: &mqttsn.Pingreq{}, gets: "PINGRESP", free: true},
		{name: "PINGREQ of a sleeper", before: asleep, sends: &mqttsn.Pingreq{}, gets: "PINGRESP", free: true},
		{name: "PINGREQ of a sleeper with its id", before: asleep, sends: &mqttsn.Pingreq{ClientID: []byte("a")}, gets: "PINGRESP", free: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for steps, answered := 0, false; !answered; steps++ {
				for ahead := range 3 { // how much more than it says the disk has written
					w := durableWorld(t, nil)
					app := w.keptApp()
					s := settled(w)
					if tt.before != nil {
						tt.before(s)
					}
					if tt.from != "" {
						s = w.at(tt.from)
					}
					w.syncs()
					s.sends(tt.sends)
					for range steps {
						if len(w.disk.queue) > 0 {
							w.disk.step()
							w.settle()
						}
					}
					if answered = len(s.got) > 0; answered {
						s.gets(tt.gets)
						if steps == 0 && !tt.free {
							t.Fatal("answered before anything was durable")
						}
					}
					w.disk.crash(ahead)
					w.start()
					app.returns()
					s.says(tt.sends).gets(tt.gets)
					app.wants(t, tt.says...)
					s.goesOn(t)
				}
			}
		})
	}
}

// goesOn checks that a sensor has all that settled gave it, or some of it if
// it is another: nobody has been told to connect.
func (s *sensor) goesOn(t *testing.T) {
	t.Helper()
	if s.w.g.clients.find("b") != nil {
		return
	}
	s.says(publishTo(2, 1, 50, "still up")).gets("PUBACK")
	s.says(&mqttsn.Register{ID: 51, Name: []byte("up")})
	if a := last[*mqttsn.Regack](s); a.TopicID != 2 {
		t.Errorf("the topic id 2 has become %d", a.TopicID)
	}
	s.says(&mqttsn.Disconnect{Duration: time.Hour}).gets("DISCONNECT")
	s.says(&mqttsn.Pingreq{}).gets("PINGRESP")
}

// A keptApp is an application with a kept session at the broker's other edge,
// that takes messages as QoS 2 has it.
type keptApp struct {
	w       *world
	name    string
	session *core.Session
	id      uint16
	open    map[uint16]bool
	got     []string
	unsaid  []core.Message // not acknowledged
	first   uint16         // identifier of the first of them
}

func (a *keptApp) Mail()                {}
func (a *keptApp) Kick(core.KickReason) { a.session = nil }

func (w *world) keptApp() *keptApp {
	a := &keptApp{w: w, name: "app", open: make(map[uint16]bool), first: 1}
	a.returns()
	a.session.Subscribe(core.Subscription{Filter: "#", QoS: 2, NoLocal: true}, func(core.QoS, error) {})
	w.syncs()
	return a
}

// returns connects it, again perhaps, and repeats what was not acknowledged.
func (a *keptApp) returns() {
	a.session = nil
	a.w.core.Open(core.Identity{ClientID: a.name, Edge: "mqtt"}, core.SessionOptions{Expiry: core.Forever}, a, func(s *core.Session, _ bool, err error) {
		if err != nil {
			a.w.t.Fatal(err)
		}
		a.session = s
	})
	for a.session == nil {
		a.w.disk.step()
	}
	again := a.unsaid
	a.unsaid = nil
	a.id = a.first - 1
	for _, m := range again {
		a.publish(m)
	}
}

// says publishes, and lets nothing come of it yet.
func (a *keptApp) says(topic, payload string, qos core.QoS) {
	a.publish(core.Message{Topic: topic, Payload: []byte(payload), QoS: qos})
}

func (a *keptApp) publish(m core.Message) {
	if m.QoS == 0 {
		a.session.Publish(m, 0, func(error) {})
		return
	}
	a.id++
	id, s := a.id, a.session
	a.unsaid = append(a.unsaid, m)
	s.Publish(m, id, func(err error) {
		if err != nil {
			a.w.t.Error(err)
		}
		a.unsaid, a.first = a.unsaid[1:], id+1
	})
}

// listens takes what has come.
func (a *keptApp) listens() {
	for s := a.session; ; {
		d, ok := s.Next()
		if !ok {
			return
		}
		if m := ""; !d.Released && !a.open[d.ID] {
			m = d.Topic + "=" + string(d.Payload)
			if d.QoS != 1 || !slices.Contains(a.got, m) { // at QoS 1 it may come again
				a.got = append(a.got, m)
			}
		}
		switch {
		case d.QoS == 1:
			s.Ack(d.ID)
		case d.QoS == 2:
			a.open[d.ID] = true
			s.Received(d.ID, func(attached bool) {
				if attached {
					delete(a.open, d.ID)
				}
			})
			a.w.disk.then(func() { s.Ack(d.ID) })
		}
	}
}

// then does something when all that was written until now is durable.
func (d *disk) then(do func()) { d.Sync(func(error) { do() }) }

// wants checks what has come; what came at QoS 1 may have come again.
func (a *keptApp) wants(t *testing.T, messages ...string) {
	t.Helper()
	a.w.syncs()
	for range 2 {
		a.listens()
		a.w.syncs()
	}
	got := a.got
	a.got = nil
	if strings.Join(got, " ") != strings.Join(messages, " ") {
		t.Errorf("the application got %q, want %q", got, messages)
	}
}
