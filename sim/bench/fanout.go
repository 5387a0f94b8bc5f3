package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"dormouse/mqttsn"
)

// fanout measures one publish to 10,000 awake sensors with a wildcard, again
// and again: the next when all have the one before.
func (h *harness) fanout() error {
	for _, qos := range []mqttsn.QoS{0, 1} {
		if err := h.fanoutOf(qos); err != nil {
			return err
		}
	}
	return nil
}

func (h *harness) fanoutOf(qos mqttsn.QoS) error {
	b, err := h.startDormouse(None)
	if err != nil {
		return err
	}
	defer b.stop()
	f, err := newFleet(h.ctx, b.sn, h.size(10_000))
	if err != nil {
		return err
	}
	defer f.close()
	f.perform(listen(qos))
	l, err := newClients(h.ctx, b.name, b.mqtt)
	if err != nil {
		return err
	}
	defer l.close()
	n := &news{fleet: f, clients: l, pub: l.dial("publisher"), got: make([]uint32, f.size)}
	f.onMessage = n.heard
	n.tell() // to warm up: each is told the topic's id first
	n.delivered, n.lost = 0, 0
	before, start, told := b.cpu(), time.Now(), 0
	profiled := h.profile(b, fmt.Sprint("qos", qos), h.For)
	for time.Since(start) < h.For && f.err == nil && l.err == nil {
		n.tell()
		told++
	}
	elapsed, spent := time.Since(start), b.cpu()-before
	what := fmt.Sprintf("QoS %d to %s sensors awake", qos, number(float64(f.size)))
	h.add(None, what, float64(n.delivered)/elapsed.Seconds(), "deliveries/s").atLeast(100_000).
		count("sensors", f.size).count("messages", told).count("delivered", n.delivered).count("lost", n.lost).count("lost_by_load", int(f.net.Shed(0)))
	h.add(None, what+", CPU", micros(spent)/float64(max(1, n.delivered)), "µs/delivery")
	if n.lost > 0 && qos > 0 && f.err == nil {
		f.err = fmt.Errorf("%d of %d messages did not come", n.lost, n.lost+n.delivered)
	}
	return errors.Join(f.err, l.err, profiled(), b.alive())
}

// listen has a sensor connect and subscribe to what is for all.
func listen(qos mqttsn.QoS) task {
	return task{
		steps: 2, window: window,
		request: func(e int32, step int) mqttsn.Packet {
			if step == 1 {
				return &mqttsn.Connect{ProtocolID: 1, CleanSession: true, KeepAlive: keepAlive, ClientID: []byte(sensorID(e))}
			}
			return &mqttsn.Subscribe{QoS: qos, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("all/+")}}
		},
		answers: func(_ int32, step int, p mqttsn.Packet) (bool, error) {
			switch p := p.(type) {
			case *mqttsn.Connack:
				return step == 1 && p.Reason == mqttsn.Accepted, accepted(p, p.Reason)
			case *mqttsn.Suback:
				return step == 2 && p.Reason == mqttsn.Accepted, accepted(p, p.Reason)
			}
			return false, nil
		},
	}
}

// news are messages for all sensors of a fleet, one after another.
type news struct {
	fleet   *fleet
	clients *clients
	pub     *client
	number  uint32   // of the latest, which it says
	got     []uint32 // by sensor: the latest that it has

	missing         int // those who do not have the latest
	delivered, lost int
}

func (n *news) heard(e int32, p *mqttsn.Publish) {
	if number := binary.BigEndian.Uint32(p.Payload); number == n.number && n.got[e] != number {
		n.got[e] = number
		n.missing--
		n.delivered++
	}
}

// tell publishes the next and waits until all have it, or nobody is told any
// more for longer than it takes the broker to repeat itself.
func (n *news) tell() {
	const patience = 15 * time.Second
	n.number++
	n.missing = n.fleet.size
	n.clients.publish(n.pub, newMessage("all/news", 1, false, binary.BigEndian.AppendUint32(nil, n.number)), 1)
	last, since := n.missing, time.Now()
	for n.missing > 0 && n.fleet.err == nil && n.clients.err == nil && time.Since(since) < patience {
		n.fleet.hear(time.Millisecond, func(int32, mqttsn.Packet) {})
		n.clients.turn(0)
		if n.missing != last {
			last, since = n.missing, time.Now()
		}
	}
	n.lost += n.missing
}
