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

func TestC06Register(t *testing.T) {
	p := newPeer(t).sends(connectClean(time.Minute)).gets("CONNACK 0", Active)
	p.sends(register("a/b", 7)).gets("REGACK 1 #7 rc0", Active)
	p.sends(register("a/b", 7)).gets("REGACK 1 #7 rc0", Active)
	p.sends(register("a/b", 8)).gets("REGACK 1 #8 rc0", Active)
	p.sends(register("a/c", 9)).gets("REGACK 3 #9 rc0", Active) // 2 is predefined
	for _, bad := range []string{"a/#", "+", "$SYS/a", "a\x00", "\xff", strings.Repeat("/", 40)} {
		p.sends(register(bad, 10)).gets("REGACK 0 #10 rc3", Active)
	}
	q := newPeer(t).sends(connectClean(time.Minute), register("other", 1))
	q.gets("CONNACK 0 | REGACK 1 #1 rc0", Active) // a table of its own
}

func TestC07UnknownTopic(t *testing.T) {
	p := active(t)
	for q := range mqttsn.QoS(3) {
		p.sends(publish(normal(77), q, 9, "x")).gets("PUBACK 77 #9 rc2", Active)
		p.sends(publish(predefined(78), q, 10, "x")).gets("PUBACK 78 #10 rc2", Active)
	}
	p.sends(publish(short("a+"), 1, 11, "x")).gets("PUBACK 24875 #11 rc2", Active)
	p.sends(publish(predefined(6), 1, 12, "x")).gets("PUBACK 6 #12 rc3", Active) // $SYS
	p.asked("")
	p = active(t, func(c *Config) { c.QoSMinusOne = true })
	p.sends(publish(predefined(78), -1, 0, "x")).gets("", Active).counted(BadTopic, 1).asked("")
	p.sendsOctets([]byte{8, 0x0C, 0x23, 0, 7, 0, 9, 'A'}).gets("PUBACK 7 #9 rc3", Active) // TopicIdType 11, QoS 1
	p.sendsOctets([]byte{8, 0x0C, 0x03, 0, 7, 0, 0, 'A'}).gets("", Active)                // and QoS 0
}

func TestC08QoS1And2In(t *testing.T) {
	p := active(t)
	p.sends(register("a", 1)).gets("REGACK 1 #1 rc0", Active)
	p.sends(publish(normal(1), 0, 0, "zero")).gets("", Active)
	p.sends(publish(normal(1), 1, 2, "one")).gets("PUBACK 1 #2 rc0", Active)
	p.sends(publish(normal(1), 1, 2, "one")).gets("PUBACK 1 #2 rc0", Active) // PUBACK lost; emcute repeats without DUP
	p.passes(15*time.Second).sends(ping).gets("PINGRESP", Active)
	p.sends(publish(normal(1), 1, 2, "one")).gets("PUBACK 1 #2 rc0", Active).counted(DuplicatePublish, 2)
	p.passes(15*time.Second).sends(publish(normal(1), 1, 2, "one")).gets("PUBACK 1 #2 rc0", Active).counted(DuplicatePublish, 3)
	p.sends(publish(normal(1), 1, 2, "other")).gets("PUBACK 1 #2 rc0", Active) // same MsgId, not the same message
	p.asked("publish a=zero q0 | publish a=one q1 | publish a=other q1")

	two := publish(normal(1), 2, 3, "two")
	dup := publish(normal(1), 2, 3, "two")
	dup.DUP = true
	p.sends(two).gets("PUBREC #3", Active)
	p.sends(dup).gets("PUBREC #3", Active) // PUBREC lost
	p.sends(&mqttsn.Pubrel{ID: 3}).gets("PUBCOMP #3", Active)
	p.sends(&mqttsn.Pubrel{ID: 3}).gets("PUBCOMP #3", Active) // PUBCOMP lost
	p.sends(&mqttsn.Pubrel{ID: 99}).gets("PUBCOMP #99", Active)
	p.sends(publish(normal(1), 2, 3, "next")).gets("PUBREC #3", Active)
	p.asked("publish a=two q2 | publish a=next q2")
}

func TestC09ShortAndPredefined(t *testing.T) {
	p := newPeer(t).sends(connectClean(time.Minute)).gets("CONNACK 0", Active)
	p.sends(publish(short("ab"), 1, 1, "x")).gets("PUBACK 24930 #1 rc0", Active)
	p.sends(publish(predefined(2), 0, 0, "y"), publish(predefined(5), 0, 0, "z")).gets("", Active)
	p.asked("open dev1 | publish ab=x q1 | publish alarm=y q0 | publish sensors/dev1/t=z q0")

	p.sends(subscribe(predefined(2), 1, 2)).gets("SUBACK 2 #2 q1 rc0", Active)
	p.sends(subscribe(short("cd"), 1, 3)).gets("SUBACK 0 #3 q1 rc0", Active)
	p.sends(subscribe(predefined(9), 1, 4)).gets("SUBACK 0 #4 q0 rc2", Active)
	p.sends(subscribe(short("c#"), 1, 5)).gets("SUBACK 0 #5 q0 rc3", Active)
	p.asked("subscribe alarm q1 | subscribe cd q1")
	p.has("alarm", 0, "1").gets("PUBLISH predefined:2 q0 #0 1", Active)
	p.has("cd", 0, "2").gets(`PUBLISH short:"cd" q0 #0 2`, Active)

	// The same names subscribed by name come by their normal ids from then on.
	p.sends(subscribe(named("alarm"), 1, 6), subscribe(named("cd"), 1, 7))
	p.gets("SUBACK 1 #6 q1 rc0 | SUBACK 3 #7 q1 rc0", Active)
	p.has("alarm", 0, "1").has("cd", 0, "2").gets("PUBLISH 1 q0 #0 1 | PUBLISH 3 q0 #0 2", Active)

	p.sends(subscribe(predefined(2), 1, 8), &mqttsn.Unsubscribe{ID: 9, Topic: predefined(2)}).gets("SUBACK 2 #8 q1 rc0 | UNSUBACK #9", Active)
	p.sends(&mqttsn.Unsubscribe{ID: 10, Topic: named("never/subscribed")}).gets("UNSUBACK #10", Active)
	p.sends(&mqttsn.Unsubscribe{ID: 11, Topic: predefined(99)}).gets("UNSUBACK #11", Active)
}

func TestC10WildcardSubscriber(t *testing.T) {
	p := active(t)
	p.has("a/b", 1, "x").gets("REGISTER a/b=1 #1", Active)
	p.has("a/b", 1, "y").gets("", Active)
	p.sends(regack(1, 1, 0)).gets("PUBLISH 1 q1 #1 x", Active)
	p.sends(puback(1, 1, 0)).gets("PUBLISH 1 q1 #2 y", Active)
	p.sends(puback(1, 2, 0)).gets("", Active)

	p.has("no", 0, "a").gets(`PUBLISH short:"no" q0 #0 a`, Active) // two octets need no id
	p.has("nono", 1, "z").gets("REGISTER nono=3 #2", Active)
	p.sends(regack(3, 2, mqttsn.NotSupported)).gets("", Active).asked("unsubscribe nono")
	p.has("nono", 1, "z").gets("", Active).counted(NameRefused, 2)
	p.has("a/b", 1, "on").gets("PUBLISH 1 q1 #5 on", Active) // only that name
	p.sends(puback(1, 5, 0))
	if len(p.b.flight) != 0 {
		t.Errorf("still in flight: %v", p.b.flight)
	}
	// Until the client says otherwise.
	p.sends(&mqttsn.Unsubscribe{ID: 4, Topic: named("nono")}).gets("UNSUBACK #4", Active)
	p.has("nono", 1, "z").gets("REGISTER nono=3 #3", Active)
	// Congestion is not a rejection.
	p.sends(regack(3, 3, mqttsn.Congestion)).gets("", Active)
	for range 4 {
		p.passes(time.Minute).sends(ping).gets("PINGRESP", Active)
	}
	p.passes(time.Minute).gets("REGISTER nono=3 #4", Active)
}

func TestC11ResumedSession(t *testing.T) {
	p := active(t)
	p.sends(subscribe(named("cmd"), 1, 2), register("up", 3)).gets("SUBACK 1 #2 q1 rc0 | REGACK 3 #3 rc0", Active)
	p.sends(bye).gets("DISCONNECT | gone: by client", Disconnected)
	p.s = New(mqttsn.V12, &p.cfg)
	p.has("cmd", 1, "offline")
	p.sends(connect(time.Minute)).gets("CONNACK 0 | REGISTER cmd=1 #1", Active) // it may have rebooted
	p.sends(publish(normal(3), 1, 9, "x")).gets("PUBACK 3 #9 rc0", Active)      // or not
	p.sends(regack(1, 1, 0)).gets("PUBLISH 1 q1 #1 offline", Active)
	p.sends(puback(1, 1, 0))
	p.has("cmd", 0, "again").gets("PUBLISH 1 q0 #0 again", Active)
	p.sends(register("new", 4)).gets("REGACK 4 #4 rc0", Active) // not an id that was given before

	p.sends(connectClean(time.Minute)).gets("CONNACK 0", Active)
	p.sends(publish(normal(3), 1, 9, "x")).gets("PUBACK 3 #9 rc2", Active)
	p.sends(register("first", 5)).gets("REGACK 1 #5 rc0", Active)
}

func TestC12ClientForgotID(t *testing.T) {
	p := active(t)
	p.sends(register("a/b", 1)).gets("REGACK 1 #1 rc0", Active)
	p.has("a/b", 1, "x").gets("PUBLISH 1 q1 #1 x", Active)
	p.sends(puback(1, 1, mqttsn.InvalidTopicID)).gets("REGISTER a/b=1 #1", Active)
	p.sends(regack(1, 1, 0)).gets("PUBLISH 1 q1 #1 dup x", Active)
	p.sends(puback(1, 1, mqttsn.InvalidTopicID)).gets("", Active).counted(Rejected, 1) // once is enough
	if len(p.b.flight) != 0 {
		t.Error("the message is still in flight")
	}
	p.has("a/b", 0, "y").gets("PUBLISH 1 q0 #0 y", Active)
	p.sends(puback(1, 0, mqttsn.InvalidTopicID)).gets("", Active) // QoS 0 is not sent again
	p.has("a/b", 0, "z").gets("REGISTER a/b=1 #2", Active)
	p.sends(regack(1, 2, 0)).gets("PUBLISH 1 q0 #0 z", Active)
}

func TestC13OneOutstanding(t *testing.T) {
	p := active(t)
	for _, m := range []string{"1", "2", "3"} {
		p.has("ab", 2, m)
	}
	p.gets(`PUBLISH short:"ab" q2 #1 1`, Active)
	p.sends(&mqttsn.Pubrec{ID: 1}).gets("PUBREL #1", Active)
	p.sends(&mqttsn.Pubcomp{ID: 1}).gets(`PUBLISH short:"ab" q2 #2 2`, Active)
	p.sends(&mqttsn.Pubcomp{ID: 2}, &mqttsn.Pubrec{ID: 7}, puback(0, 9, 0)).gets("", Active).counted(UnknownAck, 3)
	p.sends(&mqttsn.Pubrec{ID: 2}, &mqttsn.Pubrec{ID: 2}).gets("PUBREL #2 | PUBREL #2", Active)
	p.sends(&mqttsn.Pubcomp{ID: 2}).gets(`PUBLISH short:"ab" q2 #3 3`, Active)
	p.sends(puback(0, 3, mqttsn.NotSupported)).gets("", Active).counted(Rejected, 1) // ends it
	if len(p.b.flight) != 0 {
		t.Errorf("still in flight: %v", p.b.flight)
	}
}

func TestC14Oversize(t *testing.T) {
	small := func(c *Config) { c.MaxPacket = 300 }
	p := active(t, small)
	p.has("ab", 1, strings.Repeat("x", 292)).gets("", Active).counted(Oversize, 1)
	p.has("ab", 0, strings.Repeat("x", 292)).gets("", Active).counted(Oversize, 2)
	p.has("ab", 1, strings.Repeat("x", 291)) // 7+2+291
	if len(p.got) != 1 || len(p.b.flight) != 1 {
		t.Errorf("got %d datagrams, %d in flight", len(p.got), len(p.b.flight))
	}
	p = active(t, small)
	p.has(strings.Repeat("n", 293), 1, "x").gets("", Active).counted(Oversize, 1)
}

func TestC15KeepAlive(t *testing.T) {
	p := newPeer(t)
	p.sends(connectWill(true), &mqttsn.Willtopic{Topic: []byte("w")}, &mqttsn.Willmsg{}).gets("WILLTOPICREQ | WILLMSGREQ | CONNACK 0", Active)
	for range 3 {
		p.passes(89*time.Second).sends(ping).gets("PINGRESP", Active)
	}
	p.passes(60 * time.Second).sends(publish(short("ab"), 0, 0, "x")) // anything counts
	p.asked("open dev1 | publish ab=x q0")
	p.waits(90*time.Second).gets("gone: keep-alive timeout", Disconnected)
	p.passes(time.Hour).asked("detach lost | will w= q0") // once

	newPeer(t).sends(connect(0)).passes(1000*time.Hour).gets("CONNACK 0", Active)
}

func TestC16Disconnect(t *testing.T) {
	p := newPeer(t)
	p.sends(connectWill(true), &mqttsn.Willtopic{Topic: []byte("w")}, &mqttsn.Willmsg{}).gets("WILLTOPICREQ | WILLMSGREQ | CONNACK 0", Active)
	p.sends(bye).gets("DISCONNECT | gone: by client", Disconnected).asked("open dev1 | detach clean")
	p.sends(bye).gets("DISCONNECT", Disconnected).asked("")
	p.passes(time.Hour).gets("", Disconnected)
	active(t).sendsOctets([]byte{4, 0x18, 0, 0}).gets("DISCONNECT | gone: by client", Disconnected)
}

func TestC18Sleep(t *testing.T) {
	p := asleep(t)
	p.has("a/b", 1, "1").has("ab", 0, "2").has("a/b", 2, "3").passes(20*time.Minute).gets("", Asleep)
	p.sends(wakeup).gets("REGISTER a/b=1 #1", Awake)
	p.sends(regack(1, 1, 0)).gets("PUBLISH 1 q1 #1 1", Awake)
	p.has("a/c", 1, "4").gets("", Awake) // joins the flush
	p.sends(puback(1, 1, 0)).gets(`PUBLISH short:"ab" q0 #0 2 | PUBLISH 1 q2 #2 3`, Awake)
	p.sends(&mqttsn.Pubrec{ID: 2}).gets("PUBREL #2", Awake)
	p.sends(&mqttsn.Pubcomp{ID: 2}).gets("REGISTER a/c=3 #2", Awake)
	p.sends(regack(3, 2, 0)).gets("PUBLISH 3 q1 #3 4", Awake)
	p.sends(puback(3, 3, 0)).gets("PINGRESP", Asleep)
	p.has("ab", 1, "5").gets("", Asleep)
	p.waits(90*time.Minute).gets("gone: sleep timeout", Disconnected) // the timer began anew

	p = asleep(t)
	p.sends(wakeup).gets("PINGRESP", Asleep)
	p.sends(ping).gets("PINGRESP", Asleep) // its address is enough
}

func TestC19SleepEnds(t *testing.T) {
	will := func(p *peer) *peer {
		p.b.will = &Will{Topic: "w"}
		return p
	}
	will(asleep(t)).waits(90*time.Minute).gets("gone: sleep timeout", Disconnected).asked("detach lost | will w= q0")
	will(asleep(t)).sends(bye).gets("DISCONNECT | gone: by client", Disconnected).asked("detach clean")

	p := asleep(t).sends(sleepFor(2*time.Hour)).gets("DISCONNECT", Asleep)
	p.waits(3*time.Hour).gets("gone: sleep timeout", Disconnected)
	p = asleep(t).sends(sleepFor(10 * time.Second))
	p.waits(20*time.Second).gets("DISCONNECT | gone: sleep timeout", Disconnected) // at least 10 s of grace

	p = asleep(t).has("ab", 1, "x").sends(connect(time.Minute))
	p.gets(`CONNACK 0 | PUBLISH short:"ab" q1 #1 x`, Active)

	p = asleep(t).has("ab", 1, "x").sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 x`, Awake)
	p.sends(sleepFor(time.Minute)).gets("DISCONNECT", Asleep) // stops the flush
	p.sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 dup x`, Awake)
	p.sends(bye).gets("DISCONNECT | gone: by client", Disconnected)

	capped := func(c *Config) { c.MaxSleep = 10 * time.Minute }
	asleep(t, capped).waits(15 * time.Minute)
}

func TestC21StopsAcknowledging(t *testing.T) {
	p := asleep(t).has("ab", 1, "x").has("ab", 1, "y").sends(wakeup)
	p.passes(40 * time.Second)
	dup := ` | PUBLISH short:"ab" q1 #1 dup x`
	p.gets(`PUBLISH short:"ab" q1 #1 x`+strings.Repeat(dup, 4), Awake)
	p.waits(10*time.Second).gets("", Asleep)
	p.passes(time.Hour).gets("", Asleep)
	p.sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 dup x`, Awake)
	p.sends(puback(0, 1, 0)).gets(`PUBLISH short:"ab" q1 #2 y`, Awake)
	p.sends(puback(0, 2, 0)).gets("PINGRESP", Asleep)
}

func TestC22QoSMinusOne(t *testing.T) {
	on := func(c *Config) { c.QoSMinusOne = true }
	p := active(t, on)
	p.sends(publish(predefined(2), -1, 0, "a"), publish(short("ab"), -1, 5, "b"), publish(named("x/y"), -1, 0, "c"))
	p.gets("", Active).asked("publish alarm=a q0 | publish ab=b q0 | publish x/y=c q0")
	p.sends(publish(named("x/#"), -1, 0, "c"), publish(named("$SYS/x"), -1, 0, "c")).gets("", Active).asked("")
	p.waits(90 * time.Second) // it was activity

	active(t).sends(publish(predefined(2), -1, 0, "a")).gets("", Active).asked("")
}

func TestC25Retransmission(t *testing.T) {
	p := newPeer(t).sends(connect(0), subscribe(named("#"), 2, 1)).gets("CONNACK 0 | SUBACK 0 #1 q2 rc0", Active)
	p.has("ab", 2, "x").gets(`PUBLISH short:"ab" q2 #1 x`, Active)
	for range 4 {
		p.waits(10*time.Second).gets(`PUBLISH short:"ab" q2 #1 dup x`, Active)
	}
	p.sends(&mqttsn.Pubrec{ID: 1}).gets("PUBREL #1", Active)
	for range 4 {
		p.waits(10*time.Second).gets("PUBREL #1", Active)
	}
	p.counted(Retransmission, 8).asked("open dev1 | subscribe # q2")
	p.waits(10*time.Second).gets("gone: retry timeout", Disconnected).asked("detach lost")

	p = active(t, func(c *Config) { c.NoDUP = true })
	p.has("ab", 1, "x").waits(10 * time.Second)
	p.gets(`PUBLISH short:"ab" q1 #1 x | PUBLISH short:"ab" q1 #1 x`, Active)
}

func TestC26Congestion(t *testing.T) {
	p := active(t)
	p.b.result = map[RequestKind]Result{AskPublish: Busy, AskSubscribe: Busy, AskSave: Busy, AskRelease: Busy}
	p.sends(publish(short("ab"), 1, 1, "x")).gets("PUBACK 24930 #1 rc1", Active)
	p.sends(publish(short("ab"), 2, 2, "x")).gets("PUBACK 24930 #2 rc1", Active)
	p.sends(subscribe(named("a/+"), 1, 3)).gets("SUBACK 0 #3 q1 rc1", Active)
	p.sends(register("a", 4)).gets("REGACK 0 #4 rc1", Active)
	p.sends(&mqttsn.Pubrel{ID: 9}).gets("", Active) // cannot say so
	p.sends(sleepFor(time.Hour)).gets("", Asleep)   // nor can this
	p.b.result = map[RequestKind]Result{}
	p.sends(sleepFor(time.Hour)).gets("DISCONNECT", Asleep)
	if !strings.Contains(string(p.b.state), "a") {
		t.Error("an id that could not be stored at first was not stored later")
	}

	p = newPeer(t)
	p.b.result[AskOpen] = Busy
	p.sends(connect(time.Minute)).gets("CONNACK 1 | gone: refused", Disconnected).asked("open dev1")
	p = newPeer(t)
	p.b.result[AskOpen] = NotAuthorized
	p.sends(connect(time.Minute)).gets("CONNACK 3 | gone: refused", Disconnected)

	// And the client may be congested: it is left alone for T_WAIT.
	p = newPeer(t).sends(connect(0))
	p.has("ab", 1, "x").has("ab", 1, "y").sends(puback(0, 1, mqttsn.Congestion))
	p.gets(`CONNACK 0 | PUBLISH short:"ab" q1 #1 x`, Active)
	p.waits(5*time.Minute).gets(`PUBLISH short:"ab" q1 #2 y`, Active)
}

func TestC27Hostile(t *testing.T) {
	// 100,000 names from one client: so many ids, and no more.
	p := newPeer(t).sends(connectClean(time.Minute))
	last := uint16(0)
	for i := range 100_000 {
		p.sends(register("t/"+strings.Repeat("x", i%5)+string(rune('a'+i%26))+time.Duration(i).String(), uint16(i)))
		if r := p.got[len(p.got)-1]; strings.HasSuffix(r, "rc0") {
			last++
		}
		p.got = p.got[:0]
	}
	if last != 1000 || p.events[Congested] != 99_000 {
		t.Errorf("%d ids, %d refusals", last, p.events[Congested])
	}
	if len(p.s.topics) > 1000 {
		t.Errorf("%d topics", len(p.s.topics))
	}
}
