package mqtt

import "time"

// A pace holds one client to a PublishRate, by having its reader wait: the
// client then finds that its socket takes no more.
type pace struct{ messages, bytes debt }

// A debt is when all that was taken will have been earned.
type debt time.Time

// take takes n at so many per second, and returns how long to wait: what a
// second earns may be taken at once. Unlike a bucket it gives out any n, since
// one message may be of more octets than a second earns.
func (d *debt) take(now time.Time, n, perSecond int) time.Duration {
	if perSecond == 0 {
		return 0
	}
	until := time.Time(*d)
	if until.Before(now) {
		until = now
	}
	until = until.Add(time.Duration(float64(n) / float64(perSecond) * float64(time.Second)))
	*d = debt(until)
	return until.Sub(now) - time.Second
}

// slow waits until the client may publish a message of so many octets, or the
// connection is over. It does not read meanwhile, and so does not miss the
// client's PINGREQ either: the keep alive runs from when it reads again.
func (c *conn) slow(octets int) {
	rate, now := c.server.o.PublishRate, time.Now()
	wait := max(c.pace.messages.take(now, 1, rate.Messages), c.pace.bytes.take(now, octets, rate.Bytes))
	if wait <= 0 {
		return
	}
	c.server.throttled.Add(1)
	c.settle()
	earned := time.NewTimer(wait)
	defer earned.Stop()
	select {
	case <-earned.C:
	case <-c.written:
	}
}
