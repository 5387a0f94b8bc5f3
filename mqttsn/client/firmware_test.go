package client

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// running returns a gateway whose client, of these manners, is Active.
func running(t *testing.T, cfg Config, keepAlive time.Duration) *gateway {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, c: New(mqttsn.V12, &cfg), now: clock.Time(time.Hour)}
	g.connects(Session{ClientID: "dev", KeepAlive: keepAlive})
	return g.sends(&mqttsn.Connack{}).gets("done connect", Active)
}

func (g *gateway) later(d time.Duration) *gateway {
	g.now = g.now.Add(d)
	return g
}

// cannot checks that a request is refused, and that nothing is sent.
func (g *gateway) cannot(what func(now clock.Time, out *Actions) error) *gateway {
	g.t.Helper()
	g.refuses(ErrUnsupported, what)
	return g.gets("", g.c.State())
}

func publishing(g *gateway, topic mqttsn.Topic, q mqttsn.QoS) func(clock.Time, *Actions) error {
	return func(now clock.Time, out *Actions) error {
		return g.c.Publish(now, &Message{Topic: topic, QoS: q}, out)
	}
}

// Of emcute.c: syncsend, on_publish, emcute_run.
func TestEmcute(t *testing.T) {
	g := running(t, Emcute(), 0)
	g.publishes(Message{Topic: Name("a"), QoS: 1}).sends(&mqttsn.Regack{TopicID: 7, ID: 1}).gets("PUBLISH", Active)
	for range 3 {
		g.waits(15*time.Second).gets("PUBLISH QoS:1 Topic:7 ID:2", Active) // without DUP
	}
	g.waits(15*time.Second).gets("failed publish (the gateway does not answer)", Active).rests() // but stays
	g.sends(&mqttsn.Disconnect{}).gets("", Active)

	g.subscribes(Name("+"), 1).sends(&mqttsn.Suback{QoS: 1, ID: 3}).gets("done subscribe", Active)
	g.sends(&mqttsn.Register{TopicID: 9, ID: 1, Name: []byte("x")}).gets("", Active)
	g.sends(&mqttsn.Publish{QoS: 1, Topic: mqttsn.Topic{ID: 9}, ID: 2}).gets("PUBACK TopicID:9 ID:2 Reason:invalid topic id", Active)
	for _, p := range []*mqttsn.Publish{
		{QoS: 1, DUP: true, Topic: mqttsn.Topic{ID: 7}, ID: 2},
		{QoS: 2, Topic: mqttsn.Topic{ID: 7}, ID: 2},
		{QoS: 0, Topic: Predefined(7), ID: 2},
	} {
		g.sends(p).gets("PUBACK TopicID:7 ID:2 Reason:not supported", Active)
	}
	g.sends(&mqttsn.Publish{QoS: 1, Topic: mqttsn.Topic{ID: 7}, ID: 2}).gets("PUBACK, message a=", Active)
}

// Of emcute.c: CONFIG_EMCUTE_TOPIC_MAXLEN, EMCUTE_NOTSUP, and what it has no
// function for.
func TestEmcuteCannot(t *testing.T) {
	g := running(t, Emcute(), 0)
	short, _ := Short("ab")
	g.cannot(publishing(g, Name("a"), 2)).
		cannot(publishing(g, short, mqttsn.QoSMinusOne)).
		cannot(publishing(g, short, 1)).
		cannot(publishing(g, Predefined(1), 0)).
		cannot(publishing(g, Name(string(make([]byte, 197))), 0)).
		cannot(func(now clock.Time, out *Actions) error { return g.c.Register(now, string(make([]byte, 197)), out) }).
		cannot(func(now clock.Time, out *Actions) error { return g.c.Subscribe(now, Predefined(1), 0, out) }).
		cannot(func(now clock.Time, out *Actions) error { return g.c.Subscribe(now, Name("a"), 2, out) }).
		cannot(func(now clock.Time, out *Actions) error { return g.c.Sleep(now, time.Hour, out) }).
		cannot(g.c.Wake).
		cannot(func(now clock.Time, out *Actions) error {
			return g.c.UpdateWill(now, &Will{Topic: string(make([]byte, 197))}, out)
		}).
		cannot(func(now clock.Time, out *Actions) error {
			return g.c.Connect(now, Session{ClientID: "dev", Will: &Will{Topic: string(make([]byte, 197))}}, out)
		})
}

// TestEmcuteConnects: without CONNACK it is not connected.
func TestEmcuteConnects(t *testing.T) {
	cfg := Emcute()
	g := &gateway{t: t, c: New(mqttsn.V12, &cfg), now: clock.Time(time.Hour)}
	g.connects(Session{ClientID: "dev"})
	for range 3 {
		g.waits(15*time.Second).gets("CONNECT", Connecting)
	}
	g.waits(15*time.Second).gets("failed connect (the gateway does not answer)", Disconnected).rests()
}

// TestEmcutePings by the clock, and lives on without an answer.
func TestEmcutePings(t *testing.T) {
	g := running(t, Emcute(), 6*time.Minute)
	g.later(5*time.Minute).publishes(Message{Topic: Name("a")}).sends(&mqttsn.Regack{TopicID: 7, ID: 1}).gets("PUBLISH, done publish", Active)
	g.waits(time.Minute).gets("PINGREQ", Active)
	if p, _ := g.c.Awaits(); p != 0 {
		t.Errorf("it awaits the answer to %v", p)
	}
	for range 10 {
		g.waits(6*time.Minute).gets("PINGREQ", Active)
	}
}

// Of MQTTSNClient.h: command_timeout_ms, keepalive, cycle.
func TestPaho(t *testing.T) {
	g := running(t, Paho(), time.Minute)
	g.cannot(publishing(g, Predefined(1), 2))
	g.later(30*time.Second).publishes(Message{Topic: Predefined(1), QoS: 1}).sends(&mqttsn.Puback{ID: 1}).gets("done publish", Active)
	g.waits(time.Minute).gets("PINGREQ", Active).rests()
	if p, _ := g.c.Awaits(); p != 0 {
		t.Errorf("it awaits the answer to %v", p)
	}
	g.sends(&mqttsn.Pingresp{}).waits(time.Minute).gets("PINGREQ", Active) // lost
	g.publishes(Message{Topic: Predefined(1), QoS: 1}).sends(&mqttsn.Puback{ID: 2}).gets("done publish", Active).rests()
	g.sends(&mqttsn.Disconnect{}).gets("", Active)
	g.publishes(Message{Topic: Predefined(1), QoS: 1}).waits(30*time.Second).
		gets("failed publish (the gateway does not answer), gone (the gateway does not answer)", Disconnected)
	g.publishes(Message{Topic: Name("a"), QoS: mqttsn.QoSMinusOne, Payload: []byte("1")}).
		gets(`PUBLISH QoS:-1 Topic:"a" ID:0 Payload:"1"`, Disconnected)
}

// Of mqtt_sn.c: mqtt_sn_connect, process_pubs, process_ping, handle_puback,
// handle_disconnect.
func TestZephyr(t *testing.T) {
	cfg := Zephyr()
	g := &gateway{t: t, c: New(mqttsn.V12, &cfg), now: clock.Time(time.Hour)}
	g.connects(Session{ClientID: "dev"}).waits(10*time.Second).gets("failed connect (the gateway does not answer)", Disconnected)

	g = running(t, Zephyr(), time.Minute)
	g.later(50 * time.Second).publishes(Message{Topic: Predefined(1), QoS: 1})
	g.waits(10*time.Second).gets("PUBLISH, PINGREQ", Active)
	g.later(time.Second).sends(&mqttsn.Pingresp{}, &mqttsn.Puback{ID: 1, Reason: mqttsn.NotSupported}).gets("done publish", Active)
	for range 5 { // the next is due a period after that ping
		g.waits(g.c.Deadline().Sub(g.now)).gets("PINGREQ", Active)
	}
	g.waits(10*time.Second).gets("gone (the gateway does not answer)", Disconnected)
	if got, want := g.now, clock.Time(time.Hour+time.Minute+time.Minute+50*time.Second); got != want {
		t.Errorf("gone at %v, want %v", time.Duration(got), time.Duration(want))
	}
}

// TestZephyrSleeps: it takes the answer for an end, or closes its ears
// without; either way it is only woken by connecting.
func TestZephyrSleeps(t *testing.T) {
	g := running(t, Zephyr(), time.Minute)
	g.sleeps(time.Hour).gets("DISCONNECT", Dozing)
	g.sends(&mqttsn.Disconnect{}).gets("failed sleep (the gateway has ended the connection)", Disconnected).rests()

	g = running(t, Zephyr(), time.Minute)
	g.sleeps(time.Hour).waits(10*time.Second).gets("done sleep", Asleep).rests()
	g.cannot(g.c.Wake)
	g.connects(Session{ClientID: "dev"}).sends(&mqttsn.Connack{}).gets("done connect", Active)
}

// TestSleepTalk (A10): what is published in sleep is registered and
// acknowledged there, and the client sleeps on.
func TestSleepTalk(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Quirks = SleepTalk
	g := running(t, cfg, time.Minute)
	g.sleeps(time.Hour).sends(&mqttsn.Disconnect{}).gets("done sleep", Asleep).rests()

	g.publishes(Message{Topic: Name("a"), QoS: 2}).gets("REGISTER", Asleep)
	g.refuses(ErrBusy, g.c.Wake)
	g.sends(&mqttsn.Publish{QoS: 1, Topic: Predefined(1), ID: 9}).gets("", Asleep) // to a sleeper
	g.sends(&mqttsn.Regack{TopicID: 7, ID: 1}).gets("PUBLISH", Asleep)
	g.waits(10*time.Second).gets("PUBLISH DUP:true QoS:2 Topic:7 ID:2", Asleep)
	g.sends(&mqttsn.Pubrec{ID: 2}).gets("PUBREL", Asleep)
	g.sends(&mqttsn.Pubcomp{ID: 2}).gets("done publish", Asleep).rests()
	g.publishes(Message{Topic: Name("a")}).gets("PUBLISH, done publish", Asleep).rests()
	g.wakes().sends(&mqttsn.Pingresp{}).gets("done wake", Asleep)

	g.publishes(Message{Topic: Name("a"), QoS: 1})
	g.sends(&mqttsn.Disconnect{}).gets("failed publish (the gateway has ended the connection), gone (the gateway has ended the connection)", Disconnected)

	g = running(t, DefaultConfig(), time.Minute)
	g.sleeps(time.Hour).sends(&mqttsn.Disconnect{})
	g.refuses(ErrState, publishing(g, Name("a"), 1))
}

// TestWait: a procedure that met congestion waits, and only that, 1.2 §6.5.
func TestWait(t *testing.T) {
	g := running(t, DefaultConfig(), 0)
	g.publishes(Message{Topic: Name("a"), QoS: 1}).sends(&mqttsn.Regack{ID: 1, Reason: mqttsn.Congestion}).
		gets("failed publish (REGISTER refused: congestion)", Active)
	g.refuses(ErrCongested, publishing(g, Name("a"), 1)).gets("", Active)
	g.publishes(Message{Topic: Predefined(1), QoS: 1}).sends(&mqttsn.Puback{ID: 3, Reason: mqttsn.Congestion}).
		gets("failed publish (PUBLISH refused: congestion)", Active)
	g.refuses(ErrCongested, publishing(g, Predefined(1), 0))
	g.subscribes(Name("a"), 1).sends(&mqttsn.Suback{ID: 4, Reason: mqttsn.Congestion}).
		gets("failed subscribe (SUBSCRIBE refused: congestion)", Active)
	g.refuses(ErrCongested, publishing(g, Name("a"), 1)).refuses(ErrCongested, publishing(g, Predefined(1), 0))
	g.later(5*time.Minute-1).refuses(ErrCongested, func(now clock.Time, out *Actions) error {
		return g.c.Subscribe(now, Name("a"), 1, out)
	})
	g.later(1).subscribes(Name("a"), 1).gets("SUBSCRIBE", Active)
	g.connects(Session{ClientID: "dev"}).sends(&mqttsn.Connack{Reason: mqttsn.Congestion}).
		gets("failed connect (CONNECT refused: congestion)", Disconnected)
	again := func(now clock.Time, out *Actions) error { return g.c.Connect(now, Session{ClientID: "dev"}, out) }
	g.refuses(ErrCongested, again)
	g.later(5*time.Minute).does(again).gets("CONNECT", Connecting)

	cfg := DefaultConfig()
	cfg.Wait = 0
	g = running(t, cfg, 0)
	g.publishes(Message{Topic: Predefined(1), QoS: 1}).sends(&mqttsn.Puback{ID: 1, Reason: mqttsn.Congestion})
	g.publishes(Message{Topic: Predefined(1), QoS: 1}).gets("PUBLISH", Active)
}
