package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// idleClients measures the memory that a client costs which is connected, has
// one subscription and is silent.
func (h *harness) idleClients() error {
	n := h.size(5000)
	return h.beside("memory of an idle MQTT client", "KiB", "clients", n, func(b *broker) (float64, error) {
		l, err := newClients(h.ctx, b.name, b.mqtt)
		if err != nil {
			return 0, err
		}
		defer l.close()
		b.rest(h.ctx)
		before, _ := b.rss()
		for i := range n {
			l.subscribe(l.dial(fmt.Sprintf("idle-%d", i)), fmt.Sprintf("idle/%d", i), 1)
		}
		b.rest(h.ctx)
		after, _ := b.rss()
		return float64(after-before) / float64(n) / 1024, l.err
	})
}

// beside measures the same of us and of others, one after another, for which n
// of something are done.
func (h *harness) beside(what, unit, done string, n int, measure func(*broker) (float64, error)) error {
	all, err := h.startPeers()
	if err != nil {
		return err
	}
	defer stopAll(all)
	var ours *Figure
	for _, b := range all {
		v, err := measure(b)
		if err := errors.Join(err, b.alive()); err != nil {
			return err
		}
		if ours == nil {
			ours = h.add(None, what, v, unit).count(done, n)
		} else {
			ours.peer(b.name, v)
		}
	}
	return nil
}

// retained measures a wildcard subscription over 100,000 retained messages: how
// long until the last has come. A peer that does not send all of them within
// patience is measured by that.
func (h *harness) retained() error {
	const patience = 4 * time.Second
	n := h.size(100_000)
	return h.beside(fmt.Sprintf("%s retained messages", number(float64(n))), "ms", "messages", n, func(b *broker) (float64, error) {
		l, err := newClients(h.ctx, b.name, b.mqtt)
		if err != nil {
			return 0, err
		}
		defer l.close()
		pub := l.dial("pub")
		for i := range n {
			l.publish(pub, newMessage(fmt.Sprintf("home/%d/%d/state", i/100, i%100), 1, true, make([]byte, 64)), 64)
		}
		l.land(pub)
		sub := l.dial("sub")
		b.rest(h.ctx)
		start := time.Now()
		l.subscribe(sub, "home/#", 0)
		for l.received < n && time.Since(start) < patience {
			l.turn(100)
		}
		took := time.Since(start)
		if lost := n - l.received; lost > 0 && b.sn.IsValid() && l.err == nil {
			l.err = fmt.Errorf("%d of %d retained messages did not come", lost, n)
		}
		return micros(took) / 1000, l.err
	})
}

// stalled measures what one subscriber that stops reading does to others: 8 MB
// of its topics a second, in messages of 1 KB, while others exchange 500
// messages a second. Their latency is measured with that subscriber reading,
// and with it stalled, by turns.
func (h *harness) stalled() error {
	for qos := range byte(3) {
		if err := h.stalledOf(qos); err != nil {
			return err
		}
	}
	return nil
}

func (h *harness) stalledOf(qos byte) error {
	const rounds = 4
	b, err := h.startDormouse(None)
	if err != nil {
		return err
	}
	defer b.stop()
	reads, stalls := &feed{broker: b, qos: qos}, &feed{broker: b, qos: qos, stall: true}
	for range rounds {
		if err := errors.Join(reads.run(h.ctx, h.For/4), stalls.run(h.ctx, h.For/4)); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("p99 beside a subscriber of QoS %d that ", qos)
	h.add(None, what+"reads", reads.p99(), "ms").count("messages", len(reads.latency))
	h.add(None, what+"stalls", stalls.p99(), "ms").count("messages", len(stalls.latency))
	return b.alive()
}

// A feed is messages to one subscriber, who stalls or not, and others whose
// latency is measured.
type feed struct {
	*broker
	qos     byte
	stall   bool
	latency []float64 // ms
}

func (f *feed) run(ctx context.Context, lasts time.Duration) error {
	const rate, fed = 500, 8000
	s, err := newStream(ctx, f.broker, 1, 1, f.qos, 1000)
	if err != nil {
		return err
	}
	defer s.close()
	s.window = 1 << 30
	if f.stall {
		if err := s.ignoreSubscribers(); err != nil {
			return err
		}
	}
	others, err := newClients(ctx, f.name, f.mqtt)
	if err != nil {
		return err
	}
	defer others.close()
	sub, pub := others.dial("other-sub"), others.dial("other-pub")
	others.subscribe(sub, "other", 0)
	start := time.Now()
	others.onMessage = func(payload []byte) {
		sent := time.Duration(binary.BigEndian.Uint64(payload))
		f.latency = append(f.latency, micros(time.Since(start)-sent)/1000)
	}
	step := time.Second / rate
	sent := 0
	for next := time.Duration(0); next < lasts && others.err == nil; next += step {
		for time.Since(start) < next {
			s.publishSome(int(fed*time.Since(start).Seconds()) - s.sent)
			s.turn(0)
			others.turn(0)
		}
		now := binary.BigEndian.AppendUint64(nil, uint64(time.Since(start)))
		m := newMessage("other", 0, false, now)
		others.send(pub, m.octets)
		sent++
	}
	for others.received < sent && others.err == nil {
		if others.turn(100); time.Since(start) > lasts+silence {
			others.fail(fmt.Errorf("others got %d of %d messages", others.received, sent))
		}
	}
	return errors.Join(s.err, others.err)
}

func (f *feed) p99() float64 {
	slices.Sort(f.latency)
	return f.latency[int(0.99*float64(len(f.latency)-1))]
}
