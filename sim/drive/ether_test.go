package drive

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim"
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

func (n *ether) Secured() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:8883") }

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

func (l *listener) Close() error { return nil }

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
