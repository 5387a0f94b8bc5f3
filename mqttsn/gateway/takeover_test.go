package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/bridge"
	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

// audit checks that the books of a gateway at rest are in order: every seat is
// in one shard, at the address and in the slot that it says; a client has one
// seat that is accepted, the one that the registry knows; and the counts are right.
func (w *world) audit() {
	w.t.Helper()
	seats := 0
	accepted := make(map[string]*seat)
	for i, s := range w.g.shards {
		bound := 0
		for slot, t := range s.slots {
			if t == nil {
				continue
			}
			seats++
			if t.owner != s || int(t.slot) != slot || t.queued || t.held || t.told.news() || t.told != nil && t.told.claim != nil {
				w.t.Fatalf("shard %d: slot %d holds %+v", i, slot, t)
			}
			if t.bound() {
				bound++
				if s.find(t.peer, []byte(t.node)) != t {
					w.t.Fatalf("shard %d: at %v is not who says so", i, t.source)
				}
			}
			if t.state == session.Connecting {
				continue
			}
			id := t.session.ClientID()
			if accepted[id] != nil {
				w.t.Fatalf("%s sits at %v and at %v", id, accepted[id].source, t.source)
			}
			accepted[id] = t
			if w.g.clients.find(id) != t {
				w.t.Fatalf("%s sits at %v, and the registry says %v", id, t.source, w.g.clients.find(id))
			}
		}
		if n := s.bySource.Len(); bound != n {
			w.t.Fatalf("shard %d: %d too many seats have an address", i, bound-n)
		}
	}
	if n := w.g.seats.Load(); n != int64(seats) {
		w.t.Fatalf("%d seats are counted, %d are there", n, seats)
	}
	for i := range w.g.clients.parts {
		for t := range w.g.clients.parts[i].seats.All {
			if id := t.session.ClientID(); t.owner == nil || w.g.clients.find(id) != t {
				w.t.Fatalf("the registry says that %s sits at %v, which is %+v", id, t.source, t)
			}
		}
	}
	total := uint64(0)
	for _, name := range stateNames[1:] {
		total += w.count("sessions", name)
	}
	if total != uint64(seats) {
		w.t.Fatalf("the states of %d seats are counted, %d are there", total, seats)
	}
}

// TestTakeoversInAnyOrder has two clients connect, wake, sleep, go and come
// from everywhere, while the application takes their ids for itself, and lets
// the shards take their turns in a random order, with datagrams, kicks,
// answers and claims in flight between them. Whatever happens, the books are in
// order afterwards, and the client that connects last has its messages.
func TestTakeoversInAnyOrder(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 17))
		w := newWorld(t, func(c *Config) {
			c.AddressMigration, c.Shards = Always, 1+int(seed%4)
			c.Session.DialogueTimeout = 10 * time.Second
		})
		publisher := w.app("publisher")
		ids := []string{"a", "b"}
		for _, id := range ids {
			w.at("10.0.0.1:1").connects(id, false, time.Minute).subscribes("to/"+id, 1)
		}
		for range 150 {
			id := ids[rng.IntN(2)]
			s := w.at(fmt.Sprintf("10.0.0.%d:%d", 1+rng.IntN(2), 1+rng.IntN(3)))
			switch rng.IntN(12) {
			case 0, 1:
				s.inject(octets(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte(id)}))
			case 2:
				s.inject(octets(&mqttsn.Connect{ProtocolID: 1, Will: true, KeepAlive: time.Minute, ClientID: []byte(id)}))
			case 3:
				s.inject(octets(&mqttsn.Willtopic{}))
			case 4, 5:
				s.inject(octets(&mqttsn.Disconnect{Duration: time.Hour}))
			case 6, 7, 8:
				s.inject(octets(&mqttsn.Pingreq{ClientID: []byte(id)}))
			case 9:
				s.inject(octets(&mqttsn.Disconnect{}))
			case 10:
				w.app(id)
			case 11:
				w.now = w.now.Add(time.Duration(rng.IntN(20)) * time.Second)
			}
			w.net.Deliver(w.now, w.g.Receive)
			for range rng.IntN(4) {
				w.g.shards[rng.IntN(len(w.g.shards))].turn(w.now)
			}
		}
		w.settle()
		w.audit()

		for i, id := range ids {
			app := w.app(id) // whoever has it, it is free now
			app.session.Detach(core.Clean, func(error) {})
			s := w.at(fmt.Sprintf("10.0.1.1:%d", 1+i)).connects(id, false, time.Minute)
			s.subscribes("to/"+id, 1)
			publisher.publish("to/"+id, "last", 1, false)
			if got, _ := s.flush(); len(got) == 0 || got[len(got)-1] != "last" {
				t.Errorf("%s got %q", id, got)
			}
		}
		w.audit()
		w.pass(3 * time.Hour)
		w.audit()
		if n := w.g.seats.Load(); n != 0 {
			t.Errorf("%d seats are left when all clients are gone", n)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestTakenOver: whichever edge another client of the same id comes to, an
// active sensor is told that it is no longer connected, a sleeping one is not,
// and neither will is fired.
func TestTakenOver(t *testing.T) {
	for _, asleep := range []bool{false, true} {
		for _, byApp := range []bool{false, true} {
			w := newWorld(t, nil)
			app := w.app("app", "will")
			s := w.at("10.0.0.1:1")
			connectWithWill(s, "a", time.Minute)
			want := "DISCONNECT"
			if asleep {
				s.sleeps(time.Hour)
				want = ""
			}
			if byApp {
				w.app("a")
				w.settle()
			} else {
				w.at("10.0.0.2:1").connects("a", false, time.Minute)
			}
			s.gets(want).pings("").gets("DISCONNECT")
			app.wants()
			w.audit()
			w.wantCount("sessions_ended_total", "taken_over", 1)
		}
	}
}

// TestThreeConnectsInARow: of three addresses that connect before anybody has
// had a turn, one has the client, and the others know that they do not.
func TestThreeConnectsInARow(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Shards = 7 })
	app := w.app("app")
	for port := 1; port < 12; port++ {
		s := w.at(fmt.Sprintf("10.0.0.1:%d", port))
		s.inject(octets(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("a")}))
	}
	w.settle()
	w.audit()
	connected := 0
	for port := 1; port < 12; port++ {
		s := w.at(fmt.Sprintf("10.0.0.1:%d", port))
		if len(s.got) == 2 {
			s.gets("CONNACK DISCONNECT").pings("").gets("DISCONNECT")
			continue
		}
		connected++
		s.gets("CONNACK").subscribes("cmd", 1)
		app.publish("cmd", "x", 1, false)
		s.wantFlush("x", "")
	}
	if connected != 1 {
		t.Errorf("%d of them are connected", connected)
	}
}

// TestWakeWhereAnotherIs: under "always" a sleeper that wakes at the address
// of another client has its messages there, and the other has no address.
func TestWakeWhereAnotherIs(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AddressMigration = Always })
	app := w.app("app")
	s, shared := w.at("10.0.0.1:1"), w.at("10.0.0.2:1")
	s.connects("sleeper", false, time.Minute).subscribes("cmd", 1)
	s.sleeps(time.Hour)
	app.publish("cmd", "x", 1, false)
	shared.connects("other", false, time.Minute).sleeps(time.Hour)
	shared.pings("sleeper").wantFlush("x", "PINGRESP")
	w.audit()
	shared.pings("other").gets("PINGRESP")
	shared.pings("sleeper").gets("PINGRESP")
	w.audit()
	w.wantCount("moves_total", "", 3)
}

// TestThreeClaimsInARow: a sleeper that wakes at three addresses before
// anybody has had a turn ends up at one of them, whole.
func TestThreeClaimsInARow(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AddressMigration, c.Shards = Always, 7 })
	app := w.app("app")
	s := w.at("10.0.0.1:1").connects("sleeper", false, time.Minute)
	s.subscribes("cmd", 1)
	s.sleeps(time.Hour)
	app.publish("cmd", "x", 1, false)
	for port := 2; port < 12; port++ {
		w.at(fmt.Sprintf("10.0.0.1:%d", port)).inject(octets(&mqttsn.Pingreq{ClientID: []byte("sleeper")}))
	}
	w.settle()
	w.audit()
	found := false
	for range 2 {
		for port := 2; port < 12; port++ {
			got, _ := w.at(fmt.Sprintf("10.0.0.1:%d", port)).flush()
			found = found || len(got) > 0
		}
		w.pass(11 * time.Second) // what went to an address that is given up is sent again
	}
	if !found {
		t.Error("the message came to none of the addresses")
	}
	s.gets("")
	w.audit()
	w.wantCount("sessions", "asleep", 1)
}

// TestGoneWhileClaimed: a sleeper that is lost before the claim on it is met
// is not handed over; who claimed it is told to connect.
func TestGoneWhileClaimed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AddressMigration, c.Shards = Always, 2 })
	s := w.at("10.0.0.1:1").connects("sleeper", true, time.Minute).sleeps(time.Minute)
	home := w.g.shards[w.g.shardOf(s.source.peer)]
	port := uint16(2)
	for w.g.shards[w.g.shardOf(peerAt(port))] == home {
		port++
	}
	away := w.at(peerAt(port).Addr.String())
	away.inject(octets(&mqttsn.Pingreq{ClientID: []byte("sleeper")}))
	s.inject(octets(&mqttsn.Disconnect{}))
	w.net.Deliver(w.now, w.g.Receive)
	w.g.shards[w.g.shardOf(away.source.peer)].turn(w.now)
	home.in.take(&home.mail, w.now, true) // it comes to its datagrams first
	t1 := home.seats.pop()
	home.receive(home.datagrams[0])
	home.datagrams = home.datagrams[:0]
	home.visit(t1)
	home.out.flush()
	w.settle()
	away.gets("DISCONNECT")
	s.gets("DISCONNECT")
	w.audit()
	w.wantCount("moves_total", "", 0)
}

// TestDeadlineOfYesterday: a deadline that was due before a sleeper went to
// another shard and came back is not met before it has arrived.
func TestDeadlineOfYesterday(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AddressMigration, c.Shards = Always, 1 })
	w.at("10.0.0.1:1").connects("sleeper", true, time.Minute).sleeps(time.Hour)
	home := w.g.shards[0]
	sleeper := w.g.clients.find("sleeper")
	home.meetClaim(sleeper, &claim{w.at("10.0.0.1:2").source, home})
	home.meet(sleeper)
	w.settle()
	w.at("10.0.0.1:2").gets("PINGRESP")
	w.audit()
}

func peerAt(port uint16) transport.Peer {
	return transport.Peer{Addr: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port)}
}

// TestKickOfYesterday: a client that connects again from where it is, at the
// very moment at which another one takes its id, does not leave the broker
// with a client that nobody serves.
func TestKickOfYesterday(t *testing.T) {
	w := newWorld(t, nil)
	s := w.at("10.0.0.1:1").connects("a", false, time.Minute)
	s.inject(octets(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("a")}))
	w.net.Deliver(w.now, w.g.Receive)
	home := w.g.shards[w.g.shardOf(s.source.peer)]
	home.in.take(&home.mail, w.now, true)
	w.app("a") // its kick waits while the CONNECT is looked at
	home.receive(home.datagrams[0])
	home.datagrams = home.datagrams[:0]
	w.settle()
	w.audit()
	if n := w.core.Stats().Connected; n != int(w.count("sessions", "active")) {
		t.Errorf("the broker has %d clients connected, the gateway %d", n, w.count("sessions", "active"))
	}
}

// TestRunning has the shards run as goroutines, on the clock of a bubble, and
// many clients roam between them.
func TestRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New(memnet.Config{Clock: clock.Now, Up: memnet.Link{Latency: time.Millisecond}})
		o := core.DefaultOptions()
		b := core.New(o)
		c := DefaultConfig()
		c.Shards, c.AddressMigration = 4, Always
		c.Strangers.ResponsesPerPrefix, c.Strangers.Connects = 1e6, 1e6
		g := New(c, net, bridge.New(b, bridge.DefaultConfig()), clock.Now())
		g.SetReady(true)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := g.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		peer := func(n int) transport.Peer {
			return transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(1000+n))}
		}
		var sensors sync.WaitGroup
		for client := range 8 {
			sensors.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(client), 1))
				id := []byte(fmt.Sprint("client ", client%4))
				for range 200 {
					from := peer(rng.IntN(12))
					switch rng.IntN(5) {
					case 0:
						net.Inject(from, octets(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: id}))
					case 1:
						net.Inject(from, octets(&mqttsn.Disconnect{Duration: time.Hour}))
					case 2, 3:
						net.Inject(from, octets(&mqttsn.Pingreq{ClientID: id}))
					case 4:
						net.Inject(from, octets(&mqttsn.Disconnect{}))
					}
					time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
				}
			})
		}
		sensors.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if err := g.Drain(t.Context()); err != nil {
			t.Errorf("Drain: %v", err)
		}
		cancel()
		running.Wait()

		w := &world{t: t, g: g}
		w.audit()
		if n := b.Stats().Connected; int64(n) != g.seats.Load() {
			t.Errorf("the broker has %d clients connected, the gateway %d", n, g.seats.Load())
		}
		if g.seats.Load() == 0 || w.count("moves_total", "") == 0 || w.count("sessions_ended_total", "taken_over") == 0 {
			t.Errorf("%d seats, %d moves, %d taken over: the clients did not roam",
				g.seats.Load(), w.count("moves_total", ""), w.count("sessions_ended_total", "taken_over"))
		}
		g.Step(clock.Now().Add(3 * time.Hour))
		if n := g.seats.Load(); n != 0 {
			t.Errorf("%d seats are left when all clients are gone", n)
		}
	})
}
