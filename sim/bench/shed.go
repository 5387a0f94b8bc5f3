package bench

import (
	"errors"
	"time"
)

// qos0 measures what of QoS 0 gets lost on its way from a thousand sensors to one
// subscriber: at a rate that is to be had, and as fast as they can send. What
// is lost has to be counted.
func (h *harness) qos0() error {
	for _, load := range []struct {
		what string
		rate float64
	}{{"60,000/s", 60_000}, {"flat out", 0}} {
		l, err := h.flood(load.rate)
		if err != nil {
			return err
		}
		h.add(None, "QoS 0 at "+load.what+", sent", float64(l.sent)/l.elapsed.Seconds(), "messages/s")
		f := h.add(None, "QoS 0 at "+load.what+", received", percent(l.received, l.sent), "%").
			count("sent", l.sent).count("received", l.received).count("shed", l.shed)
		if load.rate > 0 {
			f.atLeast(100)
		}
		h.add(None, "QoS 0 at "+load.what+", received or counted as shed", percent(l.received+l.shed, l.sent), "%").atLeast(100)
	}
	return nil
}

func percent(of, all int) float64 { return 100 * float64(of) / float64(max(1, all)) }

// losses are what came of a flood.
type losses struct {
	sent, received, shed int
	elapsed              time.Duration
}

// flood has sensors publish at QoS 0, at rate messages a second in all or, with
// zero, as fast as they can.
func (h *harness) flood(rate float64) (*losses, error) {
	const sensors, burst = 1000, 64
	b, err := h.startDormouse(None)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	sub, err := newReceiver(h.ctx, b, "ingest/#", 0)
	if err != nil {
		return nil, err
	}
	defer sub.close()
	r, err := newReporter(h.ctx, b, h.size(sensors), 0)
	if err != nil {
		return nil, err
	}
	defer r.close()
	before, err := b.shed()
	if err != nil {
		return nil, err
	}
	l := new(losses)
	for start := time.Now(); r.err == nil && l.elapsed < h.For; l.elapsed = time.Since(start) {
		due := burst
		if rate > 0 {
			due = min(burst, int(rate*time.Since(start).Seconds())-l.sent)
		}
		if due == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		for range due {
			r.say(int32(l.sent%r.size), r.report(int32(l.sent%r.size), 0))
			l.sent++
		}
		r.flush()
	}
	sub.await(l.sent)
	after, err := b.shed()
	l.received, l.shed = int(sub.count.Load()), after-before
	return l, errors.Join(err, r.err, sub.failed(), b.alive())
}
