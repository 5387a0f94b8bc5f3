package bench

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/mqttsn"
	"dormouse/sim/udp"
)

const (
	retryAfter = time.Second // without an answer; 1.2 §6.13 has 10 s or more, over a radio
	retryMost  = 15
	roomFor    = 16 << 10 // octets of one batch
)

// A fleet is sensors of MQTT-SN 1.2, each with an address of its own, all on
// one socket and in one goroutine, with the codec alone: the machine is to be
// left to the broker. Its methods do nothing once one of them has failed; err
// says why.
type fleet struct {
	ctx  context.Context // a task ends with it
	net  *udp.Network
	size int
	err  error

	batch []udp.Datagram
	arena []byte // what batch holds
	said  int    // datagrams, ever
	dec   mqttsn.Decoder
	echo  bool // there is no gateway but an echo

	secured  []secured // nil: all of it is plain
	idly     []secured // of a plain one: they seal as much, for nothing; or nil
	scratch  []byte
	overhead [2]overhead // of what is said, and heard

	// onMessage is told of each PUBLISH; the fleet acknowledges it itself.
	onMessage func(e int32, p *mqttsn.Publish)
}

func newFleet(ctx context.Context, gateway netip.AddrPort, size int) (*fleet, error) {
	n, err := udp.Open(udp.Config{Target: gateway, MaxDatagram: 2048})
	if err == nil {
		err = n.Attach(0, make([]udp.Mode, size))
	}
	if err != nil {
		return nil, fmt.Errorf("%d sensors: %w", size, err)
	}
	return &fleet{ctx: ctx, net: n, size: size, arena: make([]byte, 0, roomFor), onMessage: func(int32, *mqttsn.Publish) {}}, nil
}

func (f *fleet) close() { f.net.Close() }

func (o *overhead) add(octets int) {
	o.records++
	o.octets += octets
}

// overhead is by how many octets records are longer than what is in them.
type overhead struct{ records, octets int }

// newFleet is a fleet of b's sensors. They have done a handshake, if that takes
// one.
func (b *broker) newFleet(ctx context.Context, size int) (*fleet, error) {
	f, err := newFleet(ctx, b.sn, size)
	if err != nil || !b.secures {
		return f, err
	}
	if err := f.secure(b.sn); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// say has sensor e send p with the next batch.
func (f *fleet) say(e int32, p mqttsn.Packet) {
	const longest = 512
	if len(f.batch) == udp.Batch || cap(f.arena)-len(f.arena) < longest {
		f.flush()
	}
	from := len(f.arena)
	var err error
	if f.arena, err = mqttsn.Append(f.arena, mqttsn.V12, p); err != nil && f.err == nil {
		f.err = err
	}
	if plain := len(f.arena) - from; f.secured != nil {
		if f.arena, err = f.secured[e].seal(f.arena, from, &f.scratch); err != nil && f.err == nil {
			f.err = err
		}
		f.overhead[0].add(len(f.arena) - from - plain)
	}
	f.labour(e, f.arena[from:])
	f.batch = append(f.batch, udp.Datagram{Endpoint: e, Buf: f.arena[from:]})
	f.said++
}

func (f *fleet) flush() {
	if err := f.net.Send(0, f.batch); err != nil && f.err == nil {
		f.err = err
	}
	f.batch, f.arena = f.batch[:0], f.arena[:0]
}

// hear passes on what has come, or comes within wait, and answers what every
// sensor would.
func (f *fleet) hear(wait time.Duration, sink func(e int32, p mqttsn.Packet)) {
	f.flush()
	err := f.net.Receive(0, wait, func(batch []udp.Datagram) {
		for _, d := range batch {
			octets := d.Buf
			if f.secured != nil {
				var ok bool
				if octets, ok = f.secured[d.Endpoint].open(d.Buf); !ok {
					continue
				}
				f.overhead[1].add(len(d.Buf) - len(octets))
			}
			f.labour(d.Endpoint, octets)
			p, err := f.dec.Decode(mqttsn.V12, octets)
			if err != nil {
				f.err = fmt.Errorf("sensor %d was sent %x: %w", d.Endpoint, d.Buf, err)
				return
			}
			if !f.echo {
				f.answer(d.Endpoint, p)
			}
			sink(d.Endpoint, p)
		}
	})
	if err != nil && f.err == nil {
		f.err = err
	}
	f.flush()
}

func (f *fleet) answer(e int32, p mqttsn.Packet) {
	switch p := p.(type) {
	case *mqttsn.Publish:
		f.onMessage(e, p)
		if p.QoS == 1 {
			f.say(e, &mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
		}
	case *mqttsn.Register:
		f.say(e, &mqttsn.Regack{TopicID: p.TopicID, ID: p.ID})
	}
}

// A task is what sensors do: requests, one after another, each sent again until
// its answer has come.
type task struct {
	steps   int
	request func(e int32, step int) mqttsn.Packet
	// answers reports whether p is the answer to that request. An error says that it is
	// one that should not be.
	answers func(e int32, step int, p mqttsn.Packet) (bool, error)

	who    []int32       // takes part, in the order in which they begin; nil: all
	window int           // most of them that are under way at a time
	rate   float64       // those that begin in a second; 0: as the window allows
	repeat time.Duration // how long those that are done begin again; 0: each does it once

	// hold has nobody begin while it reports true. It is told how many are under
	// way. nil: never.
	hold func(busy int) bool
}

func (f *fleet) everybody() []int32 {
	all := make([]int32, f.size)
	for e := range all {
		all[e] = int32(e)
	}
	return all
}

// An outcome is what came of a task.
type outcome struct {
	done    int
	again   int // requests that were sent again
	elapsed time.Duration
	took    *hdrhistogram.Histogram // each time, begin to end, in microseconds
}

func (o *outcome) rate() float64 { return float64(o.done) / o.elapsed.Seconds() }

// p99 is in milliseconds.
func (o *outcome) p99() float64 { return float64(o.took.ValueAtQuantile(99)) / 1000 }

// A doing is a sensor's place in a task.
type doing struct {
	step  int8 // from 1; 0: not under way
	tries int8
	begun time.Duration
	asked time.Duration
}

// A run is a task under way.
type run struct {
	*task
	fleet   *fleet
	start   time.Time
	now     time.Duration
	at      []doing
	idle    []int32 // who is to begin, in order
	waiting []asked // in the order of time
	busy    int
	outcome
}

// An asked is a request that may have to be repeated.
type asked struct {
	e  int32
	at time.Duration
}

// perform returns when all that was begun is done.
func (f *fleet) perform(t task) outcome {
	if t.who == nil {
		t.who = f.everybody()
	}
	r := &run{task: &t, fleet: f, start: time.Now(), at: make([]doing, f.size), idle: slices.Clone(t.who),
		outcome: outcome{took: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)}}
	for begun := 0; f.err == nil; {
		r.now = time.Since(r.start)
		over := t.repeat > 0 && r.now >= t.repeat
		for !over && len(r.idle) > 0 && r.busy < t.window &&
			(t.rate == 0 || float64(begun) < t.rate*r.now.Seconds()) && (t.hold == nil || !t.hold(r.busy)) {
			e := r.idle[0]
			r.idle = r.idle[1:]
			r.begin(e)
			begun++
		}
		if r.busy == 0 && (over || len(r.idle) == 0) {
			break
		}
		f.hear(time.Millisecond, r.heard)
		r.askAgain()
		if f.ctx.Err() != nil && f.err == nil {
			f.err = context.Cause(f.ctx)
		}
	}
	r.elapsed = time.Since(r.start)
	return r.outcome
}

func (r *run) begin(e int32) {
	r.busy++
	r.at[e] = doing{step: 1, begun: r.now}
	r.ask(e)
}

func (r *run) ask(e int32) {
	d := &r.at[e]
	d.asked = r.now
	d.tries++
	r.waiting = append(r.waiting, asked{e, r.now})
	r.fleet.say(e, r.request(e, int(d.step)))
}

func (r *run) heard(e int32, p mqttsn.Packet) {
	if r.at[e].step == 0 {
		return // a late answer to what was asked twice
	}
	d := &r.at[e]
	answered, err := r.answers(e, int(d.step), p)
	if err != nil && r.fleet.err == nil {
		r.fleet.err = fmt.Errorf("sensor %d: %w", e, err)
	}
	if !answered {
		return
	}
	r.now = time.Since(r.start)
	if int(d.step) < r.steps {
		d.step, d.tries = d.step+1, 0
		r.ask(e)
		return
	}
	d.step = 0
	r.busy--
	r.done++
	r.took.RecordValue(max(1, (r.now - d.begun).Microseconds()))
	if r.repeat > 0 {
		r.idle = append(r.idle, e)
	}
}

// askAgain repeats what has been without an answer for too long.
func (r *run) askAgain() {
	for len(r.waiting) > 0 {
		w := r.waiting[0]
		d := &r.at[w.e]
		mine := d.step != 0 && d.asked == w.at
		if mine && r.now-w.at < retryAfter {
			return
		}
		r.waiting = r.waiting[1:]
		if !mine {
			continue
		}
		if d.tries > retryMost {
			r.fleet.err = fmt.Errorf("sensor %d: no answer to %v", w.e, r.request(w.e, int(d.step)))
			return
		}
		r.again++
		r.ask(w.e)
	}
}
