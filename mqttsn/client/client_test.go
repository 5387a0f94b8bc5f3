package client

import (
	"testing"
	"time"
	"unsafe"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

var (
	willed  = Session{ClientID: "dev", CleanSession: true, Will: &Will{Topic: "gone", Payload: []byte("x"), QoS: 1, Retain: true}}
	reading = Message{Topic: Name("a/b"), Payload: []byte("21")}
)

func TestConnect(t *testing.T) {
	g := newGateway(t)
	g.connects(Session{ClientID: "dev", KeepAlive: time.Minute, CleanSession: true}).
		gets(`CONNECT CleanSession:true ProtocolID:1 KeepAlive:1m0s ClientID:"dev"`, Connecting)
	g.waits(10*time.Second).gets("CONNECT", Connecting)
	g.sends(&mqttsn.Connack{}).gets("done connect", Active)
	g.sends(&mqttsn.Connack{}).gets("", Active) // a repeat
	g.connects(Session{ClientID: "dev"}).gets("CONNECT", Connecting)
	g.sends(&mqttsn.Connack{Reason: mqttsn.Congestion}).
		gets("failed connect (CONNECT refused: congestion)", Disconnected).rests()
}

func TestConnectIsNotAnswered(t *testing.T) {
	g := newGateway(t)
	g.connects(Session{ClientID: "dev"}).gets("CONNECT", Connecting)
	g.waits(10*time.Second).gets("CONNECT", Connecting)
	g.waits(10*time.Second).gets("CONNECT", Connecting)
	g.waits(10*time.Second).gets("failed connect (the gateway does not answer)", Disconnected).rests()
}

func TestWillDialogue(t *testing.T) {
	g := newGateway(t)
	g.connects(willed).gets(`CONNECT Will:true CleanSession:true ProtocolID:1 ClientID:"dev"`, Connecting)
	g.sends(&mqttsn.Willtopicreq{}).gets(`WILLTOPIC QoS:1 Retain:true Topic:"gone"`, Connecting)
	g.sends(&mqttsn.Willtopicreq{}).gets("WILLTOPIC", Connecting) // a repeat
	g.sends(&mqttsn.Willmsgreq{}).gets(`WILLMSG Payload:"x"`, Connecting)
	g.sends(&mqttsn.Willtopicreq{}).gets("WILLTOPIC", Connecting) // a late repeat
	g.waits(10*time.Second).gets("WILLMSG", Connecting)           // which does not lead astray
	g.waits(10*time.Second).gets("CONNECT", Connecting)           // from the beginning, to meet again
	g.sends(&mqttsn.Connack{}).gets("done connect", Active)
}

// TestGatewayWithoutWills: CONNACK may come at any step.
func TestGatewayWithoutWills(t *testing.T) {
	g := newGateway(t)
	g.connects(willed).sends(&mqttsn.Connack{}).gets("done connect", Active)
	g.connects(Session{ClientID: "dev"}).sends(&mqttsn.Willtopicreq{}, &mqttsn.Willmsgreq{}).gets("", Connecting)
}

// TestAheadOfConnack: what overtakes CONNACK may be of the connection before,
// whose ids stand for nothing. It is dropped, and taken when it is repeated.
func TestAheadOfConnack(t *testing.T) {
	g := newGateway(t).connects(Session{ClientID: "dev"}).gets(`CONNECT ProtocolID:1 ClientID:"dev"`, Connecting)
	early := &mqttsn.Publish{Topic: Predefined(9), QoS: 1, ID: 5, Payload: []byte("1")}
	told := &mqttsn.Register{TopicID: 3, ID: 6, Name: []byte("a/b")}
	g.sends(early, told).gets("", Connecting)
	g.sends(&mqttsn.Connack{}).gets("done connect", Active)
	early.DUP = true
	g.sends(early).gets("PUBACK TopicID:9 ID:5 Reason:accepted, message #9=1", Active)
	g.publishes(reading).gets(`REGISTER TopicID:0 ID:1 Name:"a/b"`, Active)
}

// TestDialogueForgotten: a gateway that no longer knows of the dialogue says
// DISCONNECT; so does one that acknowledges an earlier goodbye late.
func TestDialogueForgotten(t *testing.T) {
	g := newGateway(t)
	g.connects(willed).sends(&mqttsn.Willtopicreq{}).gets("WILLTOPIC", Connecting)
	g.sends(&mqttsn.Disconnect{}).gets("", Connecting)
	g.waits(10*time.Second).gets("CONNECT", Connecting)
	g.sends(&mqttsn.Willtopicreq{}).gets("WILLTOPIC", Connecting)
}

func TestWillUpdate(t *testing.T) {
	g := connected(t)
	g.updatesWill(Will{Topic: "w", QoS: 2, Payload: []byte("y")}).gets(`WILLTOPICUPD QoS:2 Topic:"w"`, Active)
	g.sends(&mqttsn.Willtopicresp{}).gets(`WILLMSGUPD Payload:"y"`, Active)
	g.sends(&mqttsn.Willtopicresp{}).gets("", Active) // a repeat
	g.sends(&mqttsn.Willmsgresp{}).gets("done update will", Active)
	g.updatesWill(Will{}).gets("WILLTOPICUPD", Active)
	g.sends(&mqttsn.Willtopicresp{}).gets("done update will", Active)
	g.updatesWill(Will{Topic: "w"}).sends(&mqttsn.Willtopicresp{Reason: mqttsn.NotSupported}).
		gets("failed update will (WILLTOPICUPD refused: not supported)", Active)
}

func TestPublishByName(t *testing.T) {
	g := connected(t)
	g.publishes(reading).gets(`REGISTER TopicID:0 ID:1 Name:"a/b"`, Active)
	g.sends(&mqttsn.Regack{TopicID: 7, ID: 9}).gets("", Active) // not ours
	g.sends(&mqttsn.Regack{TopicID: 7, ID: 1}).
		gets(`PUBLISH QoS:0 Topic:7 ID:0 Payload:"21", done publish`, Active)
	g.publishes(reading).gets("PUBLISH, done publish", Active) // it is known now
	g.publishes(Message{Topic: Name("c"), QoS: 1}).
		sends(&mqttsn.Regack{ID: 2, Reason: mqttsn.Congestion}).
		gets("failed publish (REGISTER refused: congestion)", Active)
}

func TestPublishQoS1(t *testing.T) {
	g := connected(t)
	m := Message{Topic: Predefined(7), QoS: 1, Payload: []byte("21"), Retain: true}
	g.publishes(m).gets(`PUBLISH QoS:1 Retain:true Topic:predefined:7 ID:1 Payload:"21"`, Active)
	g.waits(10*time.Second).gets(`PUBLISH DUP:true QoS:1 Retain:true Topic:predefined:7 ID:1 Payload:"21"`, Active)
	g.refuses(ErrBusy, func(now clock.Time, out *Actions) error { return g.c.Publish(now, &m, out) })
	g.sends(&mqttsn.Puback{ID: 1}).gets("done publish", Active) // RSMB leaves TopicID out
	g.publishes(m).sends(&mqttsn.Puback{ID: 2, Reason: mqttsn.InvalidTopicID}).
		gets("failed publish (PUBLISH refused: invalid topic id)", Active)
}

func TestPublishQoS2(t *testing.T) {
	g := connected(t)
	short, _ := Short("ab")
	g.publishes(Message{Topic: short, QoS: 2}).gets(`PUBLISH QoS:2 Topic:short:"ab" ID:1`, Active)
	g.waits(10*time.Second).gets("PUBLISH", Active)
	g.sends(&mqttsn.Pubrec{ID: 1}).gets("PUBREL", Active)
	g.sends(&mqttsn.Pubrec{ID: 1}).gets("", Active)
	g.waits(10*time.Second).gets("PUBREL", Active)
	g.sends(&mqttsn.Pubcomp{ID: 1}).gets("done publish", Active)
	g.sends(&mqttsn.Pubcomp{ID: 1}).gets("", Active)
}

// TestTopicIDRefused: the gateway has lost the id. The message gets a new one,
// once; at QoS 0 it is the next message that does.
func TestTopicIDRefused(t *testing.T) {
	g := connected(t)
	m := reading
	m.QoS = 1
	g.publishes(m).sends(&mqttsn.Regack{TopicID: 7, ID: 1}).gets("PUBLISH", Active)
	g.sends(&mqttsn.Puback{TopicID: 7, ID: 2, Reason: mqttsn.InvalidTopicID}).gets("REGISTER", Active)
	g.sends(&mqttsn.Regack{TopicID: 8, ID: 3}).gets(`PUBLISH QoS:1 Topic:8 ID:4 Payload:"21"`, Active)
	g.sends(&mqttsn.Puback{TopicID: 8, ID: 4, Reason: mqttsn.InvalidTopicID}).
		gets("failed publish (PUBLISH refused: invalid topic id)", Active)

	g.publishes(reading).sends(&mqttsn.Regack{TopicID: 9, ID: 5}).gets("PUBLISH, done publish", Active)
	g.sends(&mqttsn.Puback{TopicID: 9, Reason: mqttsn.InvalidTopicID}).gets("", Active)
	g.publishes(reading).gets("REGISTER", Active)
}

// TestTopicIDsEndWithTheConnection, also where the session goes on.
func TestTopicIDsEndWithTheConnection(t *testing.T) {
	g := connected(t)
	g.publishes(reading).sends(&mqttsn.Regack{TopicID: 7, ID: 1}).gets("PUBLISH, done publish", Active)
	g.connects(Session{ClientID: "dev"}).sends(&mqttsn.Connack{}).gets("done connect", Active)
	g.publishes(reading).gets("REGISTER", Active)
}

// TestPublishMinusOne needs no connection, and disturbs none.
func TestPublishMinusOne(t *testing.T) {
	g := newGateway(t)
	m := Message{Topic: Name("a/b"), QoS: mqttsn.QoSMinusOne, Payload: []byte("21")}
	g.publishes(m).gets(`PUBLISH QoS:-1 Topic:"a/b" ID:0 Payload:"21"`, Disconnected).rests()
	g.connects(Session{ClientID: "dev"}).publishes(m).gets("PUBLISH", Connecting)
	g.sends(&mqttsn.Connack{}).gets("done connect", Active)
}

func TestSubscribe(t *testing.T) {
	g := connected(t)
	g.subscribes(Name("a/b"), 2).gets(`SUBSCRIBE QoS:2 ID:1 Topic:"a/b"`, Active)
	g.waits(10*time.Second).gets(`SUBSCRIBE DUP:true QoS:2 ID:1 Topic:"a/b"`, Active)
	g.sends(&mqttsn.Suback{QoS: 1, TopicID: 7, ID: 1}).gets("done subscribe", Active)
	if q := g.out.Ended.QoS; q != 1 {
		t.Errorf("granted QoS %v, want 1", q)
	}
	g.sends(&mqttsn.Publish{Topic: mqttsn.Topic{ID: 7}, Payload: []byte("on")}).gets("message a/b=on", Active)
	g.subscribes(Predefined(3), 0).sends(&mqttsn.Suback{ID: 2, Reason: mqttsn.InvalidTopicID}).
		gets("failed subscribe (SUBSCRIBE refused: invalid topic id)", Active)
	g.does(func(now clock.Time, out *Actions) error { return g.c.Unsubscribe(now, Name("a/b"), out) }).
		gets(`UNSUBSCRIBE ID:3 Topic:"a/b"`, Active)
	g.waits(10*time.Second).gets("UNSUBSCRIBE", Active)
	g.sends(&mqttsn.Unsuback{ID: 3}).gets("done unsubscribe", Active)
}

// TestReceive: REGISTER may come at any time, again and for names that are
// known; each gets its REGACK.
func TestReceive(t *testing.T) {
	g := connected(t)
	g.sends(&mqttsn.Publish{QoS: 1, Topic: mqttsn.Topic{ID: 7}, ID: 4}).
		gets("PUBACK TopicID:7 ID:4 Reason:invalid topic id", Active)
	g.sends(&mqttsn.Register{TopicID: 7, ID: 5, Name: []byte("a/b")}).gets("REGACK TopicID:7 ID:5 Reason:accepted", Active)
	g.sends(&mqttsn.Register{TopicID: 7, ID: 5, Name: []byte("a/b")}).gets("REGACK", Active)
	g.sends(&mqttsn.Register{TopicID: 0, ID: 6, Name: []byte("a/c")}).
		gets("REGACK TopicID:0 ID:6 Reason:invalid topic id", Active)
	g.sends(&mqttsn.Publish{QoS: 1, Topic: mqttsn.Topic{ID: 7}, ID: 4, Payload: []byte("1")}).
		gets("PUBACK, message a/b=1", Active)
	g.sends(&mqttsn.Publish{Topic: Predefined(9), Payload: []byte("2")}).
		gets("message #9=2", Active)
	short, _ := Short("ab")
	g.sends(&mqttsn.Publish{Topic: short, Payload: []byte("3")}).gets("message ab=3", Active)
	g.sends(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: short}).gets("", Active)
}

// TestReceiveQoS2 once, however often it comes.
func TestReceiveQoS2(t *testing.T) {
	g := connected(t)
	p := &mqttsn.Publish{QoS: 2, Topic: Predefined(9), ID: 4, Payload: []byte("1")}
	g.sends(p).gets("PUBREC, message #9=1", Active)
	g.sends(p).gets("PUBREC", Active)
	g.sends(&mqttsn.Pubrel{ID: 4}).gets("PUBCOMP", Active)
	g.sends(&mqttsn.Pubrel{ID: 4}).gets("PUBCOMP", Active)
	g.sends(p).gets("PUBREC, message #9=1", Active) // a new one
}

// TestTopicsAreBounded: a gateway can make us remember so much and no more.
func TestTopicsAreBounded(t *testing.T) {
	g := connected(t)
	for id := range uint16(100) {
		g.sends(&mqttsn.Register{TopicID: id + 1, ID: id, Name: []byte{'t', byte(id)}}).gets("REGACK", Active)
	}
	if n := len(g.c.topics); n != testConfig.MaxTopics {
		t.Errorf("%d topics are remembered, want %d", n, testConfig.MaxTopics)
	}
	g.sends(&mqttsn.Publish{Topic: mqttsn.Topic{ID: 100}}).gets("message tc=", Active)
	g.sends(&mqttsn.Publish{Topic: mqttsn.Topic{ID: 1}}).gets("PUBACK", Active)
	for id := range uint16(100) {
		g.sends(&mqttsn.Publish{QoS: 2, ID: id, Topic: Predefined(1)})
	}
	if n := len(g.c.taken); n != maxTaken {
		t.Errorf("%d message ids are remembered, want %d", n, maxTaken)
	}
}

// TestKeepAlive: an answer begins the period anew; a lost ping is repeated
// well within it, and a gateway that says nothing is given up.
func TestKeepAlive(t *testing.T) {
	g := connected(t)
	g.waits(45*time.Second).gets("PINGREQ", Active)
	g.waits(10*time.Second).gets("PINGREQ", Active)
	g.sends(&mqttsn.Pingresp{}).gets("", Active)
	g.waits(45*time.Second).gets("PINGREQ", Active)
	g.waits(10*time.Second).gets("PINGREQ", Active)
	g.waits(10*time.Second).gets("PINGREQ", Active)
	g.waits(10*time.Second).gets("gone (the gateway does not answer)", Disconnected).rests()

	g = newGateway(t)
	g.connects(Session{ClientID: "dev"}).sends(&mqttsn.Connack{}).gets("done connect", Active).rests()
	g.sends(&mqttsn.Pingreq{}).gets("PINGRESP", Active)
}

func TestSleep(t *testing.T) {
	g := connected(t)
	g.sleeps(time.Hour).gets("DISCONNECT Duration:1h0m0s", Dozing)
	g.sends(&mqttsn.Publish{QoS: 1, ID: 1, Topic: Predefined(1)}).gets("PUBACK, message #1=", Dozing)
	g.waits(10*time.Second).gets("DISCONNECT", Dozing)
	g.sends(&mqttsn.Disconnect{}).gets("done sleep", Asleep).rests()
	g.sends(&mqttsn.Disconnect{}).gets("", Asleep) // nobody listens
	g.wakes().gets(`PINGREQ ClientID:"dev"`, Awake)
	g.waits(10*time.Second).gets("PINGREQ", Awake)
	g.sends(&mqttsn.Register{TopicID: 7, ID: 1, Name: []byte("a/b")}).gets("REGACK", Awake)
	g.sends(&mqttsn.Publish{QoS: 1, ID: 2, Topic: mqttsn.Topic{ID: 7}}).gets("PUBACK, message a/b=", Awake)
	g.waits(10*time.Second).gets("PINGREQ", Awake) // anew, since something came
	g.waits(10*time.Second).gets("PINGREQ", Awake)
	g.sends(&mqttsn.Pingresp{}).gets("done wake", Asleep).rests()
	g.sends(&mqttsn.Publish{Topic: mqttsn.Topic{ID: 7}}).gets("", Asleep)
	g.sleeps(2*time.Hour).sends(&mqttsn.Disconnect{}).gets("done sleep", Asleep)
	if d := g.c.SleepDuration(); d != 2*time.Hour {
		t.Errorf("sleeps for %v, want 2h", d)
	}
	g.connects(Session{ClientID: "dev"}).sends(&mqttsn.Connack{}).gets("done connect", Active)
}

// TestSleepWithoutAnswer: a sensor must be able to close its radio.
func TestSleepWithoutAnswer(t *testing.T) {
	g := connected(t)
	g.sleeps(time.Hour)
	g.waits(10*time.Second).gets("DISCONNECT", Dozing)
	g.waits(10*time.Second).gets("DISCONNECT", Dozing)
	g.waits(10*time.Second).gets("done sleep", Asleep).rests()
	g.wakes()
	g.waits(10 * time.Second)
	g.waits(10 * time.Second)
	g.waits(10*time.Second).
		gets("failed wake (the gateway does not answer), gone (the gateway does not answer)", Disconnected).rests()
}

// TestForgotten: a DISCONNECT that nobody asked for ends everything.
func TestForgotten(t *testing.T) {
	g := connected(t)
	g.sends(&mqttsn.Disconnect{}).gets("gone (the gateway has ended the connection)", Disconnected).rests()
	g = connected(t)
	g.sleeps(time.Hour).sends(&mqttsn.Disconnect{}).wakes().sends(&mqttsn.Disconnect{}).
		gets("failed wake (the gateway has ended the connection), gone (the gateway has ended the connection)", Disconnected)
}

func TestDisconnect(t *testing.T) {
	g := connected(t)
	g.publishes(Message{Topic: Predefined(1), QoS: 1}).gets("PUBLISH", Active)
	g.disconnects().gets("DISCONNECT, failed publish (given up for another request)", Leaving)
	g.waits(10*time.Second).gets("DISCONNECT", Leaving)
	g.sends(&mqttsn.Disconnect{}).gets("done disconnect", Disconnected).rests()
	g.sends(&mqttsn.Disconnect{}).gets("", Disconnected)
	g.refuses(ErrState, g.c.Disconnect).refuses(ErrState, g.c.Wake)
	g.refuses(ErrState, func(now clock.Time, out *Actions) error { return g.c.Publish(now, &reading, out) })
}

func TestAbandon(t *testing.T) {
	abandon := func(g *gateway) *gateway {
		return g.does(func(_ clock.Time, out *Actions) error { g.c.Abandon(out); return nil })
	}
	const why = " (given up for another request)"
	g := newGateway(t)
	abandon(g.connects(willed)).gets("failed connect"+why, Disconnected).rests()
	abandon(connected(t).subscribes(Name("a"), 0)).gets("failed subscribe"+why, Active)
	abandon(connected(t).sleeps(time.Hour)).gets("failed sleep"+why, Asleep).rests()
	abandon(connected(t).disconnects()).gets("failed disconnect"+why, Disconnected).rests()
}

// TestUnwritable: what no packet can say is refused, and nothing has happened.
func TestUnwritable(t *testing.T) {
	g := connected(t)
	for name, request := range map[string]func() error{
		"a sleep of no time": func() error { return g.c.Sleep(g.now, time.Millisecond, &g.out) },
		"a sleep of a day":   func() error { return g.c.Sleep(g.now, 24*time.Hour, &g.out) },
		"an empty topic":     func() error { return g.c.Subscribe(g.now, Name(""), 0, &g.out) },
		"a message of 64 KiB": func() error {
			return g.c.Publish(g.now, &Message{Topic: Predefined(1), Payload: make([]byte, 1<<16)}, &g.out)
		},
		"a name without a connect": func() error { return g.c.Register(g.now, "", &g.out) },
		"a keep alive of a day":    func() error { return g.c.Connect(g.now, Session{KeepAlive: 24 * time.Hour}, &g.out) },
	} {
		g.out.Reset()
		if err := request(); err == nil {
			t.Errorf("%s is taken", name)
		}
		g.gets("", Active)
		if g.c.Busy() {
			t.Errorf("%s is under way", name)
		}
	}
}

// TestSize: a million sleepers are to fit in one process.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Client{}); n > 160 {
		t.Errorf("a Client takes %d octets; it should be within 160", n)
	}
}

func TestConfigValidate(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if err := (&Config{}).Validate(); err == nil {
		t.Error("the zero Config is valid")
	}
}
