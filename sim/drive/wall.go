package drive

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim"
	"dormouse/sim/payload"
)

// Wall runs p by the wall clock, over n and beside ob. A run that ctx ends
// early is no error, see Outcome.Cut. If the error is ErrNoGateway or ErrGatewayGone there is an
// Outcome, too. The changes and the sockets stay the caller's.
func Wall(ctx context.Context, p *sim.Plan, n Network, ob Observer, o Options) (*Outcome, error) {
	if o.Restart == nil && len(faultsOf(p)) > 0 {
		return nil, fmt.Errorf("%s restarts the gateway, which has to be one that this program has started", p.Name)
	}
	if o.Prove == nil && secured(p) {
		return nil, fmt.Errorf("%s has devices that speak DTLS, and nobody knows their keys", p.Name)
	}
	shards := o.Shards
	if shards <= 0 {
		shards = runtime.GOMAXPROCS(0)
	}
	start := clock.Now().Add(lead(p))
	fleets, err := muster(p, start, shards)
	if err != nil {
		return nil, err
	}
	return newWall(p, start, fleets, n, ob, o).run(ctx)
}

// secured reports whether devices of p speak DTLS.
func secured(p *sim.Plan) bool {
	return slices.ContainsFunc(p.Groups, func(g *sim.Group) bool { return g.DTLS != nil })
}

// lead is how long it takes to make the devices of p, about.
func lead(p *sim.Plan) (d time.Duration) {
	for _, g := range p.Groups {
		d += time.Duration(g.Count) * 2 * time.Microsecond
	}
	return d
}

// muster makes the fleets of all shards.
func muster(p *sim.Plan, start clock.Time, shards int) ([]fleet, error) {
	fleets := make([]fleet, shards)
	errs := make([]error, shards)
	var wg sync.WaitGroup
	for i := range shards {
		wg.Go(func() { fleets[i], errs[i] = sim.New(p, start, i, shards) })
	}
	wg.Wait()
	for _, err := range errs { // they all say the same
		if err != nil {
			return nil, err
		}
	}
	return fleets, nil
}

// A wall is a run by the wall clock.
//
//  1. Each shard has a goroutine, which owns its fleet and its sockets: it
//     waits for datagrams, hands them to the fleet, steps it, and sends.
//  2. What others have for a fleet lies in the inbox of its shard until that
//     goroutine takes it: messages from the observer, answers to publications,
//     and what the conductor wants done.
//  3. One goroutine publishes what the fleets hand to the observer.
//  4. A handshake has goroutines of its own for as long as it takes, in which
//     pion does it. What it says lies in the inbox, too.
//  5. The conductor is Wall's own goroutine. It takes samples, makes changes,
//     restarts the gateway, and sees when it is over.
type wall struct {
	plan   *sim.Plan
	start  clock.Time
	net    Network
	ob     Observer
	o      Options
	shards []*shard
	press  press
	host   host

	asked atomic.Int64 // the time of the first datagram, since the gateway's last, that wants an answer; 0: none
	word  atomic.Bool  // there was one from the gateway
	down  atomic.Bool  // the gateway is being restarted: nothing comes or goes
	over  atomic.Bool
}

func newWall(p *sim.Plan, start clock.Time, fleets []fleet, n Network, ob Observer, o Options) *wall {
	if o.Patience <= 0 {
		o.Patience = 20 * time.Second
	}
	w := &wall{plan: p, start: start, net: n, ob: ob, o: o}
	w.press.wall = w
	w.press.more = make(chan struct{}, 1)
	for i, f := range fleets {
		w.shards = append(w.shards, newShard(w, i, f))
	}
	return w
}

func (w *wall) run(ctx context.Context) (*Outcome, error) {
	began := time.Now()
	for _, s := range w.shards {
		if err := w.net.Attach(s.number, s.modes()); err != nil {
			return nil, err
		}
	}
	if err := subscribe(w.ob, w.shards[0].fleet, w.hear); err != nil {
		return nil, fmt.Errorf("subscribe to what the fleet publishes: %w", err)
	}

	running, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	w.host = newHost(running, w)
	var workers sync.WaitGroup
	for _, s := range w.shards {
		workers.Go(func() {
			if err := s.run(running); err != nil {
				stop(err)
			}
		})
	}
	workers.Go(func() { w.press.run(running) })

	c := conductor{wall: w, samples: newSamples(w.plan, &w.o), faults: faultsOf(w.plan)}
	out := &Outcome{Plan: w.plan}
	err := c.run(ctx, running)
	w.over.Store(true)
	stop(nil)
	for _, s := range w.shards {
		w.net.Wake(s.number)
	}
	workers.Wait()
	w.host.busy.Wait()
	if failed := context.Cause(running); err == nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	if err != nil && !mute(err) && context.Cause(ctx) == nil {
		return nil, err
	}
	return w.outcome(ctx, out, err, began, c.samples.kept)
}

// outcome collects what the fleets have, once their shards have ended.
func (w *wall) outcome(ctx context.Context, out *Outcome, err error, began time.Time, kept []*sim.Stats) (*Outcome, error) {
	now := max(clock.Now(), w.start)
	fleets := make([]fleet, len(w.shards))
	var shed uint64
	var late time.Duration
	for i, s := range w.shards {
		fleets[i] = s.fleet
		shed += w.net.Shed(i)
		late = max(late, time.Duration(s.late.Load()))
		s.empty(now)
		if err != nil {
			s.fleet.Cut(now)
		} else {
			s.fleet.Close(now)
		}
	}
	out.Ran, out.Elapsed = now.Sub(w.start), time.Since(began)
	out.Samples, out.Final = kept, finish(&w.o, sim.Stats{At: out.Ran, Shed: shed, Late: late, Silent: w.silence(now)}, fleets...)
	out.Cut = err
	if context.Cause(ctx) != nil && !mute(err) {
		err = nil
	}
	return out, err
}

// mute reports whether err is that the gateway does not answer.
func mute(err error) bool { return errors.Is(err, ErrNoGateway) || errors.Is(err, ErrGatewayGone) }

// silence is for how long the gateway has owed the fleet an answer, if it owes
// it all.
func (w *wall) silence(now clock.Time) time.Duration {
	if asked := clock.Time(w.asked.Load()); asked != 0 {
		return max(0, now.Sub(asked))
	}
	return 0
}

// hear is told by the observer, from goroutines of its own.
func (w *wall) hear(topic string, b []byte, _ byte, retained bool) {
	now := clock.Now()
	if tag, ok := payload.Parse(b); ok {
		if i, ok := w.plan.Shard(tag.Device, len(w.shards)); ok {
			w.shards[i].heard(now, topic, b, retained)
			return
		}
	}
	for _, s := range w.shards { // a will, or a stranger
		s.heard(now, topic, b, retained)
	}
}
