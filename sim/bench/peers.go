package bench

import (
	"errors"
	"fmt"
	"time"
)

// A contender is one broker in one row.
type contender struct {
	*broker
	stream      *stream
	full, paced tally
}

// startPeers starts Dormouse first, and those it is measured beside, as far as
// they are there.
func (h *harness) startPeers() (all []*broker, err error) {
	starts := []func() (*broker, error){func() (*broker, error) { return h.startDormouse(None) }}
	if h.Mochi != "" {
		starts = append(starts, h.startMochi)
	}
	if h.Mosquitto != "" {
		starts = append(starts, h.startMosquitto)
	}
	for _, start := range starts {
		b, err := start()
		if err != nil {
			stopAll(all)
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func stopAll(all []*broker) {
	for _, b := range all {
		b.stop()
	}
}

// mqtt measures MQTT to MQTT beside others: the same load, by turns, so that
// what else the machine does hits all alike. Messages delivered a second at
// full speed, then the broker's CPU time for each at half the speed of the
// slowest. What we lose is an error; what others lose is counted.
func (h *harness) mqtt() error {
	for qos := range byte(3) {
		for _, shape := range []struct{ publishers, subscribers int }{{1, 1}, {1, h.size(1000)}, {h.size(1000), 1}} {
			if err := h.mqttOf(qos, shape.publishers, shape.subscribers); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *harness) mqttOf(qos byte, publishers, subscribers int) error {
	brokers, err := h.startPeers()
	if err != nil {
		return err
	}
	defer stopAll(brokers)
	var all []*contender
	for _, b := range brokers {
		s, err := newStream(h.ctx, b, publishers, subscribers, qos, 64)
		if err != nil {
			return err
		}
		defer s.close()
		all = append(all, &contender{broker: b, stream: s})
	}
	if err := h.compare(all); err != nil {
		return err
	}
	us, others := all[0], all[1:]
	what := fmt.Sprintf("QoS %d, %s to %s", qos, number(float64(publishers)), number(float64(subscribers)))
	rate := h.add(None, what, us.full.rate(), "messages/s").count("lost", us.full.lost+us.paced.lost).count("delivered", us.full.delivered+us.paced.delivered)
	cost := h.add(None, what+", CPU at half speed", us.paced.cost(), "µs/message")
	best, least := 0.0, 0.0
	for _, c := range others {
		rate.peer(c.name, c.full.rate()).count(c.name+"_lost", c.full.lost+c.paced.lost)
		cost.peer(c.name, c.paced.cost())
		best = max(best, c.full.rate())
		if least == 0 || c.paced.cost() < least {
			least = c.paced.cost()
		}
	}
	if len(others) > 0 && qos < 2 {
		rate.atLeast(best)
		cost.atMost(least)
	}
	if lost := us.full.lost + us.paced.lost; lost > 0 {
		return fmt.Errorf("%s: %d messages were lost", what, lost)
	}
	return nil
}

// compare has them take turns.
func (h *harness) compare(all []*contender) error {
	const rounds = 4
	d := h.For / 10
	for _, c := range all {
		c.stream.run(new(tally), d/2, 0) // to warm up
	}
	for range rounds {
		for _, c := range all {
			c.turn(&c.full, d, 0)
		}
	}
	slowest := all[0].full.rate()
	for _, c := range all {
		slowest = min(slowest, c.full.rate())
	}
	for range rounds {
		for _, c := range all {
			c.turn(&c.paced, d, slowest/2/float64(c.stream.fanout))
		}
	}
	var errs []error
	for _, c := range all {
		errs = append(errs, c.stream.err, c.alive())
	}
	return errors.Join(errs...)
}

func (c *contender) turn(t *tally, d time.Duration, rate float64) {
	before := c.cpu()
	c.stream.run(t, d, rate)
	t.cpu += c.cpu() - before
}
