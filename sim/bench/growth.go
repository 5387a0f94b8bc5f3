package bench

import (
	"errors"
	"fmt"
)

// growth measures what a message to a sleeper costs, from PUBLISH to the
// PINGRESP of its wake, and what sleepers take of the heap, among ever more of
// them. Whoever gets one is spread among them. What a session takes is what the
// heap has grown by for each that is more: among a thousand of them the buffers
// that the first ones have had made weigh a fifth.
func (h *harness) growth() error {
	var sensors, heap, more, cost []float64
	for i, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		n = h.size(n)
		took, cpu, err := h.grown(n)
		if err != nil {
			return err
		}
		sensors, heap, cost = append(sensors, float64(n)), append(heap, took), append(cost, cpu)
		h.add(None, fmt.Sprintf("heap with %s sessions", number(float64(n))), took/float64(n), "octets/session").count("sensors", n)
		if i > 0 {
			more = append(more, (heap[i]-heap[i-1])/(sensors[i]-sensors[i-1]))
			h.add(None, fmt.Sprintf("heap of each session more than %s", number(sensors[i-1])), more[i-1], "octets/session")
		}
		h.add(None, fmt.Sprintf("CPU with %s sessions", number(float64(n))), cpu, "µs/message")
	}
	h.add(None, "heap of each session more, last to first", more[len(more)-1]/more[0], "").atMost(1.2)
	h.add(None, "CPU of a message, last to first", cost[len(cost)-1]/cost[0], "").atMost(1.2)
	return nil
}

// grown returns what n sessions take of the heap in all, in octets, and what a
// message costs among them, in microseconds.
func (h *harness) grown(n int) (took, cpu float64, err error) {
	b, err := h.startDormouse(None)
	if err != nil {
		return 0, 0, err
	}
	empty, err := b.heap(h.ctx)
	if err != nil {
		b.stop()
		return 0, 0, err
	}
	a, err := h.fallAsleepOn(b, n)
	if err != nil {
		return 0, 0, err
	}
	defer a.close()
	full, err := b.heap(h.ctx)
	if err != nil {
		return 0, 0, err
	}
	messages := h.size(50_000)
	var to []int32
	for i := range min(n, messages) {
		to = append(to, int32(i*(n/min(n, messages))))
	}
	m := newMail(a, to)
	deliver := func() error {
		err := m.send()
		a.sensors.perform(m.wake(0))
		return errors.Join(err, m.whole())
	}
	if err := deliver(); err != nil { // to warm up
		return 0, 0, err
	}
	a.rest(h.ctx)
	before, sent := a.cpu(), 0
	for ; sent < messages && err == nil; sent += len(to) {
		err = deliver()
	}
	return float64(full - empty), micros(a.cpu()-before) / float64(max(1, sent)), errors.Join(err, a.alive())
}
