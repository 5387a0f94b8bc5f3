package gateway

import (
	"math/rand/v2"
	"testing"
	"time"

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
func TestSoakRestarts(t *testing.T) { eachSeed(t, soakRestarts) }

// maxKills is how often the broker is killed in one life.
const maxKills = 30

func soakRestarts(t *testing.T, seed uint64, show bool) {
	link, good := poor, seed%2 == 0
	if good {
		link = memnet.Link{Latency: 50 * time.Millisecond}
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	d := &disk{memory: store.NewMemory()}
	l := newLife(t, memnet.Config{Seed: seed, Up: link, Down: link}, rng, d, show)
	w := l.world
	app := w.keptApp()
	l.live()
	l.dozers[1].bare = true
	kill := l.soon(time.Minute)
	var back clock.Time // when the broker is there again; zero: it is
	kills := 0
	for done := false; !done; {
		if back != 0 && back.Reached(w.now) {
			back = 0
			w.start()
			app.returns()
			kill = l.soon(3 * time.Minute)
			l.note("is back")
		}
		if back == 0 {
			l.bring()
			l.promise()
			app.listens()
		} else {
			w.net.Deliver(w.now, func(batch []transport.Datagram) {
				for _, d := range batch {
					l.oracle.up(d)
				}
			})
		}
		busy := len(d.queue) > 0 && rng.IntN(8) == 0 // then it matters most
		if back == 0 && kills < maxKills && (busy || kill.Reached(w.now)) {
			kills++
			d.crash(rng.IntN(len(d.queue) + 1))
			w.skew += []time.Duration{0, time.Hour, -time.Hour}[rng.IntN(3)]
			l.synced, kill = 0, 0
			back = l.soon(20 * time.Second)
			l.note("is killed")
		}
		l.hear()
		if back == 0 && l.speaks(app.says) {
			continue
		}
		wake := back
		if back == 0 {
			wake = clock.Sooner(l.next, clock.Sooner(l.synced, w.g.Next()))
			if kills < maxKills {
				wake = clock.Sooner(wake, kill)
			}
		}
		var dozer clock.Time
		done, dozer = l.step()
		done = done && back == 0
		if !done && !l.wait(clock.Sooner(wake, dozer)) {
			return
		}
	}
	w.syncs()
	app.listens()
	for _, z := range l.dozers {
		if good && z.dismissed > 0 {
			t.Errorf("%s was told %d times that it is not connected", z.id, z.dismissed)
		}
	}
	l.wantAll(app.got)
}
