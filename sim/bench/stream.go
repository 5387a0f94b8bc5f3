package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A stream is clients that publish on some topics what others receive.
type stream struct {
	*clients
	publishers []*client
	messages   []message // of each publisher
	fanout     int       // subscribers of each message
	qos        byte

	burst  int // messages of one publisher that may be on their way, at QoS 0 in one write
	window int // messages of all that may be on their way to the subscribers
	sent   int // ever
	next   int // publisher
}

// newStream connects publishers and subscribers to one broker.
func newStream(ctx context.Context, b *broker, publishers, subscribers int, qos byte, size int) (*stream, error) {
	l, err := newClients(ctx, b.name, b.mqtt)
	if err != nil {
		return nil, err
	}
	s := &stream{clients: l, fanout: subscribers, qos: qos, burst: 64}
	for i := range subscribers {
		s.subscribe(s.dial(fmt.Sprintf("sub-%d", i)), "bench/+", qos)
	}
	for i := range publishers {
		s.publishers = append(s.publishers, s.dial(fmt.Sprintf("pub-%d", i)))
		s.messages = append(s.messages, newMessage(fmt.Sprintf("bench/%04d", i), qos, false, make([]byte, size)))
	}
	// Nobody's queue may overflow: ours holds 1,000.
	s.window = 500
	if publishers > 1 {
		s.burst = 1
	}
	if subscribers > 1 {
		s.window = 64
	}
	return s, s.err
}

// A tally sums up what runs of a stream have brought.
type tally struct {
	delivered int
	lost      int
	elapsed   time.Duration
	cpu       time.Duration // of the broker
}

func (t *tally) rate() float64 { return float64(t.delivered) / t.elapsed.Seconds() }

// cost is the broker's CPU time for a message in microseconds.
func (t *tally) cost() float64 { return micros(t.cpu) / float64(max(1, t.delivered)) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// run publishes for d, rate messages a second in all or, with zero, as fast as
// the broker delivers them; then it waits until all has come. It adds to t.
func (s *stream) run(t *tally, d time.Duration, rate float64) {
	sent := s.sent
	start := time.Now()
	last, since := s.received, start
	for s.err == nil {
		now := time.Now()
		if s.received != last {
			last, since = s.received, now
		}
		over := now.Sub(start) >= d
		missing := s.sent*s.fanout - s.received
		if over && (missing == 0 && s.landed() || now.Sub(since) > 3*time.Second) {
			s.received += missing // not to be waited for again
			t.delivered += (s.sent-sent)*s.fanout - missing
			t.lost += missing
			t.elapsed += since.Sub(start)
			return
		}
		if !over {
			n := s.window - missing/s.fanout
			if rate > 0 {
				n = min(n, int(rate*now.Sub(start).Seconds())-(s.sent-sent))
			}
			s.publishSome(n)
		}
		s.turn(1)
	}
}

// landed reports whether all that was published has been acknowledged.
func (s *stream) landed() bool {
	return s.qos == 0 || !slices.ContainsFunc(s.publishers, func(c *client) bool { return c.flying > 0 })
}

// publishSome publishes n messages, or as many as the windows leave room for.
func (s *stream) publishSome(n int) {
	for range s.publishers {
		if n <= 0 {
			return
		}
		c, m := s.publishers[s.next], &s.messages[s.next]
		s.next = (s.next + 1) % len(s.publishers)
		if len(c.out) > 0 {
			continue
		}
		var octets []byte
		for range min(n, s.burst-c.flying) {
			octets = m.appendTo(octets, c)
			s.sent++
			n--
		}
		if len(octets) > 0 {
			s.send(c, octets)
		}
	}
}

// ignoreSubscribers has the subscribers read nothing from now on.
func (s *stream) ignoreSubscribers() error {
	var errs []error
	for fd, c := range s.byFD {
		if !slices.Contains(s.publishers, c) {
			errs = append(errs, unix.EpollCtl(s.epoll, unix.EPOLL_CTL_DEL, int(fd), nil))
		}
	}
	return errors.Join(errs...)
}
