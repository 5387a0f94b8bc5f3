package gateway

import (
	"testing"
	"time"

	"dormouse/mqttsn"
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
