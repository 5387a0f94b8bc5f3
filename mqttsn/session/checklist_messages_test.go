package session

import (
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// The checklist goes on: topics and messages.

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
	p.counted(BadTopic, 3)
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

// TestSharedSubscriber gets no id for the filter, by which no message comes, and
// is told the names as they come.
func TestSharedSubscriber(t *testing.T) {
	p := active(t)
	share := named("$share/g/a/b")
	p.sends(subscribe(share, 1, 2)).gets("SUBACK 0 #2 q1 rc0", Active).asked("subscribe $share/g/a/b q1")
	p.has("a/b", 1, "x").gets("REGISTER a/b=1 #1", Active)
	p.sends(regack(1, 1, mqttsn.NotSupported)).gets("", Active)
	p.has("a/b", 1, "y").gets("", Active).counted(NameRefused, 2)
	p.sends(subscribe(share, 1, 3)).gets("SUBACK 0 #3 q1 rc0", Active) // it wants it after all
	p.has("a/b", 1, "z").gets("REGISTER a/b=1 #2", Active)
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
	p.sends(register("first", 5)).gets("REGACK 7 #5 rc0", Active) // what was sent before may come yet
}

// TestCleanSessionGoesOn: a CONNECT without CleanSession, from a client that
// is connected or asleep, finds what its clean session had: the ids, and by what
// it has subscribed. From then on they are stored.
func TestCleanSessionGoesOn(t *testing.T) {
	p := newPeer(t).sends(connectClean(time.Minute))
	p.sends(subscribe(named("cmd"), 1, 1), subscribe(predefined(2), 1, 2), register("up", 3))
	p.gets("CONNACK 0 | SUBACK 1 #1 q1 rc0 | SUBACK 2 #2 q1 rc0 | REGACK 3 #3 rc0", Active)
	p.sends(sleepFor(time.Hour)).has("alarm", 1, "x").has("cmd", 1, "y").gets("DISCONNECT", Asleep)
	for range 2 {
		p.sends(connect(time.Minute)).gets("CONNACK 0 | PUBLISH predefined:2 q1 #1 x", Active)
		p.sends(puback(2, 1, 0)).gets("REGISTER cmd=1 #1", Active) // it may have rebooted
		p.sends(publish(normal(3), 1, 9, "z")).gets("PUBACK 3 #9 rc0", Active)
		p.sends(regack(1, 1, 0), puback(1, 2, 0), bye)
		p.gets("PUBLISH 1 q1 #2 y | DISCONNECT | gone: by client", Disconnected)
		p.s, p.b.lastID = New(mqttsn.V12, &p.cfg), 0
		p.has("alarm", 1, "x").has("cmd", 1, "y")
	}
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

	// Of two copies of the message, each is refused.
	p = active(t).has("a/b", 1, "x").sends(regack(1, 1, 0)).waits(10 * time.Second)
	p.gets("REGISTER a/b=1 #1 | PUBLISH 1 q1 #1 x | PUBLISH 1 q1 #1 dup x", Active)
	p.sends(puback(1, 1, mqttsn.InvalidTopicID), puback(1, 1, mqttsn.InvalidTopicID)).gets("REGISTER a/b=1 #2", Active)
	p.sends(regack(1, 2, 0)).gets("PUBLISH 1 q1 #1 dup x", Active).counted(Rejected, 0)
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
	p.has("a/b", 1, "x").gets("REGISTER a/b=1 #1", Active) // what cannot be said has no id
}
