package session

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// TestSleeperIsSmall adds up what a sleeping session with one topic id and a
// client id of 20 octets holds: the struct, its client id, its topic table and
// the name in it.
func TestSleeperIsSmall(t *testing.T) {
	p := newPeer(t)
	c := connect(time.Minute)
	c.ClientID = []byte("sensor-0123456789abc")
	p.sends(c, subscribe(named("cmd/sensor-0123456789abc"), 1, 1), publish(short("ab"), 1, 2, "x"))
	p.sends(sleepFor(time.Hour), ping)
	p.has("cmd/sensor-0123456789abc", 1, "x").sends(ping, puback(1, 1, 0))
	p.gets("CONNACK 0 | SUBACK 1 #1 q1 rc0 | PUBACK 24930 #2 rc0 | DISCONNECT | PINGRESP | PUBLISH 1 q1 #1 x | PINGRESP", Asleep)

	s := p.s
	octets := int(unsafe.Sizeof(*s)) + 24 + cap(s.topics)*int(unsafe.Sizeof(topic{})) + 24
	t.Logf("%d octets, of which the struct has %d", octets, unsafe.Sizeof(*s))
	if octets > 210 || s.work != nil {
		t.Errorf("a sleeper holds %d octets, 210 at most are promised, and %+v", octets, s.work)
	}
}

// TestSleeperKeepsNoSpareRoom: a topic table that has grown is cut to size.
func TestSleeperKeepsNoSpareRoom(t *testing.T) {
	for want := range 40 {
		p := active(t)
		for i := range want {
			p.sends(register("up/"+string(rune('a'+i)), uint16(i)))
		}
		p.sends(sleepFor(time.Hour))
		if n, c := len(p.s.topics), cap(p.s.topics); n != want || c > n+n/4 {
			t.Errorf("%d topics in room for %d", n, c)
		}
	}
}

// TestHostile44ManyTopics: a client that registers a hundred thousand names
// gets its share of ids, congestion for all others, and takes up no more than
// 200 KB.
func TestHostile44ManyTopics(t *testing.T) {
	p := newPeer(t).sends(connectClean(time.Hour)).gets("CONNACK 0", Active)
	var accepted, congested int
	for i := range 100_000 {
		p.s.Handle(p.now, &mqttsn.Register{ID: uint16(i), Name: fmt.Appendf(nil, "%06d/%s", i, strings.Repeat("x", 90))}, &p.out)
		for b := range p.out.Datagrams {
			switch a, err := mqttsn.Decode(mqttsn.V12, b); {
			case err != nil:
				t.Fatal(err)
			case a.(*mqttsn.Regack).Reason == mqttsn.Accepted:
				accepted++
			default:
				congested++
			}
		}
		p.out.Reset()
	}
	held := cap(p.s.topics) * int(unsafe.Sizeof(topic{}))
	for _, known := range p.s.topics {
		held += len(known.name)
	}
	if accepted != len(p.s.topics) || accepted == 0 || accepted+congested != 100_000 || held > 200_000 {
		t.Errorf("%d names are accepted, %d refused, %d octets are held for %d", accepted, congested, held, len(p.s.topics))
	}
}

// publishOnce takes one QoS 1 publish through the session: PUBLISH, the
// broker's answer, PUBACK.
func publishOnce(s *Session, out *Actions, now clock.Time, k *mqttsn.Publish) (datagrams int) {
	s.Handle(now, k, out)
	a := Answer{Kind: AskPublish, Tag: out.Ask[0].Tag}
	out.Reset()
	s.Complete(now, a, out)
	for range out.Datagrams {
		datagrams++
	}
	out.Reset()
	return datagrams
}

func TestPublishAllocatesNothing(t *testing.T) {
	p := active(t).sends(register("up", 1))
	k := publish(normal(1), 1, 2, "21.5")
	allocs := testing.AllocsPerRun(1000, func() {
		k.ID++
		if publishOnce(p.s, &p.out, p.now, k) != 1 {
			t.Fatal("no PUBACK")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a publish", allocs)
	}
}

func TestDeliveryAllocatesNothing(t *testing.T) {
	p := active(t).has("ab", 1, "x").sends(puback(0, 1, 0))
	d := Delivery{ID: 1, QoS: 1, Topic: "ab", Payload: []byte("21.5")}
	ack := &mqttsn.Puback{ID: 1}
	allocs := testing.AllocsPerRun(1000, func() {
		p.s.Deliver(p.now, d, &p.out)
		p.s.Handle(p.now, ack, &p.out)
		p.out.Reset()
	})
	if allocs != 0 || !p.s.Ready() {
		t.Errorf("%v allocations for a delivery; ready: %v", allocs, p.s.Ready())
	}
}

func BenchmarkPublish(b *testing.B) {
	cfg := DefaultConfig()
	cfg.Predefined = map[uint16]string{1: "up"}
	s, out := New(mqttsn.V12, &cfg), new(Actions)
	s.Handle(1, connectClean(0), out)
	s.Complete(1, Answer{Kind: AskOpen, Tag: out.Ask[0].Tag}, out)
	out.Reset()
	k := publish(predefined(1), 1, 1, "21.5")
	b.ReportAllocs()
	for b.Loop() {
		k.ID++
		publishOnce(s, out, 1, k)
	}
}
