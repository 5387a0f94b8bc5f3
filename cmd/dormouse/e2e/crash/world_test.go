package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dormouse/bridge"
	"dormouse/core"
	"dormouse/core/store"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

// A plan is who there is and what they are at. It follows from a seed.
type plan struct {
	h             *history
	seed          uint64
	sensors, apps int
	pace, retry   time.Duration // of a sensor: its pauses at most, and T_RETRY
	running       atomic.Bool   // everybody publishes
	calm          atomic.Bool   // nobody publishes any more
}

func (p *plan) rand(who int) *rand.Rand { return rand.New(rand.NewPCG(p.seed, uint64(who))) }

// someone is the end of a topic that one sensor has subscribed to.
func (p *plan) someone(dice *rand.Rand) string {
	return fmt.Sprintf("sensor%d/%c", dice.IntN(p.sensors), 'a'+rune(dice.IntN(3)))
}

// An engine is where the lives of a broker keep what they must not forget.
type engine interface {
	// open returns the store for another life.
	open() (store.Store, error)

	// turn lets time pass on the disk.
	turn()

	// aim may have the life end by itself, in the midst of what the disk does.
	// gone reports that it has: crash is to be called.
	aim()
	gone() bool

	// crash ends a life without a word: what is not durable may be forgotten.
	crash()
}

// A world is core, bridge and gateway on a network in memory, their clients,
// and a disk, in virtual time and on one goroutine but for the disk's.
type world struct {
	*plan
	engine  engine
	dice    *rand.Rand
	now     clock.Time
	skew    time.Duration // of the wall clock
	jumps   bool          // the wall clock is set, an hour back or forward
	net     *memnet.Net
	broker  *core.Broker
	gateway *gateway.Gateway // nil: it is down
	devices []*sensor
	clients []*app
	ticked  clock.Time

	mu   sync.Mutex
	todo []func()
}

// latency is how long a datagram takes.
const latency = 3 * time.Millisecond

// beginning is when every world does: not at zero, which means never.
const beginning = clock.Time(time.Hour)

func newWorld(seed uint64, e engine) (*world, error) {
	p := &plan{h: newHistory(), seed: seed, sensors: 6, apps: 3, pace: time.Second, retry: time.Second}
	link := memnet.Link{Loss: 0.02, Latency: latency}
	w := &world{plan: p, engine: e, dice: p.rand(1000), now: beginning, net: memnet.New(memnet.Config{Seed: seed, Up: link, Down: link})}
	w.net.Advance(w.now)
	for i := range p.sensors {
		peer := transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}), 1884)}
		s := newSensor(p, i, w.now, func(b []byte) { w.net.Inject(peer, b) })
		p.h.wills[s.will()] = false
		w.devices = append(w.devices, s)
	}
	for i := range p.apps {
		w.clients = append(w.clients, newApp(w, i))
	}
	return w, w.start()
}

// wall is the time of day.
func (w *world) wall() time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(w.now) + w.skew)
}

// start begins a life.
func (w *world) start() error {
	s, err := w.engine.open()
	if err != nil {
		return err
	}
	o := core.DefaultOptions()
	o.Store, o.Now, o.SysInterval = s, w.wall, 0
	o.Queue.Messages, o.Queue.Bytes = 10_000, 1<<24
	w.broker = core.New(o)
	if err := w.broker.Restore(); err != nil {
		return err
	}
	c := gateway.DefaultConfig()
	c.Shards, c.Seed = 2, w.seed
	c.Session.RetryInterval = w.retry
	c.Session.MaxRetries = 20
	c.Wall = w.wall
	c.Strangers.ResponsesPerPrefix, c.Strangers.Connects = 1e6, 1e6
	w.gateway = gateway.New(c, w.net, bridge.New(w.broker, bridge.DefaultConfig()), w.now)
	w.gateway.TakeUp(w.now)
	w.gateway.SetReady(true)
	return nil
}

// crash ends a life, and everything that was under way inside it.
func (w *world) crash() {
	w.engine.crash()
	w.gateway, w.broker = nil, nil
	w.mu.Lock()
	w.todo = nil
	w.mu.Unlock()
	w.pass(2 * latency) // what is on its way to sensors belongs to this life
	w.h.mu.Lock()
	w.h.life++
	w.h.mu.Unlock()
	for _, a := range w.clients {
		a.crashed()
	}
}

// later has do done on the goroutine of the world.
func (w *world) later(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.todo = append(w.todo, do)
}

func (w *world) catchUp() {
	w.mu.Lock()
	todo := w.todo
	w.todo = nil
	w.mu.Unlock()
	for _, do := range todo {
		do()
	}
}

// appTick is how often apps do something, and coreTick how often core is told the time.
const (
	appTick  = 40 * time.Millisecond
	coreTick = 200 * time.Millisecond
)

// step does what there is to do now.
func (w *world) step() {
	if w.gateway != nil {
		w.net.Deliver(w.now, w.gateway.Receive)
		w.gateway.Step(w.now)
		w.engine.turn()
		w.gateway.Step(w.now)
		w.catchUp()
	} else {
		w.net.Deliver(w.now, func([]transport.Datagram) {})
	}
	for _, d := range w.net.Sent(w.now) {
		w.devices[d.Peer.Addr.Addr().As4()[3]].gets(w.now, bytes.Clone(d.Buf))
	}
	for _, s := range w.devices {
		s.step(w.now)
	}
	if w.now.Sub(w.ticked) < appTick {
		return
	}
	w.ticked = w.now
	if w.gateway != nil {
		w.broker.Tick(w.wall())
		for _, a := range w.clients {
			a.step()
		}
	}
}

// pass lets time pass, up to a crash at the soonest.
func (w *world) pass(d time.Duration) {
	for until := w.now.Add(d); w.now < until && !w.engine.gone(); {
		w.step()
		next := clock.Sooner(w.net.Next(), until)
		next = clock.Sooner(next, w.ticked.Add(appTick))
		if w.gateway != nil {
			next = clock.Sooner(next, w.gateway.Next())
		}
		for _, s := range w.devices {
			next = clock.Sooner(next, s.next())
		}
		w.now = max(next, w.now.Add(time.Millisecond))
	}
}

// until lets time pass until done, or fails to.
func (w *world) until(done func() bool, patience time.Duration) bool {
	for end := w.now.Add(patience); w.now < end; {
		if done() {
			return true
		}
		w.pass(100 * time.Millisecond)
	}
	return done()
}

func (w *world) ready() bool {
	for _, s := range w.devices {
		if !s.ready() {
			return false
		}
	}
	for _, a := range w.clients {
		if !a.asked {
			return false
		}
	}
	return true
}

// live is the life of a world: everybody subscribes, then publishes through
// crashes, the last of which comes when all is said. In the end everybody
// fetches what is his. It returns what was wrong.
func (w *world) live(crashes int) []string {
	if !w.until(w.ready, time.Minute) {
		return []string{"they do not get ready"}
	}
	w.running.Store(true)
	for i := range crashes {
		w.engine.aim()
		life := time.Duration(w.dice.IntN(4000)) * time.Millisecond
		w.pass(life / 2)
		w.jump()
		w.pass(life - life/2)
		if i == crashes-1 {
			w.calm.Store(true)
			w.pass(2 * time.Second)
			w.bereave()
		}
		w.crash()
		w.pass(time.Duration(w.dice.IntN(1500)) * time.Millisecond)
		w.jump()
		if err := w.start(); err != nil {
			return []string{fmt.Sprintf("life %d does not begin: %v", w.h.life, err)}
		}
	}
	w.pass(time.Second)
	w.jump()
	w.until(w.h.complete, 5*time.Minute)
	w.collect()
	w.crash()
	return w.h.check()
}

// jump sets the wall clock, if that is to happen.
func (w *world) jump() {
	if w.jumps {
		w.skew = time.Duration(w.dice.IntN(3)-1) * time.Hour
	}
}

// bereave has some sensors, of which some sleep, never be heard of again.
func (w *world) bereave() {
	for _, s := range w.devices[:2*w.dice.IntN(2)] {
		s.dead, s.wire.s.left = true, true
		w.h.wills[s.will()] = true
	}
}

// collect asks for what is retained.
func (w *world) collect() {
	kept := make(map[string]string)
	c := &collector{}
	w.broker.Open(core.Identity{ClientID: "collector", Edge: "mqtt"}, core.SessionOptions{CleanStart: true}, c,
		func(s *core.Session, _ bool, _ error) { w.later(func() { c.session = s }) })
	w.until(func() bool { return c.session != nil }, time.Second)
	asked := false
	c.session.Subscribe(core.Subscription{Filter: "r/#"}, func(core.QoS, error) { w.later(func() { asked = true }) })
	w.until(func() bool { return asked }, time.Second)
	for {
		d, ok := c.session.Next()
		if !ok {
			break
		}
		if d.Retain {
			kept[d.Topic] = string(d.Payload)
		}
	}
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.h.kept = kept
}

// A collector only wants to know what there is.
type collector struct{ session *core.Session }

func (*collector) Mail()                {}
func (*collector) Kick(core.KickReason) {}

// runs has worlds live, one for each seed, and reports how many were wrong.
func runs(t testing.TB, first uint64, n int, crashes int, e func(seed uint64) engine, blame func(seed uint64, wrong []string)) {
	var all sync.WaitGroup
	var next atomic.Uint64
	for range 2 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < uint64(n); i = next.Add(1) - 1 {
				w, err := newWorld(first+i, e(first+i))
				if err != nil {
					t.Error(err)
					return
				}
				if wrong := w.live(crashes); len(wrong) > 0 {
					blame(first+i, wrong)
				}
			}
		})
	}
	all.Wait()
}
