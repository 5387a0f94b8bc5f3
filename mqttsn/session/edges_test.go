package session

import (
	"math"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// Corners that conversations seldom get into.

func TestRefusedQoS0(t *testing.T) {
	p := active(t)
	p.sends(subscribe(predefined(2), 1, 2)).gets("SUBACK 2 #2 q1 rc0", Active)
	p.has("alarm", 0, "x").gets("PUBLISH predefined:2 q0 #0 x", Active)
	p.sends(puback(2, 0, mqttsn.InvalidTopicID)).has("alarm", 0, "y").gets("REGISTER alarm=1 #1", Active)
	p.sends(regack(1, 1, 0), puback(77, 0, mqttsn.InvalidTopicID)).gets("PUBLISH 1 q0 #0 y", Active)

	p = newPeer(t).sends(connect(0)).has("ab", 0, "x").sends(puback(0, 0, mqttsn.Congestion)).has("ab", 0, "y")
	p.gets(`CONNACK 0 | PUBLISH short:"ab" q0 #0 x`, Active)
	p.waits(5*time.Minute).gets(`PUBLISH short:"ab" q0 #0 y`, Active).counted(Rejected, 1)
}

func TestAcksThatDoNotFit(t *testing.T) {
	p := active(t).has("ab", 2, "x").sends(puback(0, 1, 0)).counted(UnknownAck, 1) // success of QoS 2 is PUBREC
	p.sends(&mqttsn.Pubcomp{ID: 1}).counted(UnknownAck, 2)
	p.sends(&mqttsn.Pubrec{ID: 1}, &mqttsn.Pubcomp{ID: 1}).has("ab", 1, "y").sends(&mqttsn.Pubrec{ID: 2}).counted(UnknownAck, 3)
	p.gets(`PUBLISH short:"ab" q2 #1 x | PUBREL #1 | PUBLISH short:"ab" q1 #2 y`, Active)
	p.sends(puback(0, 0, 0), regack(1, 1, 0)).counted(UnknownAck, 5)
}

func TestOneWillUpdateAtATime(t *testing.T) {
	p := active(t)
	p.b.stuck = true
	topic := &mqttsn.Willtopicupd{Topic: []byte("w")}
	p.sends(topic, topic, &mqttsn.Willmsgupd{Payload: []byte("x")}).gets("WILLMSGRESP rc3", Active) // no topic yet
	p.b.stuck = false
	p.settle()
	p.gets("WILLTOPICRESP rc0", Active)
	p.b.stuck = true
	p.sends(&mqttsn.Willmsgupd{Payload: []byte("x")}, topic).b.stuck = false
	p.settle()
	p.gets("WILLMSGRESP rc0", Active)
	p.sends(topic).gets("WILLTOPICRESP rc0", Active)
	if p.b.will == nil || p.b.will.Topic != "w" || string(p.b.will.Payload) != "x" {
		t.Errorf("the will is %v", p.b.will)
	}
}

func TestRequestsRepeatedWhileTheBrokerThinks(t *testing.T) {
	p := active(t)
	p.b.stuck = true
	for range 3 {
		p.sends(subscribe(named("a"), 1, 2), register("a/b", 3), publish(short("ab"), 2, 4, "x"),
			&mqttsn.Unsubscribe{ID: 5, Topic: named("c")}, &mqttsn.Unsubscribe{ID: 5, Topic: named("d")}, &mqttsn.Pubrel{ID: 6}, sleepFor(time.Hour))
	}
	p.gets("", Asleep).b.stuck = false
	p.settle()
	p.gets("SUBACK 1 #2 q1 rc0 | REGACK 3 #3 rc0 | PUBREC #4 | UNSUBACK #5 | UNSUBACK #5 | PUBCOMP #6 | DISCONNECT", Asleep)
	p.asked("subscribe a q1 | publish ab=x q2 | unsubscribe c | unsubscribe d")
}

func TestRefusedRegackOfCleanSession(t *testing.T) {
	p := newPeer(t).sends(connectClean(time.Minute)).has("a/b", 1, "x").sends(regack(1, 1, mqttsn.NotSupported))
	p.gets("CONNACK 0 | REGISTER a/b=1 #1", Active).asked("open dev1 | unsubscribe a/b")
	if p.b.state != nil {
		t.Error("a clean session was stored")
	}
}

func TestSubscribeRefused(t *testing.T) {
	p := active(t)
	p.sends(subscribe(named("a"), -1, 2), subscribe(named("a/#/b"), 1, 3)).gets("SUBACK 0 #2 q0 rc3 | SUBACK 0 #3 q0 rc3", Active)
	p.sends(&mqttsn.Unsubscribe{ID: 3, Topic: named("a#")}).gets("UNSUBACK #3", Active)
	p.b.result[AskSubscribe] = NotAuthorized
	p.sends(subscribe(named("secret"), 1, 4)).gets("SUBACK 0 #4 q1 rc3", Active)
	p.sendsOctets([]byte{7, 0x12, 3, 0, 5, 0, 1}).gets("SUBACK 0 #5 q0 rc3", Active) // TopicIdType 11
}

func TestForeignPingreq(t *testing.T) {
	other := &mqttsn.Pingreq{ClientID: []byte("dev2")}
	asleep(t).has("ab", 1, "x").sends(other).gets("", Asleep).counted(OutOfState, 1)
	active(t).sends(wakeup).gets("PINGRESP", Active)
}

func TestIDsAreUsedUp(t *testing.T) {
	p := active(t)
	p.s.topics = []topic{{name: "last", id: 0xFFFE}}
	p.sends(register("from/the/first", 1)).gets("REGACK 1 #1 rc0", Active)
	for id := range uint16(0xFFFE) {
		p.cfg.Predefined[id] = "predefined"
	}
	p.sends(register("one/more", 1)).gets("REGACK 0 #1 rc1", Active)
	p.has("one/more", 1, "x").gets("", Active).counted(NoTopicID, 1)
}

func TestTagsAndMsgIDsWrap(t *testing.T) {
	p := active(t)
	p.s.tag, p.s.lastRegister = math.MaxUint32, math.MaxUint16
	p.sends(publish(short("ab"), 1, 1, "x")).gets("PUBACK 24930 #1 rc0", Active)
	p.has("a/b", 1, "x").gets("REGISTER a/b=1 #1", Active)
}

// TestDeliverWhenNotReady is what a gateway must not do, and what then does not
// happen: a second message in the slot, or one to a client that is connecting.
func TestDeliverWhenNotReady(t *testing.T) {
	p := active(t).has("ab", 1, "x")
	p.s.Deliver(p.now, Delivery{ID: 9, QoS: 1, Topic: "ab"}, &p.out)
	p.settle()
	p.gets(`PUBLISH short:"ab" q1 #1 x`, Active).counted(Misdelivered, 1)
	p.b.stuck = true
	p.sends(connect(time.Minute))
	p.s.Deliver(p.now, Delivery{ID: 9, QoS: 1, Topic: "ab"}, &p.out)
	p.b.stuck = false
	p.settle()
	p.gets(`CONNACK 0 | PUBLISH short:"ab" q1 #1 dup x`, Active)
}

func TestAccessors(t *testing.T) {
	p := asleep(t)
	if p.s.CleanSession() || p.s.SleepDuration() != time.Hour || p.s.ClientID() != "dev1" {
		t.Errorf("clean %v, sleeps %v, is %q", p.s.CleanSession(), p.s.SleepDuration(), p.s.ClientID())
	}
	p.sends(connectClean(time.Minute))
	if !p.s.CleanSession() || p.s.SleepDuration() != 0 {
		t.Errorf("clean %v, sleeps %v", p.s.CleanSession(), p.s.SleepDuration())
	}
}

// TestDatagramsCanBeLeft: whoever ranges over them may stop.
func TestDatagramsCanBeLeft(t *testing.T) {
	var out Actions
	for range 3 {
		out.send(mqttsn.V12, &mqttsn.Pingresp{})
	}
	n := 0
	for b := range out.Datagrams {
		if n++; n == 2 || len(b) != 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d datagrams", n)
	}
	out.send(mqttsn.V12, &mqttsn.Publish{Payload: []byte(strings.Repeat("x", 70000))})
	if len(out.Events) != 1 || out.Events[0] != Oversize {
		t.Errorf("what cannot be written counts as %v", out.Events)
	}
}
