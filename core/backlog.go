package core

import "sync/atomic"

// A backlog is what clients are still owed, copy by copy: a message that waits
// for two counts twice.
type backlog struct {
	waiting  int // messages
	bytes    int // of those
	inflight int // messages
}

// backlog is that of c, which is locked.
func (c *client) backlog() (l backlog) {
	if m := c.mail; m != nil {
		l = backlog{m.waits(), m.bytes, len(m.inflight)}
	}
	return l
}

// backlogs is that of all clients together.
type backlogs struct {
	waiting, bytes, inflight atomic.Int64
	sensors                  atomic.Int64 // of waiting
}

// changed takes note that the backlog of c, which is locked, was before.
func (s *backlogs) changed(c *client, before backlog) {
	now := c.backlog()
	add := func(to *atomic.Int64, n int) {
		if n != 0 {
			to.Add(int64(n))
		}
	}
	add(&s.waiting, now.waiting-before.waiting)
	add(&s.bytes, now.bytes-before.bytes)
	add(&s.inflight, now.inflight-before.inflight)
	if c.sensor {
		add(&s.sensors, now.waiting-before.waiting)
	}
}

// turned takes note that c, which is locked, is a sensor from now on, or is
// none.
func (s *backlogs) turned(c *client, sensor bool) {
	switch waiting := int64(c.backlog().waiting); {
	case sensor && !c.sensor:
		s.sensors.Add(waiting)
	case !sensor && c.sensor:
		s.sensors.Add(-waiting)
	}
	c.sensor = sensor
}
