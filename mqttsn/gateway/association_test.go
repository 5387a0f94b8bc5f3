package gateway

import (
	"fmt"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

// TestAssociationMoves: a client whose transport numbers its association is
// known by that number, wherever it is: it wakes behind another address and has
// its messages there, by a bare PINGREQ. Another association at its old address
// is another client.
func TestAssociationMoves(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("10.0.0.1:7")
	s.source.peer.Conn = 5
	s.connects("a", true, time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(time.Hour)
	app := w.app("app")
	for i, address := range []string{"10.9.9.9:9", "[2001:db8::1]:9", "10.0.0.1:7"} {
		app.publish("cmd", "told", 1, false)
		w.settle()
		s.gets("")
		moved := w.at(address)
		moved.source.peer.Conn = 5
		moved.pings("").wantFlush("told", "PINGRESP")
		if i > 0 {
			continue
		}
		other := w.at("10.0.0.1:7")
		other.source.peer.Conn = 6
		other.pings("").gets("DISCONNECT")
	}
	w.wantCount("moves_total", "", 0)
	w.wantCount("hijack_attempts_total", "", 0)
	moved := w.at("10.3.3.3:3")
	moved.source.peer.Conn = 5
	moved.sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	w.wantCount("sessions", "asleep", 0)
}

// A lasting network numbers an association anew at every start, and gives it
// the same name.
type lasting struct {
	*memnet.Net
	names map[uint32][8]byte
	last  transport.Peer
}

func (l *lasting) ConnID(n uint32) (name [8]byte, ok bool) {
	name, ok = l.names[n]
	return name, ok
}

func (l *lasting) ConnPeer(name [8]byte) (transport.Peer, bool) {
	return l.last, l.names[l.last.Conn] == name
}

// TestAssociationLasts: after a restart a client is found by the name of its
// association, which has another number, and a bare PINGREQ brings it
// everything. If its association is gone it has to connect.
func TestAssociationLasts(t *testing.T) {
	for _, gone := range []bool{false, true} {
		w := durableWorld(t, nil)
		l := &lasting{Net: w.net, names: map[uint32][8]byte{5: {1, 2, 3, 4, 5, 6, 7, 8}}}
		w.under = l
		w.killed()
		app := w.keptApp()
		s := w.at("10.0.0.1:7")
		s.source.peer.Conn = 5
		s.says(connectKept("a")).says(&mqttsn.Subscribe{QoS: 1, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd")}})
		s.says(&mqttsn.Disconnect{Duration: time.Hour}).gets("CONNACK SUBACK DISCONNECT")
		app.says("cmd", "told", 1)
		w.syncs()
		l.names = map[uint32][8]byte{9: {1, 2, 3, 4, 5, 6, 7, 8}}
		l.last = transport.Peer{Addr: s.source.peer.Addr, Conn: 9}
		if gone {
			l.names = nil
		}
		w.killed()
		s.source.peer.Conn = 9
		s.says(&mqttsn.Pingreq{})
		if gone {
			s.gets("DISCONNECT")
			continue
		}
		if p := last[*mqttsn.Publish](s); string(p.Payload) != "told" {
			t.Errorf("it got %q", p.Payload)
		}
	}
}

// A proving network knows who is at the other end of an association.
type proving struct {
	*memnet.Net
	names map[uint32]string
}

func (p *proving) Identity(at transport.Peer) transport.Identity {
	if p.names[at.Conn] == "" {
		return transport.Identity{}
	}
	return transport.Identity{Proof: transport.ByKey, Name: p.names[at.Conn]}
}

// TestIdentities: where peers prove who they are, core is told, so that another
// identity cannot have a session; a bare PINGREQ by a new association of the same
// one brings it what waits, unless addresses never change; and who has no
// association any more is not heard.
func TestIdentities(t *testing.T) {
	for policy, name := range []string{Never: "never", Authenticated: "authenticated", Always: "always"} {
		t.Run(name, func(t *testing.T) {
			w := durableWorld(t, func(c *Config) { c.AddressMigration = Migration(policy) })
			w.options.BindUsers = true
			under := &proving{w.net, map[uint32]string{1: "ann", 2: "bob", 3: "ann"}}
			w.under = under
			w.killed()
			app := w.keptApp()
			at := func(conn uint32) *sensor {
				s := w.at(fmt.Sprintf("10.0.0.%d:7", conn))
				s.source.peer.Conn = conn
				return s
			}
			s := at(1)
			s.says(connectKept("a")).says(&mqttsn.Subscribe{QoS: 1, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd")}})
			s.says(&mqttsn.Disconnect{Duration: time.Hour}).gets("CONNACK SUBACK DISCONNECT")
			app.says("cmd", "told", 1)
			w.syncs()
			thief := at(2)
			thief.says(&mqttsn.Pingreq{ClientID: []byte("a")}).gets("DISCONNECT")
			thief.says(connectKept("a"))
			if c := last[*mqttsn.Connack](thief); c.Reason == mqttsn.Accepted {
				t.Error("bob has ann's session")
			}
			nobody := at(4)
			nobody.says(connectKept("b"))
			nobody.gets("")
			again := at(3)
			again.says(&mqttsn.Pingreq{ClientID: []byte("a")})
			if Migration(policy) == Never {
				again.gets("DISCONNECT")
				return
			}
			if p := last[*mqttsn.Publish](again); string(p.Payload) != "told" {
				t.Errorf("it got %q", p.Payload)
			}
		})
	}
}
