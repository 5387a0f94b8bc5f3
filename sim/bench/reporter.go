package bench

import (
	"context"
	"fmt"

	"dormouse/mqttsn"
)

// A reporter is a fleet of which n sensors are connected and have a topic id each.
type reporter struct {
	*fleet
	topics []uint16
	next   uint16 // Packet Identifier
}

func newReporter(ctx context.Context, b *broker, n, strangers int) (*reporter, error) {
	f, err := b.newFleet(ctx, n+strangers)
	if err != nil {
		return nil, err
	}
	r := &reporter{fleet: f, topics: make([]uint16, n)}
	f.perform(task{
		steps: 2, window: window, who: f.everybody()[:n],
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
