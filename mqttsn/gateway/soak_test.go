package gateway

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

var soakSeed = flag.Int64("soak.seed", -1, "run the soak with this seed alone, and print what passes on the wire")

// TestSoak has sleepers and an application exchange messages over a network
// that loses a fifth of all datagrams, repeats a tenth and reorders a tenth, a
// thousand times over. Each time every QoS 1 message arrives, every QoS 2
// message arrives once, those of one publisher arrive in order, nothing is
// sent to a sleeper, and every flush ends with one PINGRESP.
func TestSoak(t *testing.T) {
	if *soakSeed >= 0 {
		soak(t, uint64(*soakSeed), true)
		return
	}
	for seed := range uint64(1000) {
		soak(t, seed, false)
		if t.Failed() {
			t.Fatalf("seed %d: go test -run TestSoak -soak.seed=%d ./mqttsn/gateway", seed, seed)
		}
	}
}

func soak(t *testing.T, seed uint64, show bool) {
	link := memnet.Link{
		Loss: 0.2, Duplication: 0.1, Reordering: 0.1,
		// A PUBLISH that is overtaken by the PUBREL of its own exchange is a
		// new message to whoever gets it, and there is nothing in the protocol
		// against that: so nothing is held back for longer than a round trip.
		Latency: 50 * time.Millisecond, Detour: 95 * time.Millisecond,
	}
	rng := rand.New(rand.NewPCG(seed, 4))
	o := &oracle{t: t, sleeps: make(map[transport.Peer]bool), silent: make(map[transport.Peer]bool)}
	var d *disk
	if seed%2 == 1 { // every other time, what is promised takes a while to be durable
		d = new(disk)
	}
	w := newWorldOn(t, memnet.Config{Seed: seed, Up: link, Down: link, Observe: func(e memnet.Event) {
		if show {
			p, _ := mqttsn.Decode(mqttsn.V12, e.Octets)
			t.Logf("%8.2f %v %v %v %v", e.At.Sub(beginning).Seconds(), e.Peer.Addr, e.Direction, e.Fate, p)
		}
		if e.Direction == memnet.Down && e.Fate == memnet.Sent {
			o.down(e)
		}
	}}, d, nil)

	app := w.app("app", "up/#")
	var dozers []*dozer
	for i := range 2 {
		dozers = append(dozers, newDozer(w, rng, fmt.Sprintf("10.0.0.%d:7", 1+i), fmt.Sprint("dozer", i)))
	}
	downs := make(map[string][]string) // what each is to get, by payload
	next := w.now.Add(20 * time.Second)
	var up []string
	var synced clock.Time // when the disk answers, if it has something to
	for limit := w.now.Add(48 * time.Hour); ; {
		w.net.Deliver(w.now, func(batch []transport.Datagram) {
			for i, d := range batch { // one by one, so that it is plain what answers what
				o.up(d)
				w.g.Receive(batch[i : i+1])
				w.g.Step(w.now)
			}
		})
		w.g.Step(w.now)
		switch {
		case d == nil || !d.waits():
		case synced == 0:
			synced = w.now.Add(time.Duration(1+rng.IntN(1500)) * time.Millisecond)
		case synced.Reached(w.now):
			synced = 0
			d.answer()
			w.g.Step(w.now)
		}
		up = append(up, app.receives()...)
		for _, d := range w.net.Sent(w.now) {
			for _, z := range dozers {
				if z.peer == d.Peer {
					z.hears(d.Buf)
				}
			}
		}
		if w.now >= next && next != 0 {
			z := dozers[rng.IntN(2)]
			if z.subscribed {
				qos := core.QoS(rng.IntN(3))
				m := fmt.Sprintf("to/%s/%d q%d n%d", z.id, rng.IntN(5), qos, len(downs[z.id]))
				downs[z.id] = append(downs[z.id], m)
				topic, _, _ := strings.Cut(m, " ")
				app.says(topic, m, qos, false)
			}
			next = w.now.Add(time.Duration(rng.IntN(40_000)) * time.Millisecond)
			if len(downs[dozers[0].id])+len(downs[dozers[1].id]) >= 24 {
				next = 0
			}
			continue
		}
		done := next == 0
		wake := next
		for _, z := range dozers {
			z.wants = downs[z.id]
			z.step()
			done = done && z.done()
			wake = clock.Sooner(wake, z.deadline)
		}
		if done {
			break
		}
		wake = clock.Sooner(wake, clock.Sooner(synced, clock.Sooner(w.net.Next(), w.g.Next())))
		w.now = max(w.now, wake)
		w.net.Advance(w.now)
		if w.now > limit || wake == 0 {
			for _, z := range dozers {
				t.Errorf("%s is at its wits' end: %+v", z.id, z)
			}
			return
		}
	}
	for _, z := range dozers {
		wantExchange(t, "to "+z.id, downs[z.id], z.heard)
		var came []string
		for _, m := range up {
			if topic, payload, _ := strings.Cut(m, "="); topic == "up/"+z.id {
				came = append(came, payload)
			}
		}
		wantExchange(t, "from "+z.id, z.said, came)
	}
	w.audit()
}

// wantExchange checks what was received against what was sent. A payload has
// q0, q1 or q2 in it and is unique.
func wantExchange(t *testing.T, what string, sent, received []string) {
	times := make(map[string]int)
	at := -1
	for _, m := range received {
		times[m]++
		i := slices.Index(sent, m)
		switch {
		case i < 0:
			t.Errorf("%s: %q was received and never sent", what, m)
		case qosOf(m) > 0 && times[m] == 1 && i < at:
			t.Errorf("%s: %q was received after %q", what, m, sent[at])
		case qosOf(m) > 0:
			at = max(at, i)
		}
	}
	for _, m := range sent {
		if n := times[m]; qosOf(m) == 1 && n == 0 || qosOf(m) == 2 && n != 1 {
			t.Errorf("%s: %q was received %d times", what, m, n)
		}
	}
}

func qosOf(m string) mqttsn.QoS {
	var topic string
	var qos, n int
	if _, err := fmt.Sscanf(m, "%s q%d n%d", &topic, &qos, &n); err != nil {
		return -1
	}
	return mqttsn.QoS(qos)
}

// An oracle watches the wire for datagrams to sleepers. A client that has
// asked to sleep is left alone from the gateway's last word, DISCONNECT or
// PINGRESP, until it is heard again.
type oracle struct {
	t              *testing.T
	sleeps, silent map[transport.Peer]bool
}

func (o *oracle) up(d transport.Datagram) {
	o.silent[d.Peer] = false
	switch p := o.decode(d.Buf).(type) {
	case *mqttsn.Connect:
		o.sleeps[d.Peer] = false
	case *mqttsn.Disconnect:
		o.sleeps[d.Peer] = p.Duration > 0
	}
}

func (o *oracle) down(e memnet.Event) {
	if o.silent[e.Peer] {
		o.t.Errorf("sent to a sleeper: %v", e)
	}
	switch o.decode(e.Octets).(type) {
	case *mqttsn.Disconnect, *mqttsn.Pingresp:
		o.silent[e.Peer] = o.sleeps[e.Peer]
	}
}

func (o *oracle) decode(b []byte) mqttsn.Packet {
	p, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		o.t.Errorf("%x: %v", b, err)
	}
	return p
}
