package bridge_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"dormouse/bridge"
	"dormouse/core"
	"dormouse/core/mqtt"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport/udp"
)

var (
	worldSeed = flag.Uint64("world.seed", 0, "run this world only")
	worldRuns = flag.Int("world.runs", 40, "how many worlds to run")
)

// patience bounds every wait: running out of it is a failure, and nothing is
// ever proven by it.
const patience = 30 * time.Second

// TestBothWorldsKeepMQTTsPromises has clients of all versions and sensors do
// what they like, on real sockets: subscribe, publish, vanish, come back. Some
// of them are a crew that shares a subscription. Then
// the history of it all is checked. What each does depends on the seed, which
// a failure names; how they meet does not.
func TestBothWorldsKeepMQTTsPromises(t *testing.T) {
	runs, first := *worldRuns, uint64(time.Now().UnixNano())
	if *worldSeed != 0 {
		runs, first = 1, *worldSeed
	}
	for i := range runs {
		seed := first + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			runWorld(t, seed)
		})
	}
}

// A world is a broker with both its edges, and the history of its clients.
type world struct {
	testing.TB
	history
	broker   *core.Broker
	mqtt, sn string // addresses
}

// farewells is where each client gets the last message, each below its own name.
const farewells = "open/farewells/"

// topics and filters are few, so that clients meet. Who is called eve may have
// to do with what is open only.
var (
	topics  = []string{"open/a", "open/b", "open/a/deep", "house/kitchen", "house/attic"}
	filters = []string{"#", "open/#", "open/+", "+/+", "house/attic", "open/a", "+/a/#", "open/b"}
)

// shared is what the crew has subscribed to.
const (
	crew   = "$share/crew/"
	shared = crew + "#"
)

func authorize(who core.Identity, a core.Access) bool {
	return who.User != "eve" || strings.HasPrefix(a.Topic, "open/")
}

func runWorld(t *testing.T, seed uint64) {
	w := newWorld(t)
	var all []actor
	add := func(a actor) { all = append(all, a) }
	dice := func(n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }

	witness := newMQTTActor(w, "witness", "", 5, dice(0))
	witness.careful = true
	witness.connect(true)
	witness.subscribe("#", 2)
	add(witness)
	for i, version := range []byte{3, 4, 4, 5, 5} {
		add(newMQTTActor(w, fmt.Sprint("client", i), "", version, dice(1+i)))
	}
	add(newMQTTActor(w, "eve", "eve", 5, dice(10)))
	for i := range 2 {
		add(newSensorActor(w, fmt.Sprint("sensor", i), dice(20+i)))
	}
	for i, version := range []byte{4, 5} {
		a := newMQTTActor(w, fmt.Sprint("mate", i), "", version, dice(40+i))
		a.crew = true
		a.connect(true)
		a.subscribe(shared, 2)
		add(a)
	}
	sleeper := newSensorActor(w, "sleeper", dice(50))
	sleeper.crew = true
	sleeper.connect()
	sleeper.subscribe(shared, 2)
	add(sleeper)

	var busy sync.WaitGroup
	for _, a := range all[1:] {
		busy.Go(func() {
			for range 80 {
				a.act()
			}
		})
	}
	busy.Wait()

	// Whoever has a session comes for what waits there, behind which comes a
	// message for this one alone.
	for _, a := range all {
		a.comeBack()
	}
	w.awaitWills()
	w.stamped(func(now int64) { w.horizon = now })
	for _, a := range all[1:] {
		a.drain(witness)
		a.leave()
	}
	witness.drain(witness)
	witness.leave()
	w.collectRetained(newMQTTActor(w, "collector", "", 5, dice(30)))
	for _, wrong := range w.check() {
		t.Error(wrong)
	}
	if t.Failed() {
		t.Logf("to see it again: go test ./bridge -run BothWorlds -world.seed=%d", seed)
	}
}

// An actor is a client that does what it likes.
type actor interface {
	act()                 // one thing
	comeBack()            // connect, if there is a session to go on with
	drain(via *mqttActor) // wait until all that is under way has come
	leave()               // for good
}

func newWorld(t *testing.T) *world {
	co := core.DefaultOptions()
	co.Authorize = authorize
	co.SysInterval = 0
	co.Queue.Messages = 100_000
	b := core.New(co)
	s := mqtt.New(b, mqtt.DefaultOptions())
	addr, err := s.Listen(mqtt.ListenerConfig{Name: "mqtt", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := udp.Listen(udp.Config{Address: netip.MustParseAddrPort("127.0.0.1:0"), Sockets: 1, MaxDatagram: 1024})
	if err != nil {
		t.Fatal(err)
	}
	gc := gateway.DefaultConfig()
	gc.Session.RetryInterval = time.Second
	g := gateway.New(gc, conn, bridge.New(b, bridge.DefaultConfig()), clock.Now())

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Serve(ctx) })
	running.Go(func() { g.Run(ctx) })
	g.SetReady(true)
	t.Cleanup(func() {
		late, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		if err := s.Close(late); err != nil {
			t.Error(err)
		}
		cancel()
		running.Wait()
		conn.Close()
		b.Close()
	})
	return &world{TB: t, broker: b, mqtt: addr.String(), sn: conn.Addr().String()}
}

// awaitWills waits until the witness, who is the first subscriber, has all the
// wills that are due: the broker learns of some losses late.
func (w *world) awaitWills() {
	due := func() (missing int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		came := map[string]bool{}
		for _, r := range w.subscribers[0].got {
			came[r.payload] = true
		}
		for _, will := range w.wills {
			if will.fires && !came[will.payload] {
				missing++
			}
		}
		return missing
	}
	look, out := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer look.Stop()
	for due() > 0 {
		select {
		case <-look.C:
		case <-out:
			return // check says which
		}
	}
}

// collectRetained notes what is retained, as a newcomer gets it.
func (w *world) collectRetained(a *mqttActor) {
	a.careful = true
	a.connect(false)
	a.subscribe("#", 0)
	a.drain(a)
	a.leave()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = map[string]string{}
	for _, r := range a.subscriber.got {
		if r.retain {
			w.kept[r.topic] = r.payload
		}
	}
	w.subscribers = w.subscribers[:len(w.subscribers)-1] // it was only asked
}
