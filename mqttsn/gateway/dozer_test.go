package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

// A dozer is a client for the soak, written after the specification and
// nothing else: it does one thing after another, and each until it is done. It
// connects, subscribes, publishes, sleeps and wakes, publishes and so on; it
// repeats what is not answered, and connects when it is told to.
type dozer struct {
	w    *world
	rng  *rand.Rand
	peer transport.Peer
	id   string

	todo       []task
	now        *request   // under way
	deadline   clock.Time // to repeat it, or to wake
	asleep     bool       // its radio is off: it hears nothing
	lost       bool       // it was told that it is not connected
	subscribed bool
	lastID     uint16
	bare       bool // its PINGREQ does not name it
	dismissed  int  // how often it was told that it is not connected

	names map[uint16]string // of topic ids
	open  map[uint16]bool   // QoS 2 messages for which PUBREL has not come
	wants []string          // messages that are for it
	heard []string
	said  []string
}

// A task begins a request.
type task func() *request

// A request is a packet and what answers it.
type request struct {
	packet mqttsn.Packet
	tries  int
	// answered says what p means to it: that it is done, and what is next, if
	// the exchange goes on.
	answered func(p mqttsn.Packet) (done bool, next *request)
}

const dozerRetry = 5 * time.Second

func newDozer(w *world, rng *rand.Rand, address, id string) *dozer {
	z := &dozer{
		w: w, rng: rng, peer: w.at(address).source.peer, id: id,
		names: make(map[uint16]string), open: make(map[uint16]bool),
	}
	z.todo = []task{z.connect, z.subscribe}
	for range 3 {
		for range rng.IntN(4) {
			z.todo = append(z.todo, z.publish)
		}
		z.todo = append(z.todo, z.sleep)
		for range 1 + rng.IntN(3) {
			z.todo = append(z.todo, z.wake)
		}
		z.todo = append(z.todo, z.connect)
	}
	return z
}

// done reports whether everything has been said and heard.
func (z *dozer) done() bool { return len(z.todo) == 0 && z.now == nil && z.complete() }

func (z *dozer) complete() bool {
	for _, m := range z.wants {
		if qosOf(m) > 0 && !slices.Contains(z.heard, m) {
			return false
		}
	}
	return len(z.open) == 0
}

// step does what there is to do by now.
func (z *dozer) step() {
	now := z.w.now
	if z.lost && z.now == nil {
		z.lost = false
		z.begin(z.connect())
		return
	}
	if z.deadline != 0 && !z.deadline.Reached(now) {
		return
	}
	switch {
	case z.now != nil:
		z.now.tries++
		if z.now.tries == 100 {
			z.w.t.Errorf("%s: %v is not answered", z.id, z.now.packet)
		}
		switch p := z.now.packet.(type) {
		case *mqttsn.Publish:
			p.DUP = p.QoS > 0
		case *mqttsn.Subscribe:
			p.DUP = true
		}
		z.send(z.now.packet)
		z.deadline = now.Add(dozerRetry)
	case len(z.todo) > 0:
		begin := z.todo[0]
		z.todo = z.todo[1:]
		z.begin(begin())
	case !z.complete():
		z.todo = append(z.todo, z.connect, z.sleep, z.wake)
	default:
		z.deadline = 0
	}
}

func (z *dozer) begin(r *request) {
	z.asleep = false
	z.now = r
	z.send(r.packet)
	z.deadline = z.w.now.Add(dozerRetry)
}

func (z *dozer) send(p mqttsn.Packet) { z.w.net.Inject(z.peer, octets(p)) }

// pause has it do nothing for a while.
func (z *dozer) pause(most time.Duration) {
	z.deadline = z.w.now.Add(time.Duration(z.rng.Int64N(int64(most))))
}

func (z *dozer) nextID() uint16 { z.lastID++; return z.lastID }

func (z *dozer) connect() *request {
	if z.rng.IntN(2) == 0 {
		clear(z.names) // it has rebooted, and remembers no more than it must
	}
	return &request{
		packet: &mqttsn.Connect{ProtocolID: 1, KeepAlive: 5 * time.Minute, ClientID: []byte(z.id)},
		answered: func(p mqttsn.Packet) (bool, *request) {
			a, ok := p.(*mqttsn.Connack)
			return ok && a.Reason == mqttsn.Accepted, nil
		},
	}
}

func (z *dozer) subscribe() *request {
	id := z.nextID()
	return &request{
		packet: &mqttsn.Subscribe{QoS: 2, ID: id, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("to/" + z.id + "/#")}},
		answered: func(p mqttsn.Packet) (bool, *request) {
			a, ok := p.(*mqttsn.Suback)
			if ok && a.ID == id && a.Reason != mqttsn.Accepted {
				z.w.t.Errorf("%s: SUBSCRIBE is refused: %v", z.id, a)
			}
			z.subscribed = ok && a.ID == id
			return z.subscribed, nil
		},
	}
}

// publish registers a topic and publishes to it.
func (z *dozer) publish() *request {
	id, topic := z.nextID(), "up/"+z.id
	m := fmt.Sprintf("%s q%d n%d", topic, z.rng.IntN(3), len(z.said))
	return &request{
		packet: &mqttsn.Register{ID: id, Name: []byte(topic)},
		answered: func(p mqttsn.Packet) (bool, *request) {
			a, ok := p.(*mqttsn.Regack)
			if !ok || a.ID != id || a.Reason != mqttsn.Accepted {
				return false, nil
			}
			z.said = append(z.said, m)
			if qosOf(m) == 0 {
				z.send(&mqttsn.Publish{Topic: mqttsn.Topic{ID: a.TopicID}, Payload: []byte(m)})
				return true, nil
			}
			return true, z.publishAcknowledged(a.TopicID, m)
		},
	}
}

func (z *dozer) publishAcknowledged(topic uint16, m string) *request {
	id := z.nextID()
	return &request{
		packet: &mqttsn.Publish{QoS: qosOf(m), ID: id, Topic: mqttsn.Topic{ID: topic}, Payload: []byte(m)},
		answered: func(p mqttsn.Packet) (bool, *request) {
			switch p := p.(type) {
			case *mqttsn.Puback:
				if p.ID == id && p.Reason != mqttsn.Accepted {
					z.w.t.Errorf("%s: PUBLISH %q is refused: %v", z.id, m, p)
				}
				return p.ID == id && qosOf(m) == 1, nil
			case *mqttsn.Pubrec:
				if p.ID == id {
					return true, z.release(id)
				}
			}
			return false, nil
		},
	}
}

func (z *dozer) release(id uint16) *request {
	return &request{
		packet: &mqttsn.Pubrel{ID: id},
		answered: func(p mqttsn.Packet) (bool, *request) {
			a, ok := p.(*mqttsn.Pubcomp)
			return ok && a.ID == id, nil
		},
	}
}

func (z *dozer) sleep() *request {
	return &request{
		packet: &mqttsn.Disconnect{Duration: 10 * time.Minute},
		answered: func(p mqttsn.Packet) (bool, *request) {
			_, ok := p.(*mqttsn.Disconnect)
			z.asleep = ok
			return ok, nil
		},
	}
}

func (z *dozer) wake() *request {
	return &request{
		packet: z.pingreq(),
		answered: func(p mqttsn.Packet) (bool, *request) {
			_, ok := p.(*mqttsn.Pingresp)
			z.asleep = ok
			return ok, nil
		},
	}
}

// pingreq is what it says when it wakes.
func (z *dozer) pingreq() *mqttsn.Pingreq {
	if z.bare {
		return &mqttsn.Pingreq{}
	}
	return &mqttsn.Pingreq{ClientID: []byte(z.id)}
}

// hears takes in a datagram, if its radio is on.
func (z *dozer) hears(b []byte) {
	if z.asleep {
		return
	}
	p, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		z.w.t.Errorf("%s: %v", z.id, err)
		return
	}
	switch p := p.(type) {
	case *mqttsn.Register:
		z.names[p.TopicID] = string(p.Name)
		z.send(&mqttsn.Regack{TopicID: p.TopicID, ID: p.ID})
		return
	case *mqttsn.Publish:
		z.takes(p)
		return
	case *mqttsn.Pubrel:
		delete(z.open, p.ID)
		z.send(&mqttsn.Pubcomp{ID: p.ID})
		return
	}
	if z.now == nil {
		_, told := p.(*mqttsn.Disconnect)
		z.lost = z.lost || told
		if told {
			z.dismissed++
		}
		return
	}
	if done, next := z.now.answered(p); done {
		z.now = next
		if next != nil {
			z.send(next.packet)
			z.deadline = z.w.now.Add(dozerRetry)
			return
		}
		z.pause(time.Minute)
		return
	}
	if _, told := p.(*mqttsn.Disconnect); told { // connect, and then go on with what it was at
		z.dismissed++
		if _, wake := z.now.packet.(*mqttsn.Pingreq); wake {
			z.todo = append([]task{z.sleep, z.wake}, z.todo...)
		} else {
			again := z.now
			z.todo = append([]task{func() *request { return again }}, z.todo...)
		}
		z.begin(z.connect())
	}
}

// takes takes in a message.
func (z *dozer) takes(p *mqttsn.Publish) {
	name, known := z.names[p.Topic.ID]
	if !known {
		z.send(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID, Reason: mqttsn.InvalidTopicID})
		return
	}
	m := string(p.Payload)
	if topic, _, _ := strings.Cut(m, " "); topic != name {
		z.w.t.Errorf("%s: %q came on topic %s", z.id, m, name)
	}
	switch p.QoS {
	case 1:
		z.send(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
	case 2:
		z.send(&mqttsn.Pubrec{ID: p.ID})
		if z.open[p.ID] {
			return
		}
		z.open[p.ID] = true
	}
	z.heard = append(z.heard, m)
}
