package session

import (
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// The conformance checklist for 1.2, in its order. C01's datagrams are the
// codec's to refuse; C17, C20, C23 and C24 are about clients that have no session
// yet, or several: the gateway's.

func TestC02Connect(t *testing.T) {
	newPeer(t).sends(connectClean(time.Minute)).gets("CONNACK 0", Active).asked("open dev1")

	v2 := connect(time.Minute)
	v2.ProtocolID = 2
	newPeer(t).sends(v2).gets("CONNACK 3 | gone: refused", Disconnected).asked("")
	active(t).sends(v2).gets("CONNACK 3", Active) // and the connection that exists stays

	for _, id := range []string{"", "a\x00b", "\xff\xfe", strings.Repeat("x", 256)} {
		c := connect(time.Minute)
		c.ClientID = []byte(id)
		newPeer(t).sends(c).gets("CONNACK 3 | gone: refused", Disconnected).asked("")
	}
	c := connect(time.Minute)
	c.ClientID = []byte(strings.Repeat("x", 255))
	newPeer(t).sends(c).gets("CONNACK 0", Active)
}

func TestC03WillDialogue(t *testing.T) {
	topic := &mqttsn.Willtopic{QoS: 1, Topic: []byte("gone/dev1")}
	msg := &mqttsn.Willmsg{Payload: []byte("lost")}

	p := newPeer(t)
	p.sends(connectWill(false)).gets("WILLTOPICREQ", Connecting)
	p.sends(connectWill(false)).gets("WILLTOPICREQ", Connecting) // WILLTOPICREQ was lost
	p.sends(topic).gets("WILLMSGREQ", Connecting)
	p.sends(topic).gets("WILLMSGREQ", Connecting)
	p.sends(ping, publish(short("ab"), 1, 1, "x"), sleepFor(time.Hour)).gets("", Connecting)
	p.sends(msg).gets("CONNACK 0", Active)
	p.sends(msg).gets("CONNACK 0", Active) // CONNACK was lost
	p.asked("open dev1")
	p.waits(90*time.Second).gets("gone: keep-alive timeout", Disconnected)
	p.asked("detach lost | will gone/dev1=lost q1")

	// An empty WILLTOPIC deletes the will and completes the CONNECT, in both
	// spellings, also when repeated.
	for _, empty := range [][]byte{{2, 7}, {3, 7, 0x20}} {
		p := newPeer(t)
		p.b.will = &Will{Topic: "old"}
		p.sends(connectWill(false)).gets("WILLTOPICREQ", Connecting)
		again := append([]byte(nil), empty...)
		p.sendsOctets(empty).gets("CONNACK 0", Active)
		p.sendsOctets(again).gets("CONNACK 0", Active)
		if p.b.will != nil {
			t.Errorf("%x left the will", again)
		}
	}

	// Also when there was a topic before.
	p = newPeer(t).sends(connectWill(false), topic, &mqttsn.Willtopic{}).gets("WILLTOPICREQ | WILLMSGREQ | CONNACK 0", Active)
	if p.b.will != nil {
		t.Errorf("the will is %v", p.b.will)
	}

	// A dialogue that is broken off leaves the old will, and no session for a
	// client that had none.
	p = newPeer(t)
	p.b.will = &Will{Topic: "old"}
	p.sends(connectWill(false), topic).gets("WILLTOPICREQ | WILLMSGREQ", Connecting)
	p.waits(time.Minute).gets("gone: will dialogue timeout", Disconnected).asked("")
	if p.b.will == nil || p.b.will.Topic != "old" {
		t.Error("half a will replaced the old one")
	}

	// Nor is a will accepted for a topic that nobody may publish to.
	bad := &mqttsn.Willtopic{QoS: 1, Topic: []byte("a/#")}
	newPeer(t).sends(connectWill(true), bad).gets("WILLTOPICREQ | CONNACK 3 | gone: refused", Disconnected)
	newPeer(t).sends(connectWill(true), bye).gets("WILLTOPICREQ | DISCONNECT | gone: by client", Disconnected)
}

func TestC04CleanSessionAndWill(t *testing.T) {
	for _, tt := range []struct {
		clean, will bool
		subs        int
		fires       string
	}{
		{true, true, 0, " | will new=w q0"},
		{true, false, 0, ""},
		{false, true, 1, " | will new=w q0"},
		{false, false, 1, " | will old=o q1"}, // kept and armed again
	} {
		p := newPeer(t)
		p.sends(connectWill(false), &mqttsn.Willtopic{QoS: 1, Topic: []byte("old")}, &mqttsn.Willmsg{Payload: []byte("o")},
			subscribe(named("cmd/#"), 1, 1), bye)
		p.s, p.got, p.b.log = New(mqttsn.V12, &p.cfg), nil, nil
		c := connect(time.Minute)
		c.CleanSession, c.Will = tt.clean, tt.will
		p.sends(c)
		if tt.will {
			p.sends(&mqttsn.Willtopic{Topic: []byte("new")}, &mqttsn.Willmsg{Payload: []byte("w")})
			p.gets("WILLTOPICREQ | WILLMSGREQ | CONNACK 0", Active)
		} else {
			p.gets("CONNACK 0", Active)
		}
		if len(p.b.subs) != tt.subs {
			t.Errorf("clean %v, will %v: %d subscriptions, want %d", tt.clean, tt.will, len(p.b.subs), tt.subs)
		}
		p.waits(90 * time.Second).asked("open dev1 | detach lost" + tt.fires)
	}
}

func TestC05WillUpdates(t *testing.T) {
	p := newPeer(t)
	p.sends(connectWill(false), &mqttsn.Willtopic{QoS: 1, Topic: []byte("old")}, &mqttsn.Willmsg{Payload: []byte("o")})
	p.gets("WILLTOPICREQ | WILLMSGREQ | CONNACK 0", Active)
	p.sends(&mqttsn.Willtopicupd{QoS: 2, Topic: []byte("new")}).gets("WILLTOPICRESP rc0", Active)
	p.sends(&mqttsn.Willmsgupd{Payload: []byte("n")}).gets("WILLMSGRESP rc0", Active)
	p.sends(&mqttsn.Willtopicupd{Topic: []byte("a/+")}).gets("WILLTOPICRESP rc3", Active)
	p.waits(90 * time.Second).asked("open dev1 | detach lost | will new=n q2")

	p = newPeer(t)
	p.sends(connect(time.Minute)).gets("CONNACK 0", Active)
	p.sends(&mqttsn.Willmsgupd{Payload: []byte("n")}).gets("WILLMSGRESP rc3", Active) // of what?
	p.sends(&mqttsn.Willtopicupd{Topic: []byte("t")}).gets("WILLTOPICRESP rc0", Active)
	p.sendsOctets([]byte{2, 0x1A}).gets("WILLTOPICRESP rc0", Active)
	p.waits(90 * time.Second).asked("open dev1 | detach lost")

	// What the broker refuses does not become part of the next update.
	p = newPeer(t)
	p.sends(connect(time.Minute), &mqttsn.Willtopicupd{Topic: []byte("mine")}).gets("CONNACK 0 | WILLTOPICRESP rc0", Active)
	p.b.result[AskSetWill] = NotAuthorized
	p.sends(&mqttsn.Willtopicupd{Topic: []byte("yours")}).gets("WILLTOPICRESP rc3", Active)
	p.b.result[AskSetWill] = Done
	p.sends(&mqttsn.Willmsgupd{Payload: []byte("n")}).gets("WILLMSGRESP rc0", Active)
	p.waits(90 * time.Second).asked("open dev1 | detach lost | will mine=n q0")
}
