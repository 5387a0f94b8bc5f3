package gateway

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestDrain: clients that are active and have no kept session are told; nobody
// else notices anything, and nobody can connect.
func TestDrain(t *testing.T) {
	w := newWorld(t, nil)
	app := w.app("app", "will")
	active := w.at("10.0.0.1:7").connects("active", true, time.Minute)
	kept := w.at("10.0.0.2:7").connects("kept", false, time.Minute)
	asleep := w.at("10.0.0.3:7").connects("asleep", true, time.Minute).sleeps(time.Hour)
	willing := w.at("10.0.0.4:7")
	connectWithWill(willing, "willing", time.Minute)
	w.g.drain()
	w.settle()
	active.gets("DISCONNECT")
	kept.gets("")
	asleep.gets("")
	willing.gets("")
	app.wants()
	asleep.pings("asleep").gets("PINGRESP")
	for _, s := range []*sensor{active, kept, w.at("10.0.0.9:7")} {
		s.sends(&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("kept")})
		if a := last[*mqttsn.Connack](s); a.Reason != mqttsn.Congestion {
			t.Errorf("CONNECT is answered by %v", a.Reason)
		}
	}
	kept.pings("").gets("PINGRESP")
	w.wantCount("connects_refused_total", "draining", 3)
	active.sends(&mqttsn.Searchgw{}).gets("")
}

// TestDrainInTheWillDialogue: who is about to connect when we stop is refused,
// and not accepted afterwards.
func TestDrainInTheWillDialogue(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("10.0.0.1:7")
	s.sends(&mqttsn.Connect{ProtocolID: 1, CleanSession: true, Will: true, ClientID: []byte("late")})
	s.sends(&mqttsn.Willtopic{Topic: []byte("will")}).gets("WILLTOPICREQ WILLMSGREQ")
	w.g.drain()
	w.settle()
	if a := last[*mqttsn.Connack](s); a.Reason != mqttsn.Congestion {
		t.Errorf("CONNECT is answered by %v", a.Reason)
	}
	s.sends(&mqttsn.Willmsg{Payload: []byte("gone")}).gets("DISCONNECT")
	w.wantCount("connects_refused_total", "draining", 1)
	w.audit()
}
