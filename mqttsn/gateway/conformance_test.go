package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/transport"
)

// The tests named TestC… are those lines of the conformance checklist, 1.2
// digest §13, that need more than one session to be said; the others are in
// package session.

// TestC01HeaderForms: every packet may come with the short or the long header,
// and one whose Length is not the datagram's is dropped.
func TestC01HeaderForms(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("10.0.0.1:7")
	s.injectHex("08 04 04 01 003c 6869")
	w.settle()
	s.gets("CONNACK")
	s.injectHex("01 000a 04 04 01 003c 6869")
	w.settle()
	s.gets("CONNACK")
	s.injectHex("01 0004 16")
	w.settle()
	s.gets("PINGRESP")

	for _, wrong := range []string{"03 16", "01 0005 16", "02 16 00", "09 04 04 01 003c 6869", "01 ffff 16"} {
		s.injectHex(wrong)
	}
	w.settle()
	s.gets("")
	w.wantCount("datagrams_malformed_total", "length", 5)
}

// TestC17Strangers: whatever needs a connection is answered with DISCONNECT
// where there is none; what only a server sends, or is not to be answered, is
// not.
func TestC17Strangers(t *testing.T) {
	for _, p := range []mqttsn.Packet{
		&mqttsn.Willtopic{Topic: []byte("w")}, &mqttsn.Willtopic{}, &mqttsn.Willmsg{Payload: []byte("x")},
		&mqttsn.Willtopicupd{Topic: []byte("w")}, &mqttsn.Willmsgupd{Payload: []byte("x")},
		&mqttsn.Register{ID: 1, Name: []byte("a")}, &mqttsn.Regack{TopicID: 1, ID: 1},
		&mqttsn.Publish{Topic: mqttsn.Topic{ID: 1}}, &mqttsn.Publish{QoS: 1, ID: 1, Topic: mqttsn.Topic{ID: 1}},
		&mqttsn.Puback{TopicID: 1, ID: 1}, &mqttsn.Pubrec{ID: 1}, &mqttsn.Pubrel{ID: 1}, &mqttsn.Pubcomp{ID: 1},
		&mqttsn.Subscribe{ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("a")}},
		&mqttsn.Unsubscribe{ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("a")}},
		&mqttsn.Pingreq{}, &mqttsn.Pingreq{ClientID: []byte("who")},
		&mqttsn.Disconnect{}, &mqttsn.Disconnect{Duration: time.Hour},
	} {
		w := newWorld(t, nil)
		s := w.at("10.0.0.1:7").sends(p)
		if len(s.got) != 1 || s.got[0].Type() != mqttsn.TypeDisconnect {
			t.Errorf("%v from a stranger is answered by %v, want DISCONNECT", p, s.got)
		}
	}
	for _, p := range []mqttsn.Packet{
		&mqttsn.Connack{}, &mqttsn.Willtopicreq{}, &mqttsn.Willmsgreq{}, &mqttsn.Suback{}, &mqttsn.Unsuback{},
		&mqttsn.Pingresp{}, &mqttsn.Willtopicresp{}, &mqttsn.Willmsgresp{},
		&mqttsn.Advertise{GatewayID: 9}, &mqttsn.Gwinfo{GatewayID: 9},
		&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: 1}},
	} {
		w := newWorld(t, nil)
		w.at("10.0.0.1:7").sends(p).gets("")
	}
}

// TestC17AskedAgain: who was told so once is told so again, and a CONNECT
// makes all well.
func TestC17AskedAgain(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("10.0.0.1:7")
	s.pings("").pings("").gets("DISCONNECT DISCONNECT")
	s.connects("a", true, time.Minute).pings("").gets("PINGRESP")
	s.sends(&mqttsn.Disconnect{}).sends(&mqttsn.Disconnect{}).gets("DISCONNECT DISCONNECT")
}

// TestC20WakeElsewhere: a sleeper that wakes at another address is believed
// under "always"; else it is told to connect, and nothing has happened.
func TestC20WakeElsewhere(t *testing.T) {
	for _, policy := range []Migration{Never, Authenticated, Always} {
		w := newWorld(t, func(c *Config) { c.AddressMigration = policy })
		app := w.app("app")
		here, there := w.at("10.0.0.1:7"), w.at("10.0.9.9:8")
		here.connects("sleeper", false, time.Minute).subscribes("cmd", 1)
		here.sleeps(time.Hour)
		app.publish("cmd", "x", 1, false)

		there.pings("sleeper")
		if policy == Always {
			there.wantFlush("x", "PINGRESP")
			here.gets("")
			w.wantCount("moves_total", "", 1)
			w.wantCount("hijack_attempts_total", "", 0)
			continue
		}
		there.gets("DISCONNECT")
		w.wantCount("hijack_attempts_total", "", 1)
		here.gets("").pings("sleeper").wantFlush("x", "PINGRESP")
	}
}

// TestC20OnlySleepersMove: an active client is not taken away by a PINGREQ
// from elsewhere, whatever the policy.
func TestC20OnlySleepersMove(t *testing.T) {
	for _, policy := range []Migration{Never, Authenticated, Always} {
		w := newWorld(t, func(c *Config) { c.AddressMigration = policy })
		here, there := w.at("10.0.0.1:7"), w.at("10.0.9.9:8")
		here.connects("active", true, time.Minute)
		there.pings("active").gets("DISCONNECT")
		here.gets("").pings("").gets("PINGRESP")
		w.wantCount("hijack_attempts_total", "", 1)
		w.wantCount("moves_total", "", 0)
	}
}

// TestC23Forwarder: two node ids behind one address are two clients, beside a
// third that has the address itself. Envelopes that are none are dropped.
func TestC23Forwarder(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	nodes := []*sensor{w.at("10.0.0.1:7/0a"), w.at("10.0.0.1:7/0a0b"), w.at("10.0.0.1:7")}
	for i, s := range nodes {
		name := string(rune('a' + i))
		s.connects(name, true, time.Minute).subscribes("to/"+name, 0)
	}
	for _, name := range []string{"a", "b", "c"} {
		app.publish("to/"+name, name, 0, false)
	}
	for i, s := range nodes {
		s.wantFlush(string(rune('a'+i)), "")
	}
	nodes[0].sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	nodes[1].pings("").gets("PINGRESP")
	nodes[2].pings("").gets("PINGRESP")

	direct := nodes[2]
	for _, bad := range []string{
		"04fe000a 05fe000b 0c 0216", // nested
		"04fe800a 0216",             // reserved bits of Ctrl
		"03fe00 0216",               // no node
		"04fe000a",                  // nothing inside
		"04fe000a 0316",             // malformed inside
	} {
		direct.injectHex(bad)
	}
	w.settle()
	for _, s := range nodes {
		s.gets("")
	}
	w.wantCount("sessions", "active", 2)
}

// TestC23StrangeForwarder: envelopes from where no forwarder may be are
// dropped, and leave nothing behind.
func TestC23StrangeForwarder(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("203.0.113.1:7/0a")
	s.sends(&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("a")}).sends(&mqttsn.Pingreq{}).gets("")
	w.wantCount("datagrams_dropped_total", "not_a_forwarder", 2)
	w.wantCount("sessions", "active", 0)
}

// TestC24Search: who looks for a gateway gets GWINFO, alone, also when it
// asked by multicast or through a forwarder; but not from a gateway that
// cannot serve, nor on a strange network.
func TestC24Search(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.GatewayID = 42 })
	s := w.at("10.0.0.1:7").sends(&mqttsn.Searchgw{Radius: 1})
	if a := last[*mqttsn.Gwinfo](s); a.GatewayID != 42 || len(a.Address) > 0 {
		t.Errorf("SEARCHGW is answered by %+v, want gateway 42 and no address", a)
	}
	w.net.Multicast(s.source.peer, []byte{3, 1, 1})
	w.settle()
	s.gets("GWINFO")

	for radius, want := range map[uint8]byte{0: 0, 1: 1, 3: 3, 9: 3} {
		w.net.Inject(s.source.peer, []byte{4, 0xfe, 0, 0x0a, 3, 1, radius})
		w.net.Deliver(w.now, w.g.Receive)
		w.g.Step(w.now)
		sent := w.net.Sent(w.now)
		if len(sent) != 1 || string(sent[0].Buf) != string([]byte{4, 0xfe, want, 0x0a, 3, 2, 42}) {
			t.Errorf("SEARCHGW of radius %d through a forwarder is answered by %+v", radius, sent)
		}
	}

	w.at("203.0.113.1:7").sends(&mqttsn.Searchgw{}).gets("")
	w.g.SetReady(false)
	s.sends(&mqttsn.Searchgw{}).gets("")
	w.wantCount("datagrams_dropped_total", "search_refused", 2)
}

// TestC24Multicast: nothing but SEARCHGW is heard by multicast.
func TestC24Multicast(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("10.0.0.1:7")
	for _, p := range []mqttsn.Packet{
		&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("a")}, &mqttsn.Pingreq{}, &mqttsn.Disconnect{},
	} {
		w.net.Multicast(s.source.peer, octets(p))
	}
	w.settle()
	s.gets("")
	w.wantCount("datagrams_dropped_total", "by_multicast", 3)
}

// TestC24Advertise: ADVERTISE comes when the gateway can serve, and then every
// T_ADV, until it cannot or takes leave.
func TestC24Advertise(t *testing.T) {
	group := netip.MustParseAddrPort("225.1.1.1:1884")
	w := newWorld(t, func(c *Config) {
		c.Advertise.Interval, c.Advertise.Addresses = time.Minute, []netip.AddrPort{group}
	})
	all := w.at(group.String())
	w.g.SetReady(false)
	w.pass(time.Hour)
	all.gets("")
	w.g.SetReady(true)
	w.pass(0)
	if a := last[*mqttsn.Advertise](all); a.GatewayID != 1 || a.Duration != time.Minute {
		t.Errorf("ADVERTISE is %+v", a)
	}
	w.pass(time.Minute - time.Second)
	all.gets("")
	w.pass(2 * time.Minute)
	all.gets("ADVERTISE ADVERTISE")
	w.g.SetReady(false)
	w.pass(time.Hour)
	all.gets("")
	w.g.SetReady(true)
	w.pass(0)
	all.gets("ADVERTISE")
	w.g.drain()
	w.pass(time.Hour)
	all.gets("")
}

// TestC26Congestion: a CONNECT beyond a bound is answered with congestion, and
// there is room again when somebody goes.
func TestC26Congestion(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions, c.MaxDialogues = 3, 1 })
	connect := func(address, id string, will bool) *sensor {
		return w.at(address).sends(&mqttsn.Connect{ProtocolID: 1, CleanSession: true, Will: will, ClientID: []byte(id)})
	}
	connect("10.0.0.1:1", "a", true).gets("WILLTOPICREQ")
	if a := last[*mqttsn.Connack](connect("10.0.0.1:2", "b", true)); a.Reason != mqttsn.Congestion {
		t.Errorf("a second will dialogue is answered by %v", a.Reason)
	}
	w.wantCount("connects_refused_total", "dialogues", 1)
	w.pass(time.Minute + time.Second) // the dialogue is given up
	w.at("10.0.0.1:1").got = nil

	for _, id := range []string{"a", "b", "c"} {
		w.at("10.0.0.2:"+string(rune('1'+id[0]-'a'))).connects(id, true, time.Minute)
	}
	if a := last[*mqttsn.Connack](connect("10.0.0.3:1", "d", false)); a.Reason != mqttsn.Congestion {
		t.Errorf("one session too many is answered by %v", a.Reason)
	}
	w.wantCount("connects_refused_total", "sessions", 1)
	w.at("10.0.0.2:1").sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	w.at("10.0.0.3:1").connects("d", true, time.Minute)
}

// TestC27Anything: no datagram, be it malformed, mutilated or out of place,
// makes the gateway panic, answer what is malformed, or forget another client.
func TestC27Anything(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Session.DialogueTimeout = time.Minute })
	canary := w.at("10.1.0.1:1").connects("canary", false, 0)
	seeds := [][]byte{{1}, {1, 0}, {1, 0, 3}, {0, 0}, {2, 0x16}, {0xff, 0xff}, {1, 0xff, 0xff, 0x0c}, {3, 0xfe, 0}}
	for _, p := range []mqttsn.Packet{
		&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("canary")}, &mqttsn.Connect{ProtocolID: 1, Will: true, ClientID: []byte("b")},
		&mqttsn.Willtopic{Topic: []byte("w")}, &mqttsn.Willmsg{Payload: []byte("x")}, &mqttsn.Pingreq{ClientID: []byte("canary")},
		&mqttsn.Register{ID: 1, Name: []byte("a/b")}, &mqttsn.Publish{QoS: 2, ID: 1, Topic: mqttsn.Topic{ID: 1}, Payload: []byte("x")},
		&mqttsn.Subscribe{QoS: 2, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("#")}},
		&mqttsn.Disconnect{Duration: time.Hour}, &mqttsn.Pubrel{ID: 1}, &mqttsn.Regack{ID: 1}, &mqttsn.Searchgw{},
	} {
		seeds = append(seeds, octets(p))
	}
	rng := rand.New(rand.NewPCG(27, 0))
	datagrams := 10_000_000
	if testing.Short() {
		datagrams = 60_000
	}
	for range datagrams {
		b := append([]byte(nil), seeds[rng.IntN(len(seeds))]...)
		for range rng.IntN(3) {
			switch rng.IntN(3) {
			case 0:
				b[rng.IntN(len(b))] = byte(rng.Uint32())
			case 1:
				b = b[:1+rng.IntN(len(b))]
			case 2:
				b = append(b, byte(rng.Uint32()))
			}
		}
		peer := transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, 0, byte(rng.IntN(20))}), 7)}
		w.net.Inject(peer, b)
		w.net.Deliver(w.now, w.g.Receive)
		w.g.Step(w.now)
		for _, d := range w.net.Sent(w.now) {
			if d.Peer == canary.source.peer {
				continue // it was taken over, and told so
			}
			if _, err := mqttsn.Decode(mqttsn.V12, d.Buf); err != nil && !mqttsn.Encapsulated(mqttsn.V12, d.Buf) {
				t.Fatalf("%x is answered by %x: %v", b, d.Buf, err)
			}
		}
		if rng.IntN(100) == 0 {
			w.now = w.now.Add(time.Duration(rng.IntN(60)) * time.Second)
			w.g.Step(w.now)
			w.net.Sent(w.now)
		}
	}
	w.at("10.1.0.1:2").connects("survivor", true, 0).pings("").gets("PINGRESP")
}

// TestRareRetainedAtTheFirstWake: a sleeper whose filter matches one retained message
// among thousands gets it at its first wake, however long the search takes.
func TestRareRetainedAtTheFirstWake(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app")
	for i := range 10_000 {
		app.session.Publish(core.Message{Topic: fmt.Sprintf("x/%d/state", i), Payload: []byte("on"), Retain: true}, 0, func(error) {})
	}
	app.publish("x/last/cmd", "found", 1, true)
	s := w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	s.inject(octets(&mqttsn.Subscribe{QoS: 1, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("x/+/cmd")}}))
	s.sends(&mqttsn.Disconnect{Duration: time.Hour}).gets("SUBACK DISCONNECT")
	s.pings("sleeper").wantFlush("found", "PINGRESP")
}
