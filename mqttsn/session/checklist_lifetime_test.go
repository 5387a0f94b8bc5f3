package session

import (
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// The checklist goes on: keep alive, sleep, loss and bad days.

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
	p.sends(sleepFor(time.Hour)).gets("", Asleep)   // nor that
	p.b.result = map[RequestKind]Result{}
	p.sends(sleepFor(time.Hour)).gets("DISCONNECT", Asleep)
	p.sends(register("a", 5)).gets("REGACK 3 #5 rc0", Asleep)

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
