package session

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// Some clients use one MsgId for everything. What differs is not a repeat.

func TestOneMsgIDForAllPublishes(t *testing.T) {
	p := active(t)
	p.sends(register("t/in", 1), register("t/out", 1)).gets("REGACK 1 #1 rc0 | REGACK 3 #1 rc0", Active)
	p.sends(publish(normal(1), 1, 1, "100"), publish(normal(3), 1, 1, "102"))
	p.gets("PUBACK 1 #1 rc0 | PUBACK 3 #1 rc0", Active)
	p.asked("publish t/in=100 q1 | publish t/out=102 q1").counted(DuplicatePublish, 0)

	retained := publish(normal(1), 1, 1, "100")
	retained.Retain = true
	p.sends(retained).gets("PUBACK 1 #1 rc0", Active).asked("publish t/in=100 q1").counted(DuplicatePublish, 0)
}

func TestOneMsgIDForAllSubscribes(t *testing.T) {
	p := active(t)
	p.sends(subscribe(named("b/x"), 0, 1), subscribe(named("c/x"), 1, 1))
	p.gets("SUBACK 1 #1 q0 rc0 | SUBACK 3 #1 q1 rc0", Active).asked("subscribe b/x q0 | subscribe c/x q1")
}

// TestSubscribeAfterUnsubscribe: what was taken back is not answered from
// memory, whenever the broker got round to it.
func TestSubscribeAfterUnsubscribe(t *testing.T) {
	a := subscribe(named("a/b"), 1, 1)
	p := active(t)
	p.b.stuck = true
	p.sends(a, &mqttsn.Unsubscribe{ID: 1, Topic: named("a/b")})
	p.b.stuck = false
	p.settle()
	p.sends(a).gets("SUBACK 1 #1 q1 rc0 | UNSUBACK #1 | SUBACK 1 #1 q1 rc0", Active)
	p.asked("subscribe a/b q1 | unsubscribe a/b | subscribe a/b q1")

	// A rejecting REGACK takes back as well.
	p.has("a/b", 1, "x").sends(puback(1, 1, mqttsn.InvalidTopicID), regack(1, 1, mqttsn.NotSupported))
	p.gets("PUBLISH 1 q1 #1 x | REGISTER a/b=1 #1", Active)
	p.sends(a).gets("SUBACK 1 #1 q1 rc0", Active).asked("unsubscribe a/b | subscribe a/b q1")
}

// TestSteadyReadings: one MsgId and one reading, again and again, are not taken
// for repeats for ever.
func TestSteadyReadings(t *testing.T) {
	p := active(t)
	for range 2 * (1 + maxRepeats) {
		p.sends(publish(short("up"), 1, 1, "shut")).gets("PUBACK 30064 #1 rc0", Active).passes(15 * time.Second)
	}
	p.asked("publish up=shut q1 | publish up=shut q1")
}

// TestAskedAgainAfterTheFlush: an answer that was withheld, because its client
// had stopped acknowledging, goes out if the client has asked again meanwhile.
func TestAskedAgainAfterTheFlush(t *testing.T) {
	p := asleep(t).has("ab", 1, "x").sends(wakeup)
	p.b.stuck = true
	up := publish(short("up"), 1, 5, "y")
	p.sends(up).passes(50 * time.Second)
	p.got = nil
	p.sends(up).gets("", Asleep)
	p.b.stuck = false
	p.settle()
	p.gets("PUBACK 30064 #5 rc0", Asleep).asked("publish up=y q1")
}
