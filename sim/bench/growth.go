package bench

import (
	"errors"
	"fmt"
)

// growth measures what a message to a sleeper costs, from PUBLISH to the
// PINGRESP of its wake, and what a sleeper takes of the heap, among ever more
// sleepers. Whoever gets one is spread among them.
func (h *harness) growth() error {
	var heap, cost []float64
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		n = h.size(n)
		each, cpu, err := h.grown(n)
		if err != nil {
			return err
		}
		heap, cost = append(heap, each), append(cost, cpu)
		h.add(None, fmt.Sprintf("heap with %s sessions", number(float64(n))), each, "octets/session").count("sensors", n)
		h.add(None, fmt.Sprintf("CPU with %s sessions", number(float64(n))), cpu, "µs/message")
	}
	last := len(heap) - 1
	h.add(None, "heap of a session, last to first", heap[last]/heap[0], "").atMost(1.2)
	h.add(None, "CPU of a message, last to first", cost[last]/cost[0], "").atMost(1.2)
	return nil
}

func (h *harness) grown(n int) (each, cpu float64, err error) {
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
	return float64(full-empty) / float64(n), micros(a.cpu()-before) / float64(max(1, sent)), errors.Join(err, a.alive())
}
