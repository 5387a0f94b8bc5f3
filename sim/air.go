package sim

import "dormouse/mqttsn/clock"

// A datagram is one that is under way on the radio, or waits at the gateway's
// side for whoever takes it.
type datagram struct {
	at       clock.Time // when it arrives
	order    uint64     // of those that arrive together: as they were sent
	data     []byte
	said     []byte // what of MQTT-SN is in it, going up: data itself, or behind it
	device   int32  // who sent it, or was to get it
	endpoint Endpoint
	up       bool
}

// Air holds what is under way, in the order of arrival: a heap.
type air struct {
	heap []datagram
	sent uint64
	free [][]byte
}

// put sends d on its way. data is copied, and so is what is said in it.
func (a *air) put(d datagram, data, said []byte) {
	a.sent++
	d.order = a.sent
	d.data = append(a.buffer(), data...)
	if d.said = d.data; len(said) != len(data) { // it is sealed
		b := append(d.data, said...)
		d.data, d.said = b[:len(data)], b[len(data):]
	}
	a.heap = append(a.heap, d)
	for i := len(a.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.before(i, parent) {
			break
		}
		a.heap[i], a.heap[parent] = a.heap[parent], a.heap[i]
		i = parent
	}
}

// next is when the next datagram arrives, or zero if none is under way.
func (a *air) next() clock.Time {
	if len(a.heap) == 0 {
		return 0
	}
	return a.heap[0].at
}

// take removes the datagram that arrives next. Who is done with its data gives
// it back.
func (a *air) take() datagram {
	top, last := a.heap[0], len(a.heap)-1
	a.heap[0] = a.heap[last]
	a.heap[last] = datagram{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if a.before(child, first) {
				first = child
			}
		}
		if first == i {
			return top
		}
		a.heap[i], a.heap[first] = a.heap[first], a.heap[i]
		i = first
	}
}

func (a *air) before(i, j int) bool {
	if a.heap[i].at != a.heap[j].at {
		return a.heap[i].at < a.heap[j].at
	}
	return a.heap[i].order < a.heap[j].order
}

// kept is how many buffers are kept for reuse, so that a burst of datagrams
// does not cost memory for ever.
const kept = 1 << 14

func (a *air) buffer() []byte {
	if last := len(a.free) - 1; last >= 0 {
		b := a.free[last]
		a.free = a.free[:last]
		return b[:0]
	}
	return make([]byte, 0, 48)
}

func (a *air) release(b []byte) {
	if len(a.free) < kept {
		a.free = append(a.free, b)
	}
}
