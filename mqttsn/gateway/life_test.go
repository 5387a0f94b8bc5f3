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

var soakSeed = flag.Int64("soak.seed", -1, "run the soaks with this seed alone, and print what passes on the wire")

// eachSeed soaks a thousand times, or with -soak.seed once.
func eachSeed(t *testing.T, soak func(t *testing.T, seed uint64, show bool)) {
	if *soakSeed >= 0 {
		soak(t, uint64(*soakSeed), true)
		return
	}
	for seed := range uint64(1000) {
		soak(t, seed, false)
		if t.Failed() {
			t.Fatalf("seed %d: go test -run '^%s$' -soak.seed=%d ./mqttsn/gateway", seed, t.Name(), seed)
		}
	}
}

// A life is that of a world in which an application and two sleepers have 24
// messages for the sleepers, and theirs, between them.
type life struct {
	*world
	rng    *rand.Rand
	oracle *oracle
	dozers []*dozer
	downs  map[string][]string // what each is to get, by payload
	next   clock.Time          // when the application speaks; zero: it has no more to say
	synced clock.Time          // when the disk answers, if it has something to
	limit  clock.Time          // by when all must have been said
	show   bool
}

// newLife makes the world; live begins it.
func newLife(t *testing.T, net memnet.Config, rng *rand.Rand, d *disk, show bool) *life {
	l := &life{rng: rng, show: show, downs: make(map[string][]string)}
	l.oracle = &oracle{t: t, sleeps: make(map[transport.Peer]bool), silent: make(map[transport.Peer]bool)}
	net.Observe = func(e memnet.Event) {
		if show {
			t.Logf("%8.2f %v %v %v %v", e.At.Sub(beginning).Seconds(), e.Peer.Addr, e.Direction, e.Fate, l.oracle.decode(e.Octets))
		}
		if e.Direction == memnet.Down && e.Fate == memnet.Sent {
			l.oracle.down(e)
		}
	}
	l.world = newWorldOn(t, net, d, nil)
	return l
}

func (l *life) live() {
	for i := range 2 {
		l.dozers = append(l.dozers, newDozer(l.world, l.rng, fmt.Sprintf("10.0.0.%d:7", 1+i), fmt.Sprint("dozer", i)))
	}
	l.next, l.limit = l.soon(20*time.Second), l.now.Add(48*time.Hour)
}

// soon is a time within most from now.
func (l *life) soon(most time.Duration) clock.Time {
	return l.now.Add(time.Duration(1 + l.rng.Int64N(int64(most))))
}

// bring has the gateway receive what has come, and do what there is to do.
func (l *life) bring() {
	l.net.Deliver(l.now, func(batch []transport.Datagram) {
		for i, d := range batch { // one by one, so that it is plain what answers what
			l.oracle.up(d)
			l.g.Receive(batch[i : i+1])
			l.g.Step(l.now)
		}
	})
	l.g.Step(l.now)
}

// promise has the disk answer a while after it was asked.
func (l *life) promise() {
	switch {
	case !l.disk.waits():
		l.synced = 0
	case l.synced == 0:
		l.synced = l.soon(1500 * time.Millisecond)
	case l.synced.Reached(l.now):
		l.synced = 0
		l.disk.answer()
		l.g.Step(l.now)
	}
}

// hear lets the sleepers hear what has come.
func (l *life) hear() {
	for _, d := range l.net.Sent(l.now) {
		for _, z := range l.dozers {
			if z.peer == d.Peer {
				z.hears(d.Buf)
			}
		}
	}
}

// speaks has the application publish, if it is time to, and reports that.
func (l *life) speaks(says func(topic, payload string, qos core.QoS)) bool {
	if l.next == 0 || l.now < l.next {
		return false
	}
	if z := l.dozers[l.rng.IntN(2)]; z.subscribed {
		qos := core.QoS(l.rng.IntN(3))
		m := fmt.Sprintf("to/%s/%d q%d n%d", z.id, l.rng.IntN(5), qos, len(l.downs[z.id]))
		l.downs[z.id] = append(l.downs[z.id], m)
		topic, _, _ := strings.Cut(m, " ")
		says(topic, m, qos)
	}
	l.next = l.soon(40 * time.Second)
	if len(l.downs[l.dozers[0].id])+len(l.downs[l.dozers[1].id]) >= 24 {
		l.next = 0
	}
	return true
}

// step has the sleepers do what they will, and returns when one of them will
// do something next. It reports whether everybody has said and heard it all.
func (l *life) step() (done bool, wake clock.Time) {
	done = l.next == 0
	for _, z := range l.dozers {
		z.wants = l.downs[z.id]
		z.step()
		done = done && z.done()
		wake = clock.Sooner(wake, z.deadline)
	}
	return done, wake
}

// wait lets time pass until wake, or until something comes. It reports whether
// there is anything to wait for.
func (l *life) wait(wake clock.Time) bool {
	wake = clock.Sooner(wake, l.net.Next())
	l.now = max(l.now, wake)
	l.net.Advance(l.now)
	if l.now <= l.limit && wake != 0 {
		return true
	}
	for _, z := range l.dozers {
		l.t.Errorf("%s is at its wits' end: %+v", z.id, z)
	}
	return false
}

// note says in what is shown that something happened.
func (l *life) note(what string) {
	if l.show {
		l.t.Logf("%8.2f %s", l.now.Sub(beginning).Seconds(), what)
	}
}

// wantAll checks what everybody has got; up is what the application has, as
// topic=payload.
func (l *life) wantAll(up []string) {
	for _, z := range l.dozers {
		wantExchange(l.t, "to "+z.id, l.downs[z.id], z.heard)
		var came []string
		for _, m := range up {
			if topic, payload, _ := strings.Cut(m, "="); topic == "up/"+z.id {
				came = append(came, payload)
			}
		}
		wantExchange(l.t, "from "+z.id, z.said, came)
	}
}

// wantExchange checks what was received against what was sent. A payload has
// q0, q1 or q2 in it and is unique.
func wantExchange(t testing.TB, what string, sent, received []string) {
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
