package gateway

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/core/store"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

// TestSoakRestarts is TestSoak with a broker that is killed at random instants
// and is down for a while, and a wall clock that is set an hour forward or back
// meanwhile. The disk keeps what it has answered for, and perhaps some more.
// All that holds there holds here; and on a good network no sensor is ever told
// that it is not known.
func TestSoakRestarts(t *testing.T) {
	if *soakSeed >= 0 {
		soakRestarts(t, uint64(*soakSeed), true)
		return
	}
	for seed := range uint64(1000) {
		soakRestarts(t, seed, false)
		if t.Failed() {
			t.Fatalf("seed %d: go test -run TestSoakRestarts -soak.seed=%d ./mqttsn/gateway", seed, seed)
		}
	}
}

// maxKills is how often the broker is killed in one life.
const maxKills = 30

func soakRestarts(t *testing.T, seed uint64, show bool) {
	good := seed%2 == 0
	link := memnet.Link{Latency: 50 * time.Millisecond}
	if !good {
		link = memnet.Link{Loss: 0.2, Duplication: 0.1, Reordering: 0.1, Latency: 50 * time.Millisecond, Detour: 95 * time.Millisecond}
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	o := &oracle{t: t, sleeps: make(map[transport.Peer]bool), silent: make(map[transport.Peer]bool)}
	d := &disk{memory: store.NewMemory()}
	w := newWorldOn(t, memnet.Config{Seed: seed, Up: link, Down: link, Observe: func(e memnet.Event) {
		if show {
			t.Logf("%8.2f %v %v %v %v", e.At.Sub(beginning).Seconds(), e.Peer.Addr, e.Direction, e.Fate, o.decode(e.Octets))
		}
		if e.Direction == memnet.Down && e.Fate == memnet.Sent {
			o.down(e)
		}
	}}, d, nil)
	app := w.keptApp()

	var dozers []*dozer
	for i := range 2 {
		z := newDozer(w, rng, fmt.Sprintf("10.0.0.%d:7", 1+i), fmt.Sprint("dozer", i))
		z.bare = i == 1
		dozers = append(dozers, z)
	}
	downs := make(map[string][]string) // what each is to get, by payload
	soon := func(most time.Duration) clock.Time {
		return w.now.Add(time.Duration(1 + rng.Int64N(int64(most))))
	}
	next, kill := soon(20*time.Second), soon(time.Minute)
	var synced, back clock.Time // when the disk answers, and when the broker is there again
	kills := 0
	for limit := w.now.Add(48 * time.Hour); ; {
		if back != 0 && back.Reached(w.now) {
			back = 0
			w.start()
			app.returns()
			kill = soon(3 * time.Minute)
			if show {
				t.Logf("%8.2f is back", w.now.Sub(beginning).Seconds())
			}
		}
		if back != 0 {
			w.net.Deliver(w.now, func(batch []transport.Datagram) {
				for _, d := range batch {
					o.up(d)
				}
			})
		} else {
			w.net.Deliver(w.now, func(batch []transport.Datagram) {
				for i, d := range batch { // one by one, so that it is plain what answers what
					o.up(d)
					w.g.Receive(batch[i : i+1])
					w.g.Step(w.now)
				}
			})
			w.g.Step(w.now)
			switch {
			case !d.waits():
				synced = 0
			case synced == 0:
				synced = soon(1500 * time.Millisecond)
			case synced.Reached(w.now):
				synced = 0
				d.answer()
				w.g.Step(w.now)
			}
			app.listens()
		}
		busy := len(d.queue) > 0 && rng.IntN(8) == 0 // then it matters most
		if back == 0 && kills < maxKills && (busy || kill.Reached(w.now)) {
			kills++
			d.crash(rng.IntN(len(d.queue) + 1))
			w.skew += []time.Duration{0, time.Hour, -time.Hour}[rng.IntN(3)]
			synced, kill = 0, 0
			back = soon(20 * time.Second)
			if show {
				t.Logf("%8.2f is killed", w.now.Sub(beginning).Seconds())
			}
		}
		for _, d := range w.net.Sent(w.now) {
			for _, z := range dozers {
				if z.peer == d.Peer {
					z.hears(d.Buf)
				}
			}
		}
		if w.now >= next && next != 0 && back == 0 {
			z := dozers[rng.IntN(2)]
			if z.subscribed {
				qos := core.QoS(rng.IntN(3))
				m := fmt.Sprintf("to/%s/%d q%d n%d", z.id, rng.IntN(5), qos, len(downs[z.id]))
				downs[z.id] = append(downs[z.id], m)
				topic, _, _ := strings.Cut(m, " ")
				app.says(topic, m, qos)
			}
			next = soon(40 * time.Second)
			if len(downs[dozers[0].id])+len(downs[dozers[1].id]) >= 24 {
				next = 0
			}
			continue
		}
		done := next == 0 && back == 0
		wake := clock.Time(0)
		if back == 0 {
			wake = clock.Sooner(next, clock.Sooner(synced, clock.Sooner(kill, w.g.Next())))
			if kills == maxKills {
				wake = clock.Sooner(next, clock.Sooner(synced, w.g.Next()))
			}
		}
		for _, z := range dozers {
			z.wants = downs[z.id]
			z.step()
			done = done && z.done()
			wake = clock.Sooner(wake, z.deadline)
		}
		if done {
			break
		}
		wake = clock.Sooner(wake, clock.Sooner(back, w.net.Next()))
		w.now = max(w.now, wake)
		w.net.Advance(w.now)
		if w.now > limit || wake == 0 {
			for _, z := range dozers {
				t.Errorf("%s is at its wits' end: %+v", z.id, z)
			}
			return
		}
	}
	w.syncs()
	app.listens()
	for _, z := range dozers {
		if good && z.dismissed > 0 {
			t.Errorf("%s was told %d times that it is not connected", z.id, z.dismissed)
		}
		wantExchange(t, "to "+z.id, downs[z.id], z.heard)
		var came []string
		for _, m := range app.got {
			if topic, payload, _ := strings.Cut(m, "="); topic == "up/"+z.id {
				came = append(came, payload)
			}
		}
		wantExchange(t, "from "+z.id, z.said, came)
	}
}
