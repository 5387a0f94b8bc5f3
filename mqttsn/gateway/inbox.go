package gateway

import (
	"sync"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

// What may wait for one shard: what fifty thousand sleepers send who wake at the
// same moment, and no more than it deals with long before it is sent again.
// Datagrams beyond are dropped, the newest first.
const (
	maxDatagrams = 1 << 16
	maxOctets    = 4 << 20
)

// spare is for how many datagrams an inbox keeps its memory after a burst.
const spare = 4096

// An inbox is what others leave for a shard. Nobody who leaves something ever
// waits for the shard.
type inbox struct {
	wake chan struct{} // has room for one: there is something

	mu        sync.Mutex
	datagrams []transport.Datagram // in octets
	octets    []byte
	seats     []*seat // to be visited, each once: no more than there are
	calls     []func()
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (in *inbox) stir() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// post leaves those datagrams of batch whose shard, as told by to, is this
// one, and returns how many found no room.
func (in *inbox) post(batch []transport.Datagram, to []uint8, this uint8) (dropped int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, d := range batch {
		if to[i] != this {
			continue
		}
		if len(in.datagrams) == maxDatagrams || len(in.octets)+len(d.Buf) > maxOctets {
			dropped++
			continue
		}
		start := len(in.octets)
		in.octets = append(in.octets, d.Buf...)
		d.Buf = in.octets[start:len(in.octets):len(in.octets)]
		in.datagrams = append(in.datagrams, d)
	}
	in.stir()
	return dropped
}

// visit leaves a seat to be visited.
func (in *inbox) visit(t *seat) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seats = append(in.seats, t)
	in.stir()
}

// call leaves something to be done.
func (in *inbox) call(do func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.calls = append(in.calls, do)
	in.stir()
}

func (in *inbox) empty() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.datagrams) == 0 && len(in.seats) == 0 && len(in.calls) == 0
}

// mail is what a shard took out of its inbox, and has not come to yet.
type mail struct {
	datagrams []transport.Datagram
	read      int // of datagrams
	octets    []byte
	from, to  clock.Time // when datagrams came
	seats     queue[*seat]
	calls     []func()
}

// take moves everything into m, but for datagrams while m has some, and leaves
// m's memory for the next. The datagrams have come since the last were taken; or
// just now, if the shard has rested.
func (in *inbox) take(m *mail, now clock.Time, rested bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if m.unread() == 0 {
		m.from, m.to = m.to, now
		if rested {
			m.from = now
		}
		if cap(m.datagrams) > spare {
			m.datagrams, m.octets = nil, nil
		}
		m.datagrams, in.datagrams, m.read = in.datagrams, m.datagrams[:0], 0
		m.octets, in.octets = in.octets, m.octets[:0]
	}
	for _, t := range in.seats {
		m.seats.push(t)
	}
	clear(in.seats)
	in.seats = in.seats[:0]
	m.calls, in.calls = in.calls, nil
}

func (m *mail) unread() int { return len(m.datagrams) - m.read }

// waited is for how long the next datagram had waited at now, if they came
// evenly: to give each its time would cost a clock's reading for each.
func (m *mail) waited(now clock.Time) time.Duration {
	if m.unread() == 0 {
		return 0
	}
	came := m.to.Sub(m.from) * time.Duration(m.read) / time.Duration(len(m.datagrams))
	return now.Sub(m.from.Add(came))
}

// A queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(x T) {
	if len(q.items) == cap(q.items) && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, x)
}

// pop takes out the first, of which there must be one.
func (q *queue[T]) pop() T {
	var none T
	x := q.items[q.head]
	q.items[q.head] = none
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return x
}
