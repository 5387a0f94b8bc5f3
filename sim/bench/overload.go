package bench

import (
	"errors"
	"fmt"
	"time"
)

// overload measures what becomes of twice the load that can be done: sensors
// that publish at QoS 0 and 1 and do not care whether anything is answered,
// and strangers that connect. What was just done is measured first, as much of the
// same as is answered.
func (h *harness) overload() error {
	for _, d := range h.Durabilities {
		if err := h.overloadAt(d); err != nil {
			return fmt.Errorf("durability %s: %w", d, err)
		}
	}
	return nil
}

func (h *harness) overloadAt(d Durability) error {
	const sensors, strangers = 50_000, 20_000
	// What is acknowledged is to be counted where it arrives, and not to be
	// dropped because we have not read it yet. Twice what Dormouse can do with all
	// cores could not be sent from the same machine: it gets one.
	b, err := h.startDormouseWith(d, []string{"limits.queue.messages=10000000", "limits.queue.bytes=4GiB"}, "GOMAXPROCS=1")
	if err != nil {
		return err
	}
	defer b.stop()
	s, err := h.newStorm(b, 1+h.size(sensors), h.size(strangers))
	if err != nil {
		return err
	}
	defer s.close()

	s.run(h.For/4, 0) // to warm up
	most := s.run(h.For, 0)
	s.settle(most)
	usual := s.usual(min(h.For, time.Second))
	before, err := b.figures()
	if err != nil {
		return err
	}
	said, profiled := s.said, h.profile(b, string(d), h.For)
	load := s.run(h.For, 2*most.rate())
	back, welcome := s.recover(max(2*usual, noise))
	s.settle(load)
	after, err := b.figures()
	if err := errors.Join(err, s.failed(), profiled(), b.alive()); err != nil {
		return err
	}

	grown := func(name string, labels ...string) int {
		return after.sum(name, labels...) - before.sum(name, labels...)
	}
	full := grown(droppedByKernel) + grown(droppedByShard, "inbox_full")
	h.add(d, "capacity", most.rate(), "requests/s")
	h.add(d, "offered", load.rate(), "requests/s").atLeast(1.9*most.rate()). // or the machine could not send it
											count("datagrams", s.said-said).count("looked_at", grown("dormouse_mqttsn_datagrams_received_total")).count("found_no_room", full)
	h.add(d, "QoS 0 shed", percent(load.qos0-load.heard0, load.qos0), "%").
		count("sent", load.qos0).count("received", load.heard0).count("shed", grown(droppedByShard, "overload")+grown(droppedByCore, "store_behind")).count("found_no_room", full)
	h.add(d, "QoS 1 acknowledged at once", percent(load.prompt, load.qos1), "%").
		count("sent", load.qos1).count("acknowledged", s.acked).count("acknowledged_and_lost", s.lost()).count("late", grown(droppedByShard, "late")).count("withheld", load.withheld)
	h.add(d, "QoS 1 acknowledged at once, p50", load.quantile(50), "ms")
	h.add(d, "QoS 1 acknowledged at once, p99", load.quantile(99), "ms").atMost(5000)
	h.add(d, "strangers refused", percent(load.refused, load.strangers), "%").
		count("asked", load.strangers).count("refused", load.refused).count("let_in", load.letIn)
	h.add(d, "until answers take twice the usual at most", back.Seconds(), "s").atMost(5)
	h.add(d, "until a stranger is let in", welcome.Seconds(), "s").atMost(5)
	if n := s.lost(); n > 0 {
		return fmt.Errorf("%d messages were acknowledged and did not arrive", n)
	}
	return errors.Join(before.err, after.err)
}
