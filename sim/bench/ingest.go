package bench

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"dormouse/mqttsn"
)

// lag is how many messages a subscriber may be behind: half of what its queue
// holds. An acknowledgement does not wait for subscribers, so that the load
// holds back there.
const lag = 500

// A receiver is an MQTT subscriber that only counts, in a goroutine of its own.
type receiver struct {
	*clients
	count atomic.Int64
	over  atomic.Bool
	ended chan struct{}
}

func newReceiver(b *broker, filter string, qos byte) (*receiver, error) {
	l, err := newClients(b.name, b.mqtt)
	if err != nil {
		return nil, err
	}
	r := &receiver{clients: l, ended: make(chan struct{})}
	l.subscribe(l.dial("receiver"), filter, qos)
	go func() {
		defer close(r.ended)
		for !r.over.Load() && l.err == nil {
			l.turn(50)
			r.count.Store(int64(l.received))
		}
	}()
	return r, nil
}

// await waits until n messages have come, or none does any more.
func (r *receiver) await(n int) {
	const patience = 3 * time.Second
	for last, since := int64(-1), time.Now(); r.count.Load() < int64(n) && time.Since(since) < patience; time.Sleep(time.Millisecond) {
		if got := r.count.Load(); got != last {
			last, since = got, time.Now()
		}
	}
}

// close returns what has gone wrong meanwhile.
func (r *receiver) close() error {
	r.over.Store(true)
	<-r.ended
	r.clients.close()
	return r.err
}

// A reporter is a fleet whose sensors are connected and have a topic id each.
type reporter struct {
	*fleet
	topics []uint16
	next   uint16 // Packet Identifier
}

func newReporter(b *broker, n int) (*reporter, error) {
	f, err := newFleet(b.sn, n)
	if err != nil {
		return nil, err
	}
	r := &reporter{fleet: f, topics: make([]uint16, n)}
	f.perform(task{
		steps: 2, window: window,
		request: func(e int32, step int) mqttsn.Packet {
			if step == 1 {
				return &mqttsn.Connect{ProtocolID: 1, CleanSession: true, KeepAlive: keepAlive, ClientID: []byte(sensorID(e))}
			}
			return &mqttsn.Register{ID: 1, Name: fmt.Appendf(nil, "ingest/%d", e)}
		},
		answers: func(e int32, step int, p mqttsn.Packet) (bool, error) {
			switch p := p.(type) {
			case *mqttsn.Connack:
				return step == 1 && p.Reason == mqttsn.Accepted, accepted(p, p.Reason)
			case *mqttsn.Regack:
				r.topics[e] = p.TopicID
				return step == 2 && p.Reason == mqttsn.Accepted, accepted(p, p.Reason)
			}
			return false, nil
		},
	})
	if f.err != nil {
		f.close()
	}
	return r, f.err
}

// reading is what sensors publish.
var reading = []byte("23.5 deg C 0")

// report is the next message of e.
func (r *reporter) report(e int32, qos mqttsn.QoS) *mqttsn.Publish {
	p := &mqttsn.Publish{QoS: qos, Topic: mqttsn.Topic{ID: r.topics[e]}, Payload: reading}
	if qos > 0 {
		r.next = max(1, r.next+1)
		p.ID = r.next
	}
	return p
}

// ingest measures QoS 1 from sensors, one message of each under way (1.2
// §6.6), to one MQTT subscriber of QoS 1 that gets them all.
func (h *harness) ingest() error {
	for _, n := range []int{100, 1000} {
		n = h.size(n)
		raw, err := h.echoes(n)
		if err != nil {
			return err
		}
		h.add("", fmt.Sprintf("raw UDP echo, %d peers", n), raw, "datagrams/s")
		var plain *flow
		for _, d := range h.Durabilities {
			got, err := h.ingestOf(d, n)
			if err != nil {
				return err
			}
			what := fmt.Sprintf("QoS 1 from %d sensors", n)
			rate := h.add(d, what, got.rate(), "messages/s").count("acknowledged", got.done).
				count("received", got.received).count("asked_again", got.again)
			cpu := h.add(d, what+", CPU", got.cost, "µs/message")
			if d == None {
				plain = got
				cpu.atMost(10)
				rate.atLeast(raw/2).peer("echo", raw)
			} else if plain != nil {
				cpu.atMost(1.6 * plain.cost)
				rate.atLeast(0.6 * plain.rate())
			}
		}
	}
	return nil
}

// echoes is how many of the same datagrams a second come back from the echo.
func (h *harness) echoes(n int) (float64, error) {
	p, at, err := h.startEcho()
	if err != nil {
		return 0, err
	}
	defer p.stop()
	f, err := newFleet(at, n)
	if err != nil {
		return 0, err
	}
	defer f.close()
	f.echo = true
	o := f.perform(task{
		steps: 1, window: n, repeat: h.For,
		request: func(int32, int) mqttsn.Packet {
			return &mqttsn.Publish{QoS: 1, Topic: mqttsn.Topic{ID: 1}, ID: 1, Payload: reading}
		},
		answers: func(int32, int, mqttsn.Packet) (bool, error) { return true, nil },
	})
	return o.rate(), f.err
}

// A flow is what came of publishing for a while.
type flow struct {
	outcome
	received int
	cost     float64 // µs of the broker's CPU time a message
}

func (h *harness) ingestOf(d Durability, n int) (*flow, error) {
	b, err := h.startDormouse(d)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	sub, err := newReceiver(b, "ingest/#", 1)
	if err != nil {
		return nil, err
	}
	defer sub.close()
	r, err := newReporter(b, n)
	if err != nil {
		return nil, err
	}
	defer r.close()
	acked := 0
	publish := task{
		steps: 1, window: n,
		request: func(e int32, _ int) mqttsn.Packet { return r.report(e, 1) },
		answers: func(_ int32, _ int, p mqttsn.Packet) (bool, error) {
			a, ok := p.(*mqttsn.Puback)
			if !ok || a.Reason != mqttsn.Accepted {
				return false, fmt.Errorf("PUBLISH is answered %v", p)
			}
			acked++
			return true, nil
		},
		hold: func() bool { return int64(acked)-sub.count.Load() > lag },
	}
	publish.repeat = h.For / 4 // to warm up
	r.perform(publish)
	sub.await(acked)
	before, had := b.cpu(), acked
	profiled := h.profile(b, fmt.Sprint(n, "-", d), h.For)
	publish.repeat = h.For
	o := r.perform(publish)
	sub.await(acked)
	f := &flow{outcome: o, received: int(sub.count.Load()) - had, cost: micros(b.cpu()-before) / float64(max(1, o.done))}
	if missing := int64(acked) - sub.count.Load(); missing > 0 && r.err == nil {
		r.err = fmt.Errorf("%d of %d acknowledged messages did not reach the subscriber", missing, acked)
	}
	return f, errors.Join(r.err, profiled(), b.alive())
}
