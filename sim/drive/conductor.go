package drive

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim"
)

// A conductor sees to all that concerns a run by the wall clock as a whole.
type conductor struct {
	*wall
	samples samples
	faults  []fault
	settled clock.Time // since when all fleets are; zero: they are not
}

const (
	look = 250 * time.Millisecond // how often the conductor looks at what is going on
	calm = time.Second            // how long fleets are settled before the run may end early
)

// run returns nil when the run is over, or why it ends early. Shards end
// running if they fail.
func (c *conductor) run(ctx, running context.Context) error {
	tick := time.NewTimer(0)
	defer tick.Stop()
	mending, hurry := context.WithCancel(ctx)
	var mended chan error // while the gateway is down
	defer func() {
		hurry()
		if mended != nil {
			<-mended
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-running.Done():
			return context.Cause(running)
		case r := <-c.o.Changes:
			r.Done <- c.apply(r.Change)
		case err := <-mended:
			mended = nil
			if err != nil {
				return fmt.Errorf("restart the gateway: %w", err)
			}
			c.mended()
		case <-tick.C:
		}
		now := clock.Now()
		at := now.Sub(c.start)
		if mended == nil && len(c.faults) > 0 && c.faults[0].at <= at {
			mended = c.kill(mending)
		}
		if at >= c.samples.due {
			c.samples.take(at, c.sample())
		}
		if err := c.silent(now); err != nil {
			return err
		}
		if at >= length(c.plan) || at >= c.plan.Duration() && mended == nil && c.calm(now) {
			return nil
		}
		tick.Reset(max(min(c.next(mended != nil)-at, look), 0))
	}
}

// next is when something is to be done at a time that is known.
func (c *conductor) next(down bool) time.Duration {
	t := min(c.samples.due, length(c.plan))
	if !down && len(c.faults) > 0 {
		t = min(t, c.faults[0].at)
	}
	return t
}

// silent reports that the gateway has not answered anything for too long. QoS
// -1 alone asks for no answer, and one that is down is not expected to give any.
func (c *conductor) silent(now clock.Time) error {
	switch {
	case c.down.Load(), c.silence(now) < c.o.Patience:
		return nil
	case c.word.Load():
		return fmt.Errorf("%w at %v for %v", ErrGatewayGone, c.target(), c.o.Patience)
	case c.target() == c.net.Secured():
		return fmt.Errorf("%w at %v within %v of the first ClientHello: is it running, and does it speak MQTT-SN over DTLS 1.2 there, not in the clear?",
			ErrNoGateway, c.target(), c.o.Patience)
	}
	return fmt.Errorf("%w at %v within %v of the first CONNECT: is it running, and does it speak MQTT-SN 1.2 there?",
		ErrNoGateway, c.target(), c.o.Patience)
}

// target is where the devices speak to: the secured one if all speak DTLS.
func (c *conductor) target() netip.AddrPort {
	for _, g := range c.plan.Groups {
		if g.DTLS == nil {
			return c.net.Target()
		}
	}
	return c.net.Secured()
}

// kill restarts the gateway, without waiting for it.
func (c *conductor) kill(ctx context.Context) chan error {
	f := c.faults[0]
	c.faults = c.faults[1:]
	c.down.Store(true)
	mended := make(chan error, 1)
	go func() { mended <- c.o.Restart(ctx, f.down) }()
	return mended
}

// mended lets the fleets talk to the gateway again.
func (c *conductor) mended() {
	for _, s := range c.shards {
		s.do(func() { s.fleet.Restarted(clock.Now()) })
	}
	c.asked.Store(0)
	c.down.Store(false)
}

func (c *conductor) apply(change *sim.Change) error {
	for _, s := range c.shards { // if one refuses it, the first does
		var err error
		if !s.do(func() { err = s.fleet.Apply(clock.Now(), change) }) {
			return errOver
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conductor) sample() *sim.Stats {
	stats := new(sim.Stats)
	for _, s := range c.shards {
		s.do(func() { s.fleet.Stats(stats) })
		stats.Shed += c.net.Shed(s.number)
		stats.Late = max(stats.Late, time.Duration(s.late.Load()))
	}
	stats.Silent = c.silence(clock.Now())
	return stats
}

// calm reports whether nothing can come any more.
func (c *conductor) calm(now clock.Time) bool {
	for _, s := range c.shards {
		settled := false
		s.do(func() { settled = s.fleet.Settled() && s.out.len() == 0 })
		if !settled {
			c.settled = 0
			return false
		}
	}
	if c.settled == 0 {
		c.settled = now
	}
	return now.Sub(c.settled) >= calm
}
