// Package wheel keeps one deadline for each of very many sessions.
package wheel

import (
	"time"

	"dormouse/mqttsn/clock"
)

const (
	levels    = 4
	slotBits  = 8
	slots     = 1 << slotBits
	nowhere   = -1
	maxTicks  = 1<<(levels*slotBits) - 1
	notQueued = levels * slots
)

// A Wheel is a hierarchical timing wheel. It holds at most one deadline per
// id, costs 18 octets per id and allocates only in Grow. Set and Cancel take
// constant time; Advance takes time in proportion to the slots in use that it
// passes and the deadlines met, however long the time in between. It is not
// safe for concurrent use: each shard owns one.
//
// Four levels of 256 slots at a 100 ms tick reach 13.6 years; a deadline
// beyond goes round once more.
type Wheel struct {
	tick  time.Duration
	start clock.Time
	now   int64 // ticks since start, all of which have been fired

	used       [levels]bitmap // which slots have an id
	head       [levels * slots]int32
	next, prev []int32
	at         []int64 // deadline of each id, in ticks
	slot       []uint16
}

// New returns an empty wheel whose deadlines are met up to tick late, and
// never early. It has no ids yet: see Grow.
func New(start clock.Time, tick time.Duration) *Wheel {
	w := &Wheel{tick: tick, start: start}
	for i := range w.head {
		w.head[i] = nowhere
	}
	return w
}

// Grow makes ids below n valid.
func (w *Wheel) Grow(n int) {
	for len(w.at) < n {
		w.next = append(w.next, nowhere)
		w.prev = append(w.prev, nowhere)
		w.at = append(w.at, 0)
		w.slot = append(w.slot, notQueued)
	}
}

// Set gives id the deadline t, replacing any it had. Zero means none. One that
// has passed is met at the next tick.
func (w *Wheel) Set(id int32, t clock.Time) {
	w.Cancel(id)
	if t == 0 {
		return
	}
	w.at[id] = w.now + 1
	if t > w.start {
		w.at[id] = max(w.at[id], (int64(t-w.start)-1)/int64(w.tick)+1)
	}
	w.link(id)
}

// Cancel removes id's deadline, if it has one.
func (w *Wheel) Cancel(id int32) {
	s := w.slot[id]
	if s == notQueued {
		return
	}
	n, p := w.next[id], w.prev[id]
	if p == nowhere {
		w.head[s] = n
	} else {
		w.next[p] = n
	}
	if n != nowhere {
		w.prev[n] = p
	}
	if w.head[s] == nowhere {
		w.used[s/slots].clear(int(s) % slots)
	}
	w.slot[id] = notQueued
}

func (w *Wheel) link(id int32) {
	// The level is that of the highest digit in which at differs from now; on
	// the last level, where the digits come round, also of any above.
	at, level := min(w.at[id], w.now+maxTicks), 0
	for d := (at ^ w.now) >> slotBits; d != 0 && level < levels-1; d >>= slotBits {
		level++
	}
	digit := int(at>>(level*slotBits)) % slots
	s := level*slots + digit
	w.used[level].set(digit)
	w.slot[id] = uint16(s)
	w.prev[id], w.next[id] = nowhere, w.head[s]
	if h := w.head[s]; h != nowhere {
		w.prev[h] = id
	}
	w.head[s] = id
}

// Advance calls fire for every id whose deadline is at or before now, having
// removed the deadline, in the order of their ticks. fire may call Set and
// Cancel for any id, and Grow.
func (w *Wheel) Advance(now clock.Time, fire func(id int32)) {
	until := int64(now-w.start) / int64(w.tick)
	for {
		t, ok := w.due()
		if !ok || t > until {
			w.now = max(w.now, until)
			return
		}
		w.now = t
		for l := 1; l < levels && t%(1<<(l*slotBits)) == 0; l++ {
			w.drain(l, w.link)
		}
		w.drain(0, fire)
	}
}

// Next returns when Advance next has something to do, or zero if no id has a
// deadline. No deadline is met sooner, but that may be the hour in which one
// falls rather than its tick: whoever steps through virtual time calls Advance
// then, and asks again.
func (w *Wheel) Next() clock.Time {
	t, ok := w.due()
	if !ok {
		return 0
	}
	return w.start.Add(time.Duration(t) * w.tick)
}

// due returns the first tick after now that has a slot in use, of whichever
// level. A lower level's slots all come before a higher level's next one.
func (w *Wheel) due() (tick int64, ok bool) {
	for l := range levels {
		shift := l * slotBits
		digits := w.now >> shift
		turn := digits &^ (slots - 1) // the tick, in units of this level, at which its slot 0 was passed
		if s, ok := w.used[l].next(int(digits%slots) + 1); ok {
			return (turn + int64(s)) << shift, true
		}
		if s, ok := w.used[l].next(0); ok { // only on the last level
			return (turn + slots + int64(s)) << shift, true
		}
	}
	return 0, false
}

// drain empties the slot of level that now stands on.
func (w *Wheel) drain(level int, f func(id int32)) {
	s := level*slots + int(w.now>>(level*slotBits))%slots
	for w.head[s] != nowhere {
		id := w.head[s]
		w.Cancel(id)
		f(id)
	}
}
