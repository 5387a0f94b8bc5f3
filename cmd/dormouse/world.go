package main

import (
	"errors"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"dormouse/bridge"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/store"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
)

// A world is a Dormouse in virtual time, for package sim/drive: core, bridge
// and a gateway of one shard, wired as "dormouse serve" wires them, with an
// MQTT client that sits directly on core. All of it runs on the goroutine of
// whoever calls. The same calls have the same effects.
//
// Sensors are treated as those are that come from this machine: they are here
// as if on loopback, so that no limit meant for strangers slows them down.
// Those that hold for loopback as well are lifted, see lift. All that bounds
// one client, its queue and its topics, holds.
type world struct {
	cfg   *config.Config
	seed  uint64
	store store.Store // outlives Restart, if it keeps anything

	// between, if it is set, stands between gateway and bridge, and beyond
	// between the gateway and the network: tests plant faults there.
	between func(session.Broker) session.Broker
	beyond  func(transport.Transport) transport.Transport

	// keys are of sensors that speak DTLS. Nil: none does.
	keys    simKeys
	guard   *guard
	guarded *gateway.Gateway

	now     clock.Time
	tick    clock.Time // when core is told the time
	broker  *core.Broker
	gateway *gateway.Gateway
	wire    wire
	one     [1]transport.Datagram
	pending int // datagrams that the gateway has not looked at
	witness
}

// epoch is what the time of day is when virtual time is zero.
var epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// newWorld returns a world with c's settings, in which it is start. A restart
// forgets what s does not keep. Sensors have those keys; nil: they do not speak DTLS.
func newWorld(c *config.Config, seed uint64, start clock.Time, s store.Store, keys simKeys) (*world, error) {
	w := &world{cfg: c, seed: seed, store: s, now: start, keys: keys}
	return w, w.start()
}

var errNoSensors = errors.New("the configuration has no listener of type mqttsn-udp, which sensors need")

// start makes a broker that knows what the store does, and has the witness attend.
func (w *world) start() error {
	var sensors *config.Listener
	for i := range w.cfg.Listeners {
		if w.cfg.Listeners[i].Type == "mqttsn-udp" {
			sensors = &w.cfg.Listeners[i]
			break
		}
	}
	if sensors == nil {
		return &failure{statusUsage, errNoSensors}
	}
	silent := zerolog.Nop()
	co := coreOptions(w.cfg, silent)
	co.Now, co.Store = w.time, w.store
	co.MaxSessions++   // for the witness
	co.SysInterval = 0 // nobody reads it
	gc := gatewayConfig(w.cfg, sensors, silent)
	gc.Shards, gc.Seed, gc.Log = 1, w.seed, nil
	gc.Wall = w.time
	gc.Advertise.Addresses = nil
	lift(&gc)

	w.broker = core.New(co)
	if err := w.broker.Restore(); err != nil {
		return err
	}
	if err := w.attend(w.broker); err != nil {
		return err
	}
	var behind session.Broker = bridge.New(w.broker, bridgeConfig(w.cfg))
	if w.between != nil {
		behind = w.between(behind)
	}
	w.wire = wire{}
	var before transport.Transport = &w.wire
	if w.beyond != nil {
		before = w.beyond(before)
	}
	w.gateway = gateway.New(gc, before, attended{behind, &w.witness}, w.now)
	w.gateway.TakeUp(w.now)
	w.gateway.SetReady(true)
	w.pending, w.tick = 0, w.now.Add(coreTick)
	if w.keys != nil {
		return w.secure(gc, attended{behind, &w.witness})
	}
	return nil
}

// lift takes the limits off that protect from strangers.
func lift(c *gateway.Config) {
	const plenty = 1e9
	c.MaxDialogues = 1_000_000
	c.QoSMinusOne.Rate, c.QoSMinusOne.RatePerSource = plenty, plenty
	c.Strangers.Connects, c.Strangers.ResponsesPerPrefix = plenty, plenty
}

func (w *world) time() time.Time { return epoch.Add(time.Duration(w.now)) }

// batch is how many datagrams wait for the gateway before it looks at them: its
// inbox has a bound, and how many sensors speak at one moment has none.
const batch = 1024

// Receive has the gateway find b at its socket.
func (w *world) Receive(from netip.AddrPort, b []byte) {
	from = at(from, loopbackNet)
	if w.guard != nil && isDTLS(b) {
		w.guard.hear(from, b)
	} else {
		w.one[0] = transport.Datagram{Peer: transport.Peer{Addr: from}, Buf: b}
		w.gateway.Receive(w.one[:])
	}
	if w.pending++; w.pending == batch {
		w.step()
		w.pending = 0
	}
}

// step has the gateways do what there is to do.
func (w *world) step() {
	w.gateway.Step(w.now)
	if w.guard != nil {
		w.guarded.Step(w.now)
	}
}

// Step does all that there is to do at now.
func (w *world) Step(now clock.Time) {
	w.now, w.pending = now, 0
	if w.tick.Reached(now) {
		w.tick = now.Add(coreTick)
		w.broker.Tick(w.time())
	}
	if w.guard != nil {
		w.guard.now.Store(int64(now))
	}
	w.step()
	w.listen()
}

// Next returns when Step next has something to do.
func (w *world) Next() clock.Time {
	t := clock.Sooner(w.tick, w.gateway.Next())
	if w.guard != nil {
		t = clock.Sooner(t, w.guarded.Next())
	}
	return t
}

// Sent yields what the gateway has sent since.
func (w *world) Sent(yield func(to netip.AddrPort, b []byte) bool) {
	for to, b := range w.wire.fetch {
		if !yield(at(to, sensorNet), b) {
			return
		}
	}
	if w.guard == nil {
		return
	}
	for to, b := range w.guard.under.fetch {
		if !yield(at(to, sensorNet), b) {
			return
		}
	}
}

// Restart kills the broker, which forgets all that it knew but for what is in
// the store, and starts another.
func (w *world) Restart(now clock.Time) error {
	w.now = now
	return w.start()
}

// The first octet of the addresses that sensors have, as they and as the
// gateway know them.
const (
	sensorNet   = 10
	loopbackNet = 127
)

// at returns a in another network of class A.
func at(a netip.AddrPort, network byte) netip.AddrPort {
	octets := a.Addr().As4()
	octets[0] = network
	return netip.AddrPortFrom(netip.AddrFrom4(octets), a.Port())
}
