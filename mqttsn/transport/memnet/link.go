package memnet

import (
	"bytes"
	"container/heap"
	"math/rand/v2"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

// A Link says how one direction treats what it carries. Each datagram, and
// each repetition of one, is treated by itself.
type Link struct {
	Loss        float64 // probability that a datagram is lost
	Duplication float64 // probability that it arrives twice
	Reordering  float64 // probability that it is held back by up to Detour

	Latency time.Duration // how long it takes; all of them the same, so none overtakes
	Detour  time.Duration // how much longer one that is held back may take
}

// A direction is one Link with what is under way on it.
type direction struct {
	link  Link
	way   Direction
	rng   *rand.Rand
	sent  uint64 // numbers the datagrams, so that equal arrivals keep their order
	under underWay
}

// newDirection gives each direction random numbers of its own, so that what
// one carries does not change what becomes of the other's.
func newDirection(l Link, seed uint64, way Direction) direction {
	return direction{link: l, way: way, rng: rand.New(rand.NewPCG(seed, uint64(way)))}
}

func (r *direction) send(now clock.Time, d transport.Datagram, record func(Event)) {
	e := Event{At: now, Direction: r.way, Peer: d.Peer, Octets: d.Buf, Fate: Sent}
	record(e)
	copies := 1
	if r.happens(r.link.Duplication) {
		copies = 2
		record(e.with(Duplicated))
	}
	for range copies {
		// Every copy draws as many numbers, whatever becomes of it.
		lost, held, detour := r.happens(r.link.Loss), r.happens(r.link.Reordering), r.rng.Float64()
		at := now.Add(r.link.Latency)
		switch {
		case lost:
			record(e.with(Lost))
			continue
		case len(r.under) >= MaxUnderWay:
			record(e.with(Refused))
			continue
		case held:
			at = at.Add(time.Duration(detour * float64(r.link.Detour)))
			record(e.with(HeldBack))
		}
		r.sent++
		heap.Push(&r.under, flight{at: at, number: r.sent, datagram: d})
	}
}

func (r *direction) happens(p float64) bool { return r.rng.Float64() < p }

// next returns when the next datagram arrives, or zero.
func (r *direction) next() clock.Time {
	if len(r.under) == 0 {
		return 0
	}
	return r.under[0].at
}

func (r *direction) arrived(now clock.Time, record func(Event)) []transport.Datagram {
	var ds []transport.Datagram
	for len(r.under) > 0 && r.under[0].at <= now {
		d := heap.Pop(&r.under).(flight).datagram
		record(Event{At: now, Direction: r.way, Peer: d.Peer, Octets: d.Buf, Fate: Arrived})
		d.Buf = bytes.Clone(d.Buf) // the trace and a duplicate keep theirs
		ds = append(ds, d)
	}
	return ds
}

// A flight is a datagram under way.
type flight struct {
	at       clock.Time
	number   uint64
	datagram transport.Datagram
}

// underWay is a heap, the next to arrive first.
type underWay []flight

func (u underWay) Len() int      { return len(u) }
func (u underWay) Swap(i, j int) { u[i], u[j] = u[j], u[i] }
func (u underWay) Less(i, j int) bool {
	return u[i].at < u[j].at || u[i].at == u[j].at && u[i].number < u[j].number
}
func (u *underWay) Push(f any) { *u = append(*u, f.(flight)) }

func (u *underWay) Pop() any {
	last := len(*u) - 1
	f := (*u)[last]
	(*u)[last] = flight{}
	*u = (*u)[:last]
	return f
}
