package bench

import (
	"context"
	"sync/atomic"
	"time"
)

// lag is how many messages may be on their way to a subscriber: a little less
// than its queue holds. An acknowledgement does not wait for subscribers, so that
// the load holds back there.
const lag = 900

// A receiver is an MQTT subscriber that only counts, in a goroutine of its own.
// Its session is kept, so that what waits for it is as durable as may be.
type receiver struct {
	*clients
	count atomic.Int64
	over  atomic.Bool
	ended chan struct{}
}

func newReceiver(ctx context.Context, b *broker, filter string, qos byte) (*receiver, error) {
	return newReader(ctx, b, filter, qos, nil)
}

// newReader is newReceiver that has what comes be heard, unless that is nil.
func newReader(ctx context.Context, b *broker, filter string, qos byte, heard func(payload []byte)) (*receiver, error) {
	l, err := newClients(ctx, b.name, b.mqtt)
	if err != nil {
		return nil, err
	}
	l.keep, l.onMessage = true, heard
	r := &receiver{clients: l, ended: make(chan struct{})}
	if l.subscribe(l.dial("receiver"), filter, qos); l.err != nil {
		l.close()
		return nil, l.err
	}
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

// failed returns what has gone wrong so far.
func (r *receiver) failed() error {
	select {
	case <-r.ended:
		return r.err
	default:
		return nil
	}
}

func (r *receiver) close() {
	r.over.Store(true)
	<-r.ended
	r.clients.close()
}
