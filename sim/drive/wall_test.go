package drive

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim"
	"dormouse/sim/payload"
	"dormouse/sim/udp"
)

// An ether is a network whose gateway answers each datagram after 10 ms, if it
// answers.
type ether struct {
	dead  bool
	slow  time.Duration // that it takes to receive
	fails error

	mu     sync.Mutex
	shards []*aether
}

// An aether is a shard of it.
type aether struct {
	arrived  []udp.Datagram
	ready    chan struct{} // has room for one: something has arrived, or it is to wake
	sent     []int32
	unheard  int // sent since the last Receive
	mostSent int // of unheard
}

func (n *ether) Target() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:1884") }

func (n *ether) Attach(shard int, modes []udp.Mode) error {
	n.shards = append(n.shards, &aether{ready: make(chan struct{}, 1)})
	return nil
}

func (n *ether) Send(shard int, batch []udp.Datagram) error {
	s := n.shards[shard]
	n.mu.Lock()
	defer n.mu.Unlock()
	s.unheard += len(batch)
	s.mostSent = max(s.mostSent, s.unheard)
	for _, d := range batch {
		s.sent = append(s.sent, d.Endpoint)
		if !n.dead {
			time.AfterFunc(10*time.Millisecond, func() {
				n.mu.Lock()
				s.arrived = append(s.arrived, udp.Datagram{Endpoint: d.Endpoint, Buf: connect})
				n.mu.Unlock()
				n.Wake(shard)
			})
		}
	}
	return n.fails
}

func (n *ether) Receive(shard int, wait time.Duration, sink func([]udp.Datagram)) error {
	s := n.shards[shard]
	if wait > 0 {
		select {
		case <-s.ready:
		case <-time.After(wait):
		}
	}
	time.Sleep(n.slow)
	n.mu.Lock()
	arrived := s.arrived
	s.arrived, s.unheard = nil, 0
	n.mu.Unlock()
	if len(arrived) > 0 {
		sink(arrived)
	}
	return nil
}

func (n *ether) Wake(shard int) {
	select {
	case n.shards[shard].ready <- struct{}{}:
	default:
	}
}

func (n *ether) Shed(shard int) uint64 { return 1 }

// A listener is an observer.
type listener struct {
	says    func(hear func(string, []byte, byte, bool)) // on a goroutine of its own
	publish func(done func(error))
}

func (l *listener) Hear(f func(string, []byte, byte, bool)) {
	if l.says != nil {
		go l.says(f)
	}
}
func (l *listener) Subscribe(string, byte) error { return nil }
func (l *listener) Close() error                 { return nil }

func (l *listener) Publish(_ string, _ []byte, _ byte, _ bool, done func(error)) {
	if l.publish == nil {
		done(nil)
		return
	}
	l.publish(done)
}

// A rig is a run of two fleets of five, each of which says something every
// second.
type rig struct {
	plan  *sim.Plan
	herds []*herd
	net   *ether
	ob    *listener
	o     Options
	start clock.Time
}

func newRig(d time.Duration, events ...sim.Event) *rig {
	r := &rig{plan: planOf(d, events...), net: new(ether), ob: new(listener), start: clock.Now()}
	r.plan.Groups = []*sim.Group{{Name: "all", Count: 10}}
	for range 2 {
		h := newHerd(&diary{start: r.start}, 5, time.Second)
		h.silent = true
		r.herds = append(r.herds, h)
	}
	return r
}

func (r *rig) run(ctx context.Context) (*Outcome, error) {
	var fleets []fleet
	for _, h := range r.herds {
		fleets = append(fleets, h)
	}
	return newWall(r.plan, r.start, fleets, r.net, r.ob, r.o).run(ctx)
}

// want fails unless what happened to herd i did so many times.
func (r *rig) want(t *testing.T, i int, what string, times int) {
	t.Helper()
	if got := r.herds[i].got[what]; got != times {
		t.Errorf("fleet %d: %q happened %d times, want %d", i, what, got, times)
	}
}

func TestWall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500 * time.Millisecond)
		var told []time.Duration
		r.o = Options{Patience: 5 * time.Second, Every: 2 * time.Second, Sample: func(s *sim.Stats) {
			told = append(told, s.At)
			if s.Shed != 2 || s.Late != 0 || s.Groups[0].Devices != 10 {
				t.Errorf("%d shed of %d devices, %v late; want 2 of 10, and never late", s.Shed, s.Groups[0].Devices, s.Late)
			}
		}}
		out, err := r.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.herds {
			r.want(t, i, "step", 10)
			for e := range 5 {
				r.want(t, i, fmt.Sprintf("endpoint %d gets 7 octets", e), 2)
			}
			r.want(t, i, "close", 1)
		}
		want := []time.Duration{2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second, 10 * time.Second, out.Ran}
		if !slices.Equal(told, want) {
			t.Errorf("samples at %v, want %v", told, want)
		}
		if len(out.Samples) != 5 || out.Final.At != out.Ran || out.Cut != nil || out.Virtual {
			t.Errorf("%d samples, final of %v, ran %v, cut %v", len(out.Samples), out.Final.At, out.Ran, out.Cut)
		}
	})
}

// TestLate says how late the devices were because the machine was slow.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500 * time.Millisecond)
		r.net.slow = 300 * time.Millisecond
		var most time.Duration
		r.o.Sample = func(s *sim.Stats) { most = max(most, s.Late) }
		out, err := r.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if l := out.Final.Late; l <= 100*time.Millisecond || l > 350*time.Millisecond || most != l {
			t.Errorf("up to %v late, %v by the samples; want about 300ms", l, most)
		}
	})
}

// TestHearing routes what the observer hears to the fleet whose it is, and the
// rest to all.
func TestHearing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(5 * time.Second)
		r.ob.says = func(hear func(string, []byte, byte, bool)) {
			time.Sleep(time.Second)
			form := payload.Config{Format: payload.Fixed}
			for device := range 10 {
				b := form.Append(nil, payload.Reading{Tag: payload.Tag{Device: uint32(device), Sequence: 1}})
				hear(fmt.Sprint("report of ", device), b, 1, false)
			}
			hear("will", []byte("gone"), 1, false)
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for device := range 10 {
			r.want(t, device/5, fmt.Sprint("hears report of ", device), 1)
			r.want(t, 1-device/5, fmt.Sprint("hears report of ", device), 0)
		}
		r.want(t, 0, "hears will", 1)
		r.want(t, 1, "hears will", 1)
	})
}

// TestNoGateway gives up on a gateway that never says anything, and says
// whom it asked.
func TestNoGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		r.net.dead = true
		out, err := r.run(t.Context())
		if !errors.Is(err, ErrNoGateway) || !strings.Contains(err.Error(), "127.0.0.1:1884") {
			t.Fatalf("got %v", err)
		}
		if out == nil || out.Cut == nil || out.Ran < 21*time.Second || out.Ran > 22*time.Second {
			t.Errorf("outcome %+v; want one of 21s", out)
		}
		r.want(t, 0, "cut", 1)
	})
}

// TestNoAnswerAsked lets a fleet publish at QoS -1 into the dark: it asks for
// no answer.
func TestNoAnswerAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Minute)
		r.net.dead = true
		for _, h := range r.herds {
			h.qosMinus = true
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "close", 1)
	})
}

// TestWallRestart: while the gateway is restarted nothing comes or goes.
func TestWallRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500*time.Millisecond, sim.Event{At: 1005 * time.Millisecond, Kind: sim.Restart, For: 2 * time.Second})
		for _, h := range r.herds {
			h.command = true
		}
		r.o.Restart = func(ctx context.Context, down time.Duration) error {
			if down != 2*time.Second {
				t.Errorf("down for %v", down)
			}
			time.Sleep(3 * time.Second)
			return nil
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range r.herds {
			r.want(t, i, "step", 10)
			r.want(t, i, "restarted", 1)
			r.want(t, i, "endpoint 0 gets 7 octets", 1) // not that of 1.01 s
			if n := len(r.net.shards[i].sent); n != 7 { // not those of 2, 3 and 4 s
				t.Errorf("fleet %d has sent %d datagrams, want 7", i, n)
			}
			for topic, want := range map[string]string{"to 0": "<nil>", "to 1": "the gateway is down"} {
				r.want(t, i, "published "+topic+": "+want, 1+map[string]int{"to 0": 1}[topic])
			}
		}
	})
}

// TestRestartFails: the run is over, without figures that mean anything.
func TestRestartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Minute, sim.Event{At: time.Second, Kind: sim.Restart})
		broken := errors.New("broken")
		r.o.Restart = func(context.Context, time.Duration) error { return broken }
		if _, err := r.run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
	p := planOf(time.Minute, sim.Event{At: time.Second, Kind: sim.Restart})
	if _, err := Wall(t.Context(), p, new(ether), new(listener), Options{}); err == nil {
		t.Error("a gateway that nobody can restart was to be")
	}
}

// TestHurriedRestart: a restart that takes longer than the run ends with it.
func TestHurriedRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(5*time.Second, sim.Event{At: time.Second, Kind: sim.Restart})
		hurried := false
		r.o.Restart = func(ctx context.Context, _ time.Duration) error {
			<-ctx.Done()
			hurried = true
			return ctx.Err()
		}
		if _, err := r.run(t.Context()); err != nil || !hurried {
			t.Errorf("ended with %v, hurried %v", err, hurried)
		}
	})
}

// TestWallCut ends a run early.
func TestWallCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, enough)
		defer cancel()
		out, err := r.run(ctx)
		if err != nil || !errors.Is(out.Cut, enough) || out.Ran != 3*time.Second {
			t.Fatalf("err %v, outcome %+v", err, out)
		}
		r.want(t, 1, "cut", 1)
		r.want(t, 1, "close", 0)
	})
}

// TestSettled ends a run a second after its stages if nothing can come any
// more, and not before.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10 * time.Second)
		r.plan.Settle = time.Hour
		for _, h := range r.herds {
			h.settled = true
		}
		out, err := r.run(t.Context())
		if err != nil || out.Ran < 11*time.Second || out.Ran > 12*time.Second {
			t.Errorf("ran %v, err %v", out.Ran, err)
		}
		r.want(t, 0, "close", 1)
	})
}

// TestShardFails: a device that gets no socket ends the run.
func TestShardFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		r.net.fails = errors.New("no more sockets")
		if out, err := r.run(t.Context()); out != nil || !errors.Is(err, r.net.fails) {
			t.Errorf("outcome %v, err %v", out, err)
		}
	})
}

// TestSlowObserver publishes for an hour; the fleets go on meanwhile.
func TestSlowObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500 * time.Millisecond)
		r.herds[0].command = true
		r.ob.publish = func(done func(error)) {
			time.Sleep(time.Hour)
			done(nil)
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "step", 10)
		r.want(t, 0, "endpoint 0 gets 7 octets", 2)
	})
}

// TestBroadcast tells all fleets that a message to all is published.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(3500 * time.Millisecond)
		r.herds[0].pubs = []*sim.Publication{{Topic: "all", Broadcast: true}, {Topic: "one"}}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "published all: <nil>", 1)
		r.want(t, 1, "published all: <nil>", 1)
		r.want(t, 0, "published one: <nil>", 1)
		r.want(t, 1, "published one: <nil>", 0)
	})
}

func TestWallChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(3 * time.Second)
		changes, done := make(chan Request, 1), make(chan error, 1)
		r.o.Changes = changes
		c := new(sim.Change)
		changes <- Request{c, done}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || r.herds[0].applied != c || r.herds[1].applied != c {
			t.Errorf("applied %p and %p with %v, want %p", r.herds[0].applied, r.herds[1].applied, err, c)
		}
	})
}

// TestTooLate: what lies in an inbox when the run ends is still told, and
// what comes later is not.
func TestTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Minute)
		w := newWall(r.plan, r.start, []fleet{r.herds[0], r.herds[1]}, r.net, r.ob, r.o)
		for i := range r.herds {
			r.net.Attach(i, nil)
		}
		w.hear("will", nil, 1, false)
		w.over.Store(true)
		w.hear("another", nil, 1, false)
		if _, err := w.outcome(t.Context(), new(Outcome), nil, time.Now(), nil); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "hears will", 1)
		r.want(t, 0, "hears another", 0)
		close(w.shards[0].ended)
		if w.shards[0].do(func() {}) {
			t.Error("a shard that has ended did something")
		}
	})
}

// TestBurst has 100,000 datagrams at once: all are sent, in order, and in
// between is read what comes.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100_000
		r := newRig(3500 * time.Millisecond)
		r.net.dead = true
		h := r.herds[0]
		h.every, h.due, h.size = time.Hour, r.start.Add(time.Hour), size
		for e := range size {
			h.said = append(h.said, sim.Endpoint(e))
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := r.net.shards[0]
		if len(s.sent) != size || !slices.IsSorted(s.sent) {
			t.Errorf("sent %d of %d, in order: %v", len(s.sent), size, slices.IsSorted(s.sent))
		}
		if s.mostSent > chunk {
			t.Errorf("sent %d without reading, want at most %d", s.mostSent, chunk)
		}
	})
}

// TestOutbox keeps order and octets while it is filled and emptied in turn.
func TestOutbox(t *testing.T) {
	var o outbox
	n := &ether{dead: true}
	n.Attach(0, nil)
	next := 0
	for round := range 2000 {
		for range 200 + round%100 {
			o.add(sim.Endpoint(next), fmt.Appendf(nil, "%d", next))
			next++
		}
		if err := o.send(n, 0, chunk); err != nil {
			t.Fatal(err)
		}
		for _, d := range o.batch[:min(chunk, next)] {
			if d.Buf != nil && fmt.Sprint(d.Endpoint) != string(d.Buf) {
				t.Fatalf("%q is sent from endpoint %d", d.Buf, d.Endpoint)
			}
		}
		if most := o.len() + 3*chunk + 300; cap(o.waiting) > 4*most {
			t.Fatalf("room for %d with %d waiting", cap(o.waiting), o.len())
		}
	}
	for o.len() > 0 {
		if err := o.send(n, 0, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if sent := n.shards[0].sent; len(sent) != next || !slices.IsSorted(sent) {
		t.Errorf("sent %d of %d, in order: %v", len(sent), next, slices.IsSorted(sent))
	}
}
