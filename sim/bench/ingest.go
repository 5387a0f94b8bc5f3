package bench

import (
	"errors"
	"fmt"
	"time"

	"dormouse/mqttsn"
)

// ingest measures QoS 1 from sensors, one message of each under way (1.2
// §6.6), to one MQTT subscriber of QoS 1 that gets them all: beside an echo of
// the same datagrams, by turns, so that what else the machine does hits all
// alike.
func (h *harness) ingest() error {
	for _, n := range []int{100, 1000} {
		if err := h.ingestFrom(h.size(n)); err != nil {
			return err
		}
	}
	return nil
}

func (h *harness) ingestFrom(n int) error {
	raw, err := h.newEcho(n)
	if err != nil {
		return err
	}
	defer raw.close()
	flows := []*flow{raw}
	for _, d := range h.Durabilities {
		f, err := h.newFlow(d, n)
		if err != nil {
			return err
		}
		defer f.close()
		flows = append(flows, f)
	}
	const rounds = 8
	for _, f := range flows {
		f.turn(h.For / rounds) // to warm up
		f.tally = tally{}
	}
	var profiled []func() error
	for _, f := range flows[1:] {
		profiled = append(profiled, h.profile(f.broker, fmt.Sprint(n, "-", f.durability), h.For*time.Duration(len(flows))))
	}
	for range rounds {
		for _, f := range flows {
			f.turn(h.For / rounds)
		}
	}
	var errs []error
	for _, wait := range profiled {
		errs = append(errs, wait())
	}
	for _, f := range flows {
		errs = append(errs, f.whole())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	h.add("", fmt.Sprintf("raw UDP echo, %s peers", number(float64(n))), raw.rate(), "datagrams/s").count("echoed", raw.delivered).count("asked_again", raw.again)
	h.compareFlows(fmt.Sprintf("QoS 1 from %s sensors", number(float64(n))), raw, flows[1:])
	return nil
}

// compareFlows adds what came of each, held against the echo and, with
// durability, against none.
func (h *harness) compareFlows(what string, raw *flow, flows []*flow) {
	var plain *flow
	for _, f := range flows {
		rate := h.add(f.durability, what, f.rate(), "messages/s").peer("echo", raw.rate()).
			count("acknowledged", f.acked).count("received", int(f.sub.count.Load())).count("asked_again", f.again)
		cost := h.add(f.durability, what+", CPU", f.cost(), "µs/message").peer("echo", raw.cost())
		switch {
		case f.durability == None:
			plain = f
			rate.atLeast(raw.rate() / 2)
			cost.atMost(10)
		case plain != nil:
			rate.atLeast(0.6 * plain.rate())
			cost.atMost(1.6 * plain.cost())
		}
	}
}

// A flow is sensors that publish to a broker, or to an echo, and what came of it
// in the turns that they had.
type flow struct {
	tally
	again int // requests that were sent again

	process    *process
	sensors    *fleet
	publish    task
	acked      int // ever
	durability Durability
	broker     *broker   // nil: an echo
	sub        *receiver // of a broker
	close      func()
}

// newEcho has n sensors publish to an echo.
func (h *harness) newEcho(n int) (*flow, error) {
	p, at, err := h.startEcho()
	if err != nil {
		return nil, err
	}
	f, err := newFleet(h.ctx, at, n)
	if err != nil {
		p.stop()
		return nil, err
	}
	f.echo = true
	return &flow{
		process: p, sensors: f,
		publish: task{
			steps: 1, window: n,
			request: func(int32, int) mqttsn.Packet {
				return &mqttsn.Publish{QoS: 1, Topic: mqttsn.Topic{ID: 1}, ID: 1, Payload: reading}
			},
			answers: func(int32, int, mqttsn.Packet) (bool, error) { return true, nil },
		},
		close: func() {
			f.close()
			p.stop()
		},
	}, nil
}

// newFlow has n sensors publish to Dormouse.
func (h *harness) newFlow(d Durability, n int) (*flow, error) {
	b, err := h.startDormouse(d)
	if err != nil {
		return nil, err
	}
	return h.newFlowTo(b, d, n)
}

// newFlowTo is newFlow to one that is there. It ends with the flow.
func (h *harness) newFlowTo(b *broker, d Durability, n int) (*flow, error) {
	sub, err := newReceiver(h.ctx, b, "ingest/#", 1)
	if err != nil {
		b.stop()
		return nil, err
	}
	r, err := newReporter(h.ctx, b, n, 0)
	if err != nil {
		sub.close()
		b.stop()
		return nil, err
	}
	f := &flow{process: b.process, sensors: r.fleet, durability: d, broker: b, sub: sub}
	f.publish = task{
		steps: 1, window: n,
		request: func(e int32, _ int) mqttsn.Packet { return r.report(e, 1) },
		answers: func(_ int32, _ int, p mqttsn.Packet) (bool, error) {
			a, ok := p.(*mqttsn.Puback)
			if !ok || a.Reason != mqttsn.Accepted {
				return false, fmt.Errorf("PUBLISH is answered %v", p)
			}
			f.acked++
			return true, nil
		},
		hold: func(busy int) bool { return int64(f.acked+busy)-sub.count.Load() >= lag },
	}
	f.close = func() {
		r.close()
		sub.close()
		b.stop()
	}
	return f, nil
}

// turn publishes for d.
func (f *flow) turn(d time.Duration) {
	before := f.process.cpu()
	f.publish.repeat = d
	o := f.sensors.perform(f.publish)
	if f.sub != nil {
		f.sub.await(f.acked)
	}
	f.delivered += o.done
	f.again += o.again
	f.elapsed += o.elapsed
	f.cpu += f.process.cpu() - before
}

// whole returns an error unless all that was acknowledged has arrived.
func (f *flow) whole() error {
	if err := errors.Join(f.sensors.err, f.process.alive()); err != nil || f.sub == nil {
		return err
	}
	if missing := f.acked - int(f.sub.count.Load()); missing > 0 {
		return errors.Join(fmt.Errorf("%d of %d acknowledged messages did not reach the subscriber", missing, f.acked), f.sub.failed())
	}
	return nil
}
