package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// What users of other gateways have complained about, each by its number in
// the collection, as far as one session can do it wrong.

func TestB04PingrespComesLast(t *testing.T) {
	p := asleep(t)
	for i := range 20 {
		p.has("ab", mqttsn.QoS(i%2), fmt.Sprint(i))
	}
	p.sends(wakeup)
	for id := uint16(1); id <= 10; id++ {
		p.sends(puback(0, id, 0))
	}
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf(`PUBLISH short:"ab" q%d #%d %d`, i%2, (i+1)/2*(i%2), i))
	}
	p.gets(strings.Join(append(want, "PINGRESP"), " | "), Asleep)
	p.passes(time.Hour).gets("", Asleep)
}

func TestB05NothingTwice(t *testing.T) {
	p := asleep(t).has("ab", 0, "0").has("ab", 1, "1").sends(wakeup, puback(0, 1, 0))
	p.gets(`PUBLISH short:"ab" q0 #0 0 | PUBLISH short:"ab" q1 #1 1 | PINGRESP`, Asleep)
	for range 3 {
		p.sends(wakeup).gets("PINGRESP", Asleep)
	}
}

// TestB06NothingToSleepers looks at the interleavings in which an answer or a
// message comes late. The peer itself fails if anything goes to a closed radio.
func TestB06NothingToSleepers(t *testing.T) {
	late := func(p *peer) {
		p.t.Helper()
		p.b.stuck = false
		p.settle()
	}
	t.Run("sleep waits for what was promised", func(t *testing.T) {
		p := active(t)
		p.b.stuck = true
		p.sends(publish(short("ab"), 1, 5, "x"), sleepFor(time.Hour)).gets("", Asleep)
		p.sends(sleepFor(time.Hour)).gets("", Asleep)
		late(p)
		p.gets("PUBACK 24930 #5 rc0 | DISCONNECT", Asleep)
	})
	t.Run("PINGRESP waits for what was promised", func(t *testing.T) {
		p := asleep(t)
		p.b.stuck = true
		p.sends(publish(short("ab"), 2, 5, "x"), wakeup).gets("", Awake)
		p.sends(register("a/b", 6), wakeup).gets("", Awake)
		p.has("ab", 1, "mail").gets(`PUBLISH short:"ab" q1 #1 mail`, Awake)
		p.sends(puback(0, 1, 0)).gets("", Awake)
		late(p)
		p.gets("PUBREC #5 | REGACK 1 #6 rc0 | PINGRESP", Asleep)
	})
	t.Run("a sleeper that publishes gets its answer", func(t *testing.T) {
		p := asleep(t)
		p.b.stuck = true
		p.sends(publish(short("ab"), 1, 5, "x")).gets("", Asleep)
		late(p)
		p.gets("PUBACK 24930 #5 rc0", Asleep)
		p.waits(90 * time.Minute)
	})
	t.Run("after a flush was given up, answers stay unsaid and are repeated", func(t *testing.T) {
		p := asleep(t).has("ab", 1, "x").sends(wakeup)
		p.b.stuck = true
		p.sends(publish(short("up"), 1, 5, "v"), register("a/b", 6), subscribe(named("c"), 1, 7))
		p.passes(50*time.Second).has("ab", 1, "y")
		p.got = nil
		p.closed = true
		late(p)
		p.gets("", Asleep)
		p.sends(publish(short("up"), 1, 5, "v"), register("a/b", 6), subscribe(named("c"), 1, 7))
		p.gets("PUBACK 30064 #5 rc0 | REGACK 1 #6 rc0 | SUBACK 3 #7 q1 rc0", Asleep)
		p.asked("publish up=v q1 | subscribe c q1") // known again: carried out once
	})
	t.Run("a message pulled while the flush ends", func(t *testing.T) {
		p := asleep(t)
		p.s.Deliver(p.now, Delivery{Topic: "ab", QoS: 1, ID: 1, Payload: []byte("x")}, &p.out)
		p.settle()
		p.gets("", Asleep)
		p.sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 x`, Awake)
	})
	t.Run("taken over while asleep", func(t *testing.T) {
		p := asleep(t)
		p.s.End(p.now, TakenOver, &p.out)
		p.settle()
		p.gets("gone: taken over", Disconnected).asked("")
	})
}

func TestB07NewTopicsOnWake(t *testing.T) {
	p := asleep(t)
	for i := range 3 {
		p.has(fmt.Sprintf("new/%d", i), 1, "x")
	}
	p.sends(wakeup).gets("REGISTER new/0=1 #1", Awake)
	p.waits(10*time.Second).gets("REGISTER new/0=1 #1", Awake) // it, or its REGACK, was lost
	p.sends(regack(1, 1, 0)).gets("PUBLISH 1 q1 #1 x", Awake)
	p.waits(10*time.Second).gets("PUBLISH 1 q1 #1 dup x", Awake)
	p.sends(puback(1, 1, 0), regack(3, 2, 0), puback(3, 2, 0), regack(4, 3, 0), puback(4, 3, 0))
	p.gets("REGISTER new/1=3 #2 | PUBLISH 3 q1 #2 x | REGISTER new/2=4 #3 | PUBLISH 4 q1 #3 x | PINGRESP", Asleep)
}

func TestB08ReturnByConnect(t *testing.T) {
	p := asleep(t).has("ab", 1, "1").has("ab", 1, "2").sends(connect(time.Minute), puback(0, 1, 0), puback(0, 2, 0))
	p.gets(`CONNACK 0 | PUBLISH short:"ab" q1 #1 1 | PUBLISH short:"ab" q1 #2 2`, Active)
	p.waits(90*time.Second).gets("gone: keep-alive timeout", Disconnected)
}

func TestB10SleepAskedAgain(t *testing.T) {
	p := asleep(t).has("ab", 1, "x")
	for range 3 {
		p.sends(sleepFor(time.Hour)).gets("DISCONNECT", Asleep)
	}
	p.sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 x`, Awake)
}

func TestB11DisconnectWhileAsleep(t *testing.T) {
	p := asleep(t)
	p.b.will = &Will{Topic: "w"}
	p.sends(bye).gets("DISCONNECT | gone: by client", Disconnected).asked("detach clean")
}

func TestB13OfflineMessages(t *testing.T) {
	p := active(t)
	p.sends(subscribe(named("cmd"), 1, 2)).gets("SUBACK 1 #2 q1 rc0", Active)
	p.waits(90*time.Second).gets("gone: keep-alive timeout", Disconnected)
	p.has("cmd", 1, "1").has("cmd", 1, "2")
	p.s = New(mqttsn.V12, &p.cfg)
	p.sends(connect(time.Minute)).gets("CONNACK 0 | REGISTER cmd=1 #1", Active)
	p.sends(puback(1, 1, mqttsn.Accepted)).counted(UnknownAck, 1) // of a time before
	p.sends(regack(1, 1, 0), puback(1, 1, 0), puback(1, 2, 0))
	p.gets("PUBLISH 1 q1 #1 1 | PUBLISH 1 q1 #2 2", Active)
}

func TestB14Retained(t *testing.T) {
	for _, tt := range []struct {
		topic mqttsn.Topic
		name  string
		wire  string
	}{
		{named("a/b"), "a/b", "SUBACK 1 #7 q1 rc0 | PUBLISH 1 q0 #0 retained now"},
		{predefined(2), "alarm", "SUBACK 2 #7 q1 rc0 | PUBLISH predefined:2 q0 #0 retained now"},
		{short("ab"), "ab", `SUBACK 0 #7 q1 rc0 | PUBLISH short:"ab" q0 #0 retained now`},
	} {
		p := newPeer(t).sends(connect(time.Minute)).gets("CONNACK 0", Active)
		p.b.retained[tt.name] = "now"
		// The SUBACK, which brings the id, goes first whenever the broker answers.
		p.b.stuck = true
		p.sends(subscribe(tt.topic, 1, 7), subscribe(tt.topic, 1, 7)).b.stuck = false
		p.settle()
		p.gets(tt.wire, Active)
		again := subscribe(tt.topic, 1, 7)
		again.DUP = true
		p.sends(again).gets(strings.Split(tt.wire, " | ")[0], Active) // SUBACK was lost
		p.asked("open dev1 | subscribe " + tt.name + " q1")
		p.sends(&mqttsn.Unsubscribe{ID: 8, Topic: tt.topic}, subscribe(tt.topic, 1, 7))
		p.asked("unsubscribe " + tt.name + " | subscribe " + tt.name + " q1")                        // meant anew
		p.passes(time.Minute).sends(subscribe(tt.topic, 1, 7)).asked("subscribe " + tt.name + " q1") // long after: anew
	}
}

func TestB15TopicTableFull(t *testing.T) {
	few := func(c *Config) { c.TopicIDs = 3 }
	p := active(t, few)
	p.sends(register("a/1", 1), register("a/2", 2), register("a/3", 3), register("a/4", 4))
	p.gets("REGACK 1 #1 rc0 | REGACK 3 #2 rc0 | REGACK 4 #3 rc0 | REGACK 0 #4 rc1", Active)
	p.sends(register("a/1", 5), subscribe(named("a/4"), 1, 6), subscribe(predefined(2), 1, 7))
	p.gets("REGACK 1 #5 rc0 | SUBACK 0 #6 q0 rc1 | SUBACK 0 #7 q0 rc1", Active)
	p.has("x/y", 1, "m").gets("", Active).counted(NoTopicID, 1)
	p.has("a/2", 0, "m").gets("PUBLISH 3 q0 #0 m", Active)

	long := func(c *Config) { c.TopicOctets = 1024; c.MaxTopicLength = 600 }
	p = active(t, long)
	p.sends(register(strings.Repeat("x", 600), 1), register(strings.Repeat("y", 600), 2))
	p.gets("REGACK 1 #1 rc0 | REGACK 0 #2 rc1", Active)

	// A client that reconnects for a fresh table is held to a rate.
	p = newPeer(t, few)
	for i := range 4 {
		p.sends(connectClean(time.Hour), register(fmt.Sprint(i), 1))
	}
	p.gets("CONNACK 0 | REGACK 1 #1 rc0 | CONNACK 0 | REGACK 3 #1 rc0 | CONNACK 0 | REGACK 4 #1 rc0 | CONNACK 0 | REGACK 0 #1 rc1", Active)
	p.passes(time.Second).sends(register("3", 1)).gets("REGACK 7 #1 rc0", Active)
}

// TestB16EveryPacketInEveryState sends every type of packet in every state:
// what the table allows is not counted as out of state, what it does not is,
// and a client without a connection is told so.
func TestB16EveryPacketInEveryState(t *testing.T) {
	const all, connected, anyway = "connecting active asleep awake", "active asleep awake", "disconnected connecting active asleep awake"
	packets := []struct {
		packet mqttsn.Packet
		ok     string // the states that take it
		stray  string // what it gets while disconnected
	}{
		{&mqttsn.Advertise{Duration: time.Second}, "", ""},
		{&mqttsn.Searchgw{}, "", ""},
		{&mqttsn.Gwinfo{}, "", ""},
		{connect(time.Minute), anyway, "CONNACK 0"},
		{&mqttsn.Connack{}, "", ""},
		{&mqttsn.Willtopicreq{}, "", ""},
		{&mqttsn.Willtopic{Topic: []byte("w")}, "connecting", "DISCONNECT"},
		{&mqttsn.Willmsgreq{}, "", ""},
		{&mqttsn.Willmsg{}, "", "DISCONNECT"}, // not before WILLTOPIC
		{register("a", 1), connected, "DISCONNECT"},
		{regack(1, 1, 0), "active asleep awake", "DISCONNECT"},
		{publish(short("ab"), 1, 1, "x"), connected, "DISCONNECT"},
		{publish(short("ab"), -1, 0, "x"), connected, ""},
		{puback(1, 1, 0), connected, "DISCONNECT"},
		{&mqttsn.Pubrec{ID: 1}, connected, "DISCONNECT"},
		{&mqttsn.Pubrel{ID: 1}, connected, "DISCONNECT"},
		{&mqttsn.Pubcomp{ID: 1}, connected, "DISCONNECT"},
		{subscribe(named("a"), 1, 1), connected, "DISCONNECT"},
		{&mqttsn.Suback{}, "", ""},
		{&mqttsn.Unsubscribe{Topic: named("a")}, connected, "DISCONNECT"},
		{&mqttsn.Unsuback{}, "", ""},
		{ping, connected, "DISCONNECT"},
		{wakeup, connected, "DISCONNECT"},
		{&mqttsn.Pingresp{}, "", ""},
		{bye, all, "DISCONNECT"},
		{sleepFor(time.Hour), connected, "DISCONNECT"},
		{&mqttsn.Willtopicupd{}, connected, "DISCONNECT"},
		{&mqttsn.Willmsgupd{}, connected, "DISCONNECT"},
		{&mqttsn.Willtopicresp{}, "", ""},
		{&mqttsn.Willmsgresp{}, "", ""},
	}
	minus := func(c *Config) { c.QoSMinusOne = true }
	reach := map[State]func() *peer{
		Disconnected: func() *peer { return newPeer(t, minus) },
		Connecting:   func() *peer { return newPeer(t, minus).sends(connectWill(true)).gets("WILLTOPICREQ", Connecting) },
		Active:       func() *peer { return active(t, minus) },
		Asleep:       func() *peer { return asleep(t, minus) },
		Awake: func() *peer {
			return asleep(t, minus).has("ab", 1, "x").sends(wakeup).gets(`PUBLISH short:"ab" q1 #1 x`, Awake)
		},
	}
	seen := map[mqttsn.Type]bool{}
	for _, tt := range packets {
		seen[tt.packet.Type()] = true
		for state, to := range reach {
			p := to()
			p.sends(tt.packet)
			want := strings.Contains(" "+tt.ok+" ", " "+state.String()+" ")
			if got := p.events[OutOfState] == 0; got != want {
				t.Errorf("%v while %v: taken = %v", tt.packet, state, got)
			}
			if state == Disconnected {
				if got := strings.Join(p.got, " | "); got != tt.stray {
					t.Errorf("%v while disconnected got [%s], want [%s]", tt.packet, got, tt.stray)
				}
			}
			if !want && state != Disconnected && len(p.got) != 0 {
				t.Errorf("%v while %v was answered: %v", tt.packet, state, p.got)
			}
		}
	}
	for ty := mqttsn.TypeAdvertise; ty < mqttsn.NumTypes; ty++ {
		if !seen[ty] {
			t.Errorf("%v is not in the table", ty)
		}
	}
}

func TestB22PayloadSizes(t *testing.T) {
	p := active(t)
	for _, n := range []int{0, 1, 100, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255, 256, 1015} {
		payload := strings.Repeat("x", n)
		p.has("ab", 0, payload).gets(`PUBLISH short:"ab" q0 #0 `+payload, Active)
		p.sends(publish(short("up"), 0, 0, payload)).asked("publish up=" + payload + " q0")
	}
	p.has("ab", 0, strings.Repeat("x", 1016)).gets("", Active).counted(Oversize, 1)
}

func TestB24IDsOutliveSleep(t *testing.T) {
	p := active(t)
	p.sends(register("up", 1), sleepFor(time.Hour)).gets("REGACK 1 #1 rc0 | DISCONNECT", Asleep)
	p.passes(50*time.Minute).sends(wakeup).gets("PINGRESP", Asleep)
	p.passes(50*time.Minute).sends(publish(normal(1), 1, 2, "x")).gets("PUBACK 1 #2 rc0", Asleep).asked("publish up=x q1")
	p.sends(connect(time.Minute), publish(normal(1), 0, 0, "y")).gets("CONNACK 0", Active).asked("open dev1 | publish up=y q0")
}
