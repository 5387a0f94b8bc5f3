package session

import (
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// The habits of clients that are out there, each kept from doing harm.

func TestEmcuteNeverAnswersRegister(t *testing.T) {
	register3 := "REGISTER a/b=1 #1"
	p := newPeer(t).sends(connect(6*time.Minute), subscribe(named("#"), 1, 1)).gets("CONNACK 0 | SUBACK 0 #1 q1 rc0", Active)
	p.has("a/b", 1, "x").has("ab", 1, "y")
	p.passes(129*time.Second).gets(strings.TrimSuffix(strings.Repeat(register3+" | ", 13), " | "), Active)
	// The message is given up, with its name, and the client stays.
	p.passes(time.Second).gets(`PUBLISH short:"ab" q1 #2 y`, Active).counted(Unregistered, 1)
	p.sends(puback(0, 2, 0)).gets("", Active)
	p.has("a/b", 1, "z").gets("", Active).counted(NameRefused, 1)
	p.passes(4*time.Minute).sends(ping).gets("PINGRESP", Active)

	// QoS 0 is not worth the wait.
	p = newPeer(t).sends(connect(6*time.Minute), subscribe(named("#"), 1, 1))
	p.has("a/b", 0, "x").passes(50*time.Second).counted(Unregistered, 1)

	// Without a keep alive to show that the client is alive, silence means it is not.
	p = newPeer(t).sends(connect(0)).has("a/b", 1, "x").passes(50 * time.Second)
	p.gets("CONNACK 0 | "+strings.Repeat(register3+" | ", 5)+"gone: retry timeout", Disconnected)

	// On a wake it ends the flush; after three it is given up.
	p = asleep(t).has("a/b", 1, "x")
	for range 3 {
		p.sends(wakeup).passes(50*time.Second).gets(strings.TrimSuffix(strings.Repeat(register3+" | ", 5), " | "), Asleep)
	}
	p.counted(Unregistered, 1).sends(wakeup).gets("PINGRESP", Asleep)
}

// emcute subscribes anew after every connect, and so learns by SUBACK what it
// does not by REGISTER.
func TestEmcuteLearnsBySuback(t *testing.T) {
	p := active(t)
	p.sends(subscribe(named("cmd"), 1, 2)).gets("SUBACK 1 #2 q1 rc0", Active)
	p.b.enqueue("cmd", 1, "x", false)
	p.sends(connect(time.Minute)).gets("CONNACK 0 | REGISTER cmd=1 #1", Active)
	p.sends(subscribe(named("cmd"), 1, 3)).gets("SUBACK 1 #3 q1 rc0 | PUBLISH 1 q1 #1 x", Active)
}

func TestEmcuteRefusesWhatItCannotTake(t *testing.T) {
	p := active(t)
	p.sends(subscribe(predefined(2), 1, 2)).gets("SUBACK 2 #2 q1 rc0", Active)
	p.has("alarm", 1, "x").gets("PUBLISH predefined:2 q1 #1 x", Active)
	p.sends(puback(2, 1, mqttsn.NotSupported)).gets("", Active)
	p.has("ab", 2, "y").gets(`PUBLISH short:"ab" q2 #2 y`, Active)
	p.sends(puback(0, 2, mqttsn.NotSupported)).gets("", Active)
	p.has("ab", 1, "z").waits(10 * time.Second)
	p.sends(puback(0, 3, mqttsn.NotSupported)).passes(time.Minute)
	p.gets(`PUBLISH short:"ab" q1 #3 z | PUBLISH short:"ab" q1 #3 dup z`, Active).counted(Rejected, 3)
	if len(p.b.flight) != 0 {
		t.Errorf("still in flight: %v", p.b.flight)
	}
}

func TestEmcuteWrapsItsMsgIDToZero(t *testing.T) {
	p := active(t)
	p.sends(publish(short("ab"), 1, 0, "x"), register("a", 0), subscribe(named("b"), 1, 0))
	p.gets("PUBACK 24930 #0 rc0 | REGACK 1 #0 rc0 | SUBACK 3 #0 q1 rc0", Active)
}

func TestPahoQoS0WithMsgID(t *testing.T) {
	active(t).sends(publish(short("ab"), 0, 77, "x")).gets("", Active).asked("publish ab=x q0")
}

func TestPahoLength255(t *testing.T) {
	b := append([]byte{1, 0, 255, 0x0C, 0x02, 'a', 'b', 0, 0}, strings.Repeat("x", 248)...)
	active(t).sendsOctets(b).gets("", Active).asked("publish ab=" + strings.Repeat("x", 248) + " q0")
}

// Zephyr and asymcute have several requests under way at once.
func TestManyRequestsAtOnce(t *testing.T) {
	p := active(t)
	p.b.stuck = true
	for id := uint16(1); id <= 5; id++ {
		p.sends(publish(short("ab"), 1, id, "x"), publish(short("ab"), 1, id, "x"))
	}
	p.gets("", Active)
	p.b.stuck = false
	p.settle()
	p.gets("PUBACK 24930 #1 rc0 | PUBACK 24930 #2 rc0 | PUBACK 24930 #3 rc0 | PUBACK 24930 #4 rc0 | PUBACK 24930 #5 rc0", Active)
	p.asked(strings.TrimSuffix(strings.Repeat("publish ab=x q1 | ", 5), " | "))

	p.b.stuck = true
	for id := range uint16(100) {
		p.sends(publish(short("ab"), 1, 100+id, "y"))
	}
	p.counted(Crowded, 100-maxPromises)
}

// Zephyr takes the acknowledgement of its sleep for the end and connects.
func TestZephyrConnectsAfterSleep(t *testing.T) {
	asleep(t).sends(connect(time.Minute)).gets("CONNACK 0", Active)
}

// asymcute never answers REGISTER either, but is heard from.
func TestAsymcuteIsAlive(t *testing.T) {
	p := newPeer(t).sends(connect(0), subscribe(named("#"), 1, 1)).has("a/b", 0, "x")
	p.sends(publish(short("ab"), 0, 0, "I am here")).passes(time.Hour)
	if p.s.State() != Active {
		t.Error("a client that sends was taken for lost")
	}
}

func TestAnswersAreMinimal(t *testing.T) {
	p := active(t)
	for _, k := range []mqttsn.Packet{ping, register("a", 1), publish(short("ab"), 1, 2, ""), subscribe(named("b"), 1, 3), bye} {
		b, _ := mqttsn.Append(nil, mqttsn.V12, k)
		k, _ = mqttsn.Decode(mqttsn.V12, b)
		p.s.Handle(p.now, k, &p.out)
		for b := range p.out.Datagrams {
			if int(b[0]) != len(b) || len(b) > 8 {
				t.Errorf("%v was answered by %x", k, b)
			}
		}
		p.settle()
	}
}
