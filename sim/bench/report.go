package bench

import (
	"fmt"
	"sync/atomic"
	"time"

	"dormouse/mqttsn"
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

func newReceiver(b *broker, filter string, qos byte) (*receiver, error) {
	l, err := newClients(b.name, b.mqtt)
	if err != nil {
		return nil, err
	}
	l.keep = true
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
