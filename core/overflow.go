package core

import (
	"sync"
	"time"
)

// reportEvery is how often at most it is logged that a client's queue
// overflows, and how soon at the latest.
const reportEvery = time.Minute

// A prompt edge that does not keep up is taken to wait for a processor, for so
// long, and for so many times the messages of a queue. Two busy cores have a
// goroutine wait for 20 ms easily, in which 60,000 messages a second are 1,200.
const (
	graceFor   = 100 * time.Millisecond
	graceTimes = 4
)

// room is what may wait for c, which is locked. Who has had the grace gets it
// again once half of the queue is free.
func (b *Broker) room(c *client) QueueLimits {
	l, m := b.o.Queue, c.mail
	switch {
	case m.waits() <= l.half().Messages:
		m.behind = 0
	case m.waits() >= l.Messages && c.attached != nil && c.attached.entry.Value().prompt:
		now := b.o.Now().UnixNano()
		if m.behind == 0 {
			m.behind = now
		}
		if now-m.behind < int64(graceFor) {
			l.Messages *= graceTimes
		}
	}
	return l
}

// losses are what one client's queue had no room for. They outlive the client,
// so that the last of them are logged, too.
type losses struct {
	clientID string
	dropped  uint64 // ever; written under the client's mutex and that of overflows
	reported uint64 // of them
	watched  bool   // in overflows
}

// overflows is the clients whose queues have overflowed of late. All wait for
// the same time, so the first is the next that is due. mu is a leaf; it guards
// the losses, too.
type overflows struct {
	mu      sync.Mutex
	watched []watched
}

type watched struct {
	*losses
	due int64
}

// overflowed counts what had to go from the mailbox of c, which is locked.
// What it returns, if not zero, has gone from there so far and is to be logged.
func (b *Broker) overflowed(c *client, dropped []item) (report uint64) {
	if len(dropped) == 0 {
		return 0
	}
	for _, it := range dropped {
		b.dropped.overflow.Add(1)
		b.drop(c, it)
	}
	m, y := c.box(), &b.overflow
	y.mu.Lock()
	defer y.mu.Unlock()
	if m.lost == nil {
		m.lost = &losses{clientID: c.id}
	}
	l := m.lost
	l.dropped += uint64(len(dropped))
	if l.watched {
		return 0
	}
	y.watch(l, b.o.Now().UnixNano())
	return l.report()
}

// watch has Tick look at l a while after now.
func (y *overflows) watch(l *losses, now int64) {
	l.watched = true
	y.watched = append(y.watched, watched{l, now + int64(reportEvery)})
}

// report returns how many have gone, if some of them have not been reported.
func (l *losses) report() uint64 {
	if l.dropped == l.reported {
		return 0
	}
	l.reported = l.dropped
	return l.dropped
}

// tickOverflow logs what one client has lost since it was last logged, if it
// is time, and reports whether there may be another.
func (b *Broker) tickOverflow(now int64) bool {
	y := &b.overflow
	y.mu.Lock()
	if len(y.watched) == 0 || y.watched[0].due > now {
		y.mu.Unlock()
		return false
	}
	l := y.watched[0].losses
	y.watched[0] = watched{}
	y.watched = y.watched[1:]
	l.watched = false
	report := l.report()
	if report > 0 {
		y.watch(l, now)
	}
	y.mu.Unlock()
	b.logOverflow(l.clientID, report)
	return true
}

// logOverflow logs that a queue had no room for so many messages so far, if
// there are any.
func (b *Broker) logOverflow(clientID string, dropped uint64) {
	if dropped > 0 {
		b.o.Log.Warn().Str("event", "queue_overflow").Str("client", clientID).
			Uint64("dropped", dropped).Msg("messages dropped: the client's queue is full")
	}
}
