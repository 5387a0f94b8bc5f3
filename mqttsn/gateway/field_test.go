package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/transport/memnet"
)

// The tests named TestB… are complaints that users of other gateways have
// made, turned into statements, and hold over the whole stack in virtual time.

// TestB01NewSourcePort: a sleeper that a NAT has given another port gets all
// its messages there, under the topic ids that it knows, and nothing goes to
// the old one. The shard of the new address has nothing to do with the old one's.
func TestB01NewSourcePort(t *testing.T) {
	for port := range 20 {
		w := newWorld(t, func(c *Config) { c.AddressMigration = Always })
		app := w.app("app")
		old := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
		id := old.subscribes("cmd", 1)
		old.sleeps(time.Hour)
		app.publish("cmd", "one", 1, false)
		app.publish("cmd", "two", 2, false)

		fresh := w.at(fmt.Sprintf("10.0.0.1:%d", 1000+port)).pings("sleeper")
		if p, ok := fresh.got[0].(*mqttsn.Publish); !ok || p.Topic.ID != id {
			t.Fatalf("at its new port it got %v first, want PUBLISH to topic %d", fresh.got[0], id)
		}
		fresh.wantFlush("one two", "PINGRESP")
		w.pass(30 * time.Minute)
		fresh.pings("").gets("PINGRESP")
		old.gets("").pings("").gets("DISCONNECT")
		w.wantCount("sessions", "asleep", 1)
	}
}

// TestB01ByCONNECT: under the default policy the sensor connects from its new
// port, and has everything too.
func TestB01ByCONNECT(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	old := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	old.subscribes("cmd", 1)
	old.sleeps(time.Hour)
	app.publish("cmd", "one", 1, false)
	fresh := w.at("10.0.0.1:1007").pings("sleeper").gets("DISCONNECT")
	fresh.sends(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("sleeper")})
	fresh.wantFlush("one", "CONNACK")
	old.gets("")
	w.wantCount("sessions", "active", 1)
	w.wantCount("sessions", "asleep", 0)
}

// TestB02ReusedPort: a client that connects from the address at which another
// sleeps has its own session; the sleeper's mail waits for the sleeper.
func TestB02ReusedPort(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app", "will")
	shared := w.at("10.0.0.1:7").connects("c1", false, time.Minute)
	shared.subscribes("cmd", 1)
	shared.sleeps(time.Hour)
	app.publish("cmd", "for c1", 1, false)

	shared.connects("c2", false, time.Minute)
	app.publish("cmd", "also for c1", 1, false)
	shared.pings("").gets("PINGRESP")
	shared.pings("c2").gets("PINGRESP")
	shared.pings("c1").gets("DISCONNECT")
	w.pass(time.Minute)
	shared.pings("").gets("PINGRESP")

	elsewhere := w.at("10.0.0.1:8")
	elsewhere.sends(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("c1")})
	elsewhere.wantFlush("for c1 also for c1", "CONNACK")
	shared.gets("").pings("").gets("PINGRESP")
}

// TestB02Unreachable: the client that lost its address is supervised on: it is
// lost in its time, or at once if nobody would notice its silence.
func TestB02Unreachable(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("10.0.0.1:7")
	s.connects("supervised", true, time.Minute).connects("unsupervised", true, 0).connects("last", true, time.Hour)
	w.wantCount("sessions", "active", 2)
	w.pass(2 * time.Minute)
	w.wantCount("sessions", "active", 1)
	w.wantCount("sessions_ended_total", "keep_alive_timeout", 2)
	s.gets("")
}

// TestB02UnreachableAndBusy: without a keep alive the client that lost its
// address in the middle of something is lost when that has come to its end.
func TestB02UnreachableAndBusy(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("busy", false, 0)
	id := s.subscribes("cmd", 1)
	app.publish("cmd", "x", 1, false)
	s.sends(&mqttsn.Puback{TopicID: id, ID: last[*mqttsn.Publish](s).ID, Reason: mqttsn.Congestion})
	s.connects("next", true, 0)
	w.wantCount("sessions", "active", 2)
	w.pass(time.Hour)
	w.wantCount("sessions", "active", 1)
	s.pings("next").gets("PINGRESP")
	w.audit()
}

// TestB04ManyAtOnce: more messages than the gateway sends in one go come
// before the one PINGRESP all the same, also if nothing is acknowledged.
func TestB04ManyAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sleeper", true, time.Minute)
	s.subscribes("cmd", 0)
	s.sleeps(time.Hour)
	var sent []string
	for i := range 10 * pulls {
		sent = append(sent, fmt.Sprint(i))
		app.publish("cmd", sent[i], 0, false)
	}
	s.gets("").pings("sleeper").wantFlush(strings.Join(sent, " "), "PINGRESP")
	w.audit()
}

// TestB05NothingTwice: what was acknowledged in one wake is not sent in the next.
func TestB05NothingTwice(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	s.subscribes("cmd/#", 2)
	s.sleeps(time.Hour)
	for wake := range 5 {
		var sent []string
		for i := range 7 {
			sent = append(sent, fmt.Sprintf("%d.%d", wake, i))
			app.publish(fmt.Sprintf("cmd/%d", i), sent[i], core.QoS(2-i%3), false)
		}
		s.gets("").pings("sleeper").wantFlush(strings.Join(sent, " "), "PINGRESP")
	}
	s.pings("sleeper").gets("PINGRESP")
}

// TestB08BackByCONNECT: the queue follows CONNACK when a sleeper comes back by
// CONNECT.
func TestB08BackByCONNECT(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(time.Hour)
	app.publish("cmd", "a", 1, false)
	app.publish("cmd", "b", 1, false)
	s.sends(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("sleeper")})
	s.wantFlush("a b", "CONNACK")
	s.pings("").gets("PINGRESP")
}

// TestB09LongSleep: a sleep that is much longer than the keep alive, as long
// as 1.2 can say, is lived through; the will does not come before 1.5 times it.
func TestB09LongSleep(t *testing.T) {
	const longest = 65535 * time.Second
	w := newWorld(t, nil)
	app := w.app("app", "will")
	s := w.at("10.0.0.1:7")
	connectWithWill(s, "sleeper", time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(longest)
	w.pass(longest - time.Minute)
	app.publish("cmd", "x", 1, false)
	app.wants()
	s.gets("").pings("sleeper").wantFlush("x", "PINGRESP")
	w.pass(longest * 3 / 2)
	app.wants("will=lost")
	s.gets("").pings("sleeper").gets("DISCONNECT")
	w.wantCount("sessions_ended_total", "sleep_timeout", 1)
}

func connectWithWill(s *sensor, id string, keepAlive time.Duration) {
	s.w.t.Helper()
	s.sends(&mqttsn.Connect{ProtocolID: 1, Will: true, KeepAlive: keepAlive, ClientID: []byte(id)})
	s.sends(&mqttsn.Willtopic{QoS: 1, Topic: []byte("will")})
	s.sends(&mqttsn.Willmsg{Payload: []byte("lost")})
	s.gets("WILLTOPICREQ WILLMSGREQ CONNACK")
}

// TestB10SleepAskedAgain: the request to sleep may be repeated while asleep:
// it is answered each time, and keeps the queue.
func TestB10SleepAskedAgain(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("sleeper", true, time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(time.Hour)
	app.publish("cmd", "a", 1, false)
	s.sleeps(time.Hour).sleeps(2 * time.Hour)
	app.publish("cmd", "b", 1, false)
	s.sleeps(2*time.Hour).pings("sleeper").wantFlush("a b", "PINGRESP")
}

// TestB11PlainDisconnectAsleep ends the session, is answered, and fires no will.
func TestB11PlainDisconnectAsleep(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app", "will")
	s := w.at("10.0.0.1:7")
	connectWithWill(s, "sleeper", time.Minute)
	s.sleeps(time.Hour).sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	w.pass(3 * time.Hour)
	app.wants()
	w.wantCount("sessions_ended_total", "by_client", 1)
}

// TestB13KeptSession: with CleanSession=0, what came while the client was away
// follows CONNACK in order, and a client that forgot its ids is told them.
func TestB13KeptSession(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	s := w.at("10.0.0.1:7").connects("a", false, time.Minute)
	s.subscribes("cmd", 1)
	s.sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	for _, x := range []string{"1", "2", "3"} {
		app.publish("cmd", x, 1, false)
	}
	back := w.at("10.0.5.5:9").sends(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("a")})
	if len(back.got) != 2 || back.got[1].Type() != mqttsn.TypeRegister {
		t.Fatalf("back, it got %v, want CONNACK and REGISTER", back.got)
	}
	back.wantFlush("1 2 3", "CONNACK")
}

// TestB16AnyPacketAnyState: no legal packet in any state ends the gateway, and
// the client can always connect again.
func TestB16AnyPacketAnyState(t *testing.T) {
	states := map[string]func(*sensor){
		"unknown": func(*sensor) {},
		"connecting": func(s *sensor) {
			s.sends(&mqttsn.Connect{ProtocolID: 1, Will: true, ClientID: []byte("a")})
		},
		"active": func(s *sensor) { s.connects("a", false, time.Minute) },
		"asleep": func(s *sensor) { s.connects("a", false, time.Minute).sleeps(time.Hour) },
		"awake": func(s *sensor) {
			app := s.w.app("app")
			s.connects("a", false, time.Minute).subscribes("cmd", 1)
			s.sleeps(time.Hour)
			app.publish("cmd", "x", 1, false)
			s.pings("a")
		},
		"disconnected": func(s *sensor) { s.connects("a", false, time.Minute).sends(&mqttsn.Disconnect{}) },
	}
	topic := mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("a")}
	packets := []mqttsn.Packet{
		&mqttsn.Advertise{}, &mqttsn.Searchgw{}, &mqttsn.Gwinfo{}, &mqttsn.Connack{},
		&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("a")}, &mqttsn.Connect{ProtocolID: 2, ClientID: []byte("a")},
		&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("b")}, &mqttsn.Connect{ProtocolID: 1, Will: true, ClientID: []byte("b")},
		&mqttsn.Willtopicreq{}, &mqttsn.Willtopic{}, &mqttsn.Willtopic{Topic: []byte("w")}, &mqttsn.Willmsgreq{}, &mqttsn.Willmsg{},
		&mqttsn.Register{Name: []byte("a")}, &mqttsn.Regack{}, &mqttsn.Publish{QoS: 1}, &mqttsn.Publish{QoS: 2, ID: 1},
		&mqttsn.Puback{}, &mqttsn.Pubrec{}, &mqttsn.Pubrel{}, &mqttsn.Pubcomp{}, &mqttsn.Subscribe{Topic: topic}, &mqttsn.Suback{},
		&mqttsn.Unsubscribe{Topic: topic}, &mqttsn.Unsuback{}, &mqttsn.Pingreq{}, &mqttsn.Pingreq{ClientID: []byte("a")},
		&mqttsn.Pingreq{ClientID: []byte("b")}, &mqttsn.Pingresp{}, &mqttsn.Disconnect{}, &mqttsn.Disconnect{Duration: time.Hour},
		&mqttsn.Willtopicupd{}, &mqttsn.Willmsgupd{}, &mqttsn.Willtopicresp{}, &mqttsn.Willmsgresp{},
	}
	for name, enter := range states {
		for _, first := range packets {
			for _, second := range packets {
				w := newWorld(t, nil)
				s := w.at("10.0.0.1:7")
				enter(s)
				s.sends(first).sends(second)
				w.pass(time.Hour)
				s.got = nil
				s.connects("a", true, time.Minute).pings("").gets("PINGRESP")
				if t.Failed() {
					t.Fatalf("%s, then %v, then %v", name, first, second)
				}
			}
		}
	}
}

// TestB17Many: a hundred thousand sleepers fit; one more than the bound is
// told so, and counted; a lost client frees its place.
func TestB17Many(t *testing.T) {
	const many = 100_000
	w := newWorld(t, func(c *Config) { c.MaxSessions = many })
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d:7", 1+i>>16, i>>8&0xff, i&0xff) }
	for i := range many {
		s := w.at(address(i)).connects(fmt.Sprint("sensor ", i), true, time.Minute)
		s.sleeps(time.Hour)
		delete(w.hears, s.source.String())
	}
	w.wantCount("sessions", "asleep", many)
	late := w.at("10.200.0.1:7").sends(&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("late")})
	if a := last[*mqttsn.Connack](late); a.Reason != mqttsn.Congestion {
		t.Errorf("one too many is answered by %v, want congestion", a.Reason)
	}
	w.wantCount("connects_refused_total", "sessions", 1)
	w.pass(91 * time.Minute)
	w.wantCount("sessions_ended_total", "sleep_timeout", many)
	late.connects("late", true, 0)
}

// TestB18QoSMinusOne: a PUBLISH at QoS -1 from an unknown address is passed on
// without a session where that is allowed, counted where not, and never answered.
func TestB18QoSMinusOne(t *testing.T) {
	for _, tt := range []struct {
		from     From
		topics   []uint16
		local    string // what the application gets of those sent from loopback
		distant  string // of those sent from elsewhere
		refused  string // why not
		accepted uint64
	}{
		{Anywhere, nil, "alarm=p ab=s a/name=n", "alarm=p ab=s a/name=n", "", 6},
		{Anywhere, []uint16{1}, "alarm=p", "alarm=p", "topic", 2},
		{Loopback, nil, "alarm=p ab=s a/name=n", "", "source", 3},
		{Nowhere, nil, "", "", "source", 0},
	} {
		w := newWorld(t, func(c *Config) {
			c.QoSMinusOne.From, c.QoSMinusOne.Topics = tt.from, tt.topics
			c.Session.Predefined = map[uint16]string{1: "alarm"}
		})
		app := w.app("app", "#")
		for address, want := range map[string]string{"127.0.0.1:7": tt.local, "10.0.0.1:7": tt.distant} {
			s := w.at(address)
			for _, p := range []*mqttsn.Publish{
				{Topic: mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: 1}, Payload: []byte("p")},
				{Topic: mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'a'<<8 | 'b'}, Payload: []byte("s")},
				{Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("a/name")}, Payload: []byte("n")},
			} {
				p.QoS = mqttsn.QoSMinusOne
				s.sends(p)
			}
			s.gets("")
			app.wants(strings.Fields(want)...)
		}
		w.wantCount("qos_minus_one_total", "accepted", tt.accepted)
		if tt.refused != "" {
			w.wantCount("qos_minus_one_total", tt.refused, 6-tt.accepted)
		}
		w.audit()
		if n := w.g.seats.Load(); n != 0 {
			t.Errorf("QoS -1 made %d sessions", n)
		}
	}
}

// TestB21BetweenForwarders: the latest forwarder and node from which a client
// connects or wakes gets its packets; its siblings are left alone.
func TestB21BetweenForwarders(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AddressMigration = Always })
	app := w.app("app")
	first, sibling := w.at("10.0.0.1:7/0a"), w.at("10.0.0.1:7/0b")
	first.connects("roamer", false, time.Minute).subscribes("cmd", 1)
	sibling.connects("sibling", false, time.Minute)

	second := w.at("10.0.0.2:7/0a").connects("roamer", false, time.Minute)
	first.gets("DISCONNECT")
	app.publish("cmd", "one", 1, false)
	second.wantFlush("one", "")

	second.sleeps(time.Hour)
	app.publish("cmd", "two", 1, false)
	third := w.at("10.0.0.1:7/0c").pings("roamer")
	third.wantFlush("two", "PINGRESP")
	second.gets("")
	first.gets("")
	third.sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	sibling.gets("").pings("").gets("PINGRESP")
}

// TestAckAheadOfEcho: a client that has subscribed to what it publishes gets
// the acknowledgement first, however long the broker takes for it.
func TestAckAheadOfEcho(t *testing.T) {
	for _, d := range []*disk{nil, new(disk)} {
		w := newWorldOn(t, memnet.Config{}, d, nil)
		s := w.at("10.0.0.1:7")
		says := func(p mqttsn.Packet) {
			s.sends(p)
			for range 2 { // CONNACK waits twice
				w.sync()
				w.settle()
			}
		}
		topic := mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'a'<<8 | 'b'}
		says(&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("a")})
		says(&mqttsn.Subscribe{QoS: 2, ID: 1, Topic: topic})
		s.gets("CONNACK SUBACK")
		says(&mqttsn.Publish{QoS: 1, ID: 2, Topic: topic, Payload: []byte("x")})
		s.gets("PUBACK PUBLISH")
	}
}
