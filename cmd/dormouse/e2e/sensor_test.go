package e2e

import (
	"fmt"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// A sensor is an MQTT-SN 1.2 client that does what it is told, packet by
// packet or exchange by exchange, and takes nothing that it did not expect.
type sensor struct {
	t      testing.TB
	b      *broker
	sock   *socket
	node   string // behind a forwarder: its wireless node id
	id     string
	in     chan mqttsn.Packet
	msgID  uint16
	topics map[uint16]string // what topic ids stand for
	mail   []message         // arrived in the middle of another exchange
}

// A message is an application message as its receiver saw it.
type message struct {
	topic, payload string
	qos            int
	retained       bool
}

func (m message) String() string {
	retained := ""
	if m.retained {
		retained = ", retained"
	}
	return fmt.Sprintf("%s=%.40q at QoS %d%s", m.topic, m.payload, m.qos, retained)
}

// sensor makes a sensor with an address of its own.
func (b *broker) sensor(id string) *sensor { return b.socket().sensor(b, id, "") }

// sensor makes a sensor that speaks from s: directly, or through the
// forwarder s as the node of that id.
func (s *socket) sensor(b *broker, id, node string) *sensor {
	return &sensor{t: b.t, b: b, sock: s, id: id, node: node, in: s.inboxOf(node), topics: make(map[uint16]string)}
}

// send sends a packet.
func (s *sensor) send(p mqttsn.Packet) {
	s.t.Helper()
	inner, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sendOctets(inner)
}

// sendOctets sends a well-formed message that mqttsn.Append would spell otherwise.
func (s *sensor) sendOctets(inner []byte) {
	s.t.Helper()
	var datagram []byte
	if s.node != "" {
		var err error
		if datagram, err = mqttsn.Wrap(nil, mqttsn.V12, mqttsn.Envelope{Node: []byte(s.node)}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.sock.send(append(datagram, inner...))
}

// hear returns the next packet, whatever it is.
func (s *sensor) hear(want string) mqttsn.Packet {
	s.t.Helper()
	select {
	case p := <-s.in:
		return p
	case <-time.After(patience):
		s.t.Fatalf("%s hears nothing, want %s", s.id, want)
		panic("unreachable")
	}
}

// expect returns the next packet, which must be a P.
func expect[P mqttsn.Packet](s *sensor) P {
	s.t.Helper()
	var want P
	p := s.hear(fmt.Sprint(want.Type()))
	if got, ok := p.(P); ok {
		return got
	}
	s.t.Fatalf("%s hears %v, want %v", s.id, p, want.Type())
	panic("unreachable")
}

// hearsNothing proves that the broker has sent nothing to s that s does not
// expect. What s has sent has been taken in once a question is answered; all
// that was to follow from it, and from what others did, has happened once a
// message published then has come round; and what was sent to s because of it
// arrives before the answers to two more questions: the first is answered in
// the turn of s's shard that also takes in its mail, the second after that turn.
func (s *sensor) hearsNothing() {
	s.t.Helper()
	s.search()
	s.b.settle(s.t)
	s.search()
	s.search()
}

// search asks for a gateway, which any address may at any time.
func (s *sensor) search() {
	s.t.Helper()
	s.send(&mqttsn.Searchgw{})
	expect[*mqttsn.Gwinfo](s)
}

// nextMsgID returns a fresh MsgId.
func (s *sensor) nextMsgID() uint16 {
	s.msgID++
	return s.msgID
}

// connect makes a virtual connection with a keep alive of a minute.
func (s *sensor) connect(clean bool) {
	s.t.Helper()
	s.connectFor(clean, time.Minute)
}

func (s *sensor) connectFor(clean bool, keepAlive time.Duration) {
	s.t.Helper()
	s.send(&mqttsn.Connect{CleanSession: clean, ProtocolID: 1, KeepAlive: keepAlive, ClientID: []byte(s.id)})
	s.wantConnack(mqttsn.Accepted)
}

// connectWithWill goes through the will dialogue.
func (s *sensor) connectWithWill(clean bool, keepAlive time.Duration, will message) {
	s.t.Helper()
	s.send(&mqttsn.Connect{Will: true, CleanSession: clean, ProtocolID: 1, KeepAlive: keepAlive, ClientID: []byte(s.id)})
	expect[*mqttsn.Willtopicreq](s)
	s.send(&mqttsn.Willtopic{QoS: mqttsn.QoS(will.qos), Retain: will.retained, Topic: []byte(will.topic)})
	expect[*mqttsn.Willmsgreq](s)
	s.send(&mqttsn.Willmsg{Payload: []byte(will.payload)})
	s.wantConnack(mqttsn.Accepted)
}

func (s *sensor) wantConnack(want mqttsn.Reason) {
	s.t.Helper()
	if c := expect[*mqttsn.Connack](s); c.Reason != want {
		s.t.Fatalf("%s: CONNACK %v, want %v", s.id, c.Reason, want)
	}
}

// disconnect ends the virtual connection.
func (s *sensor) disconnect() {
	s.t.Helper()
	s.send(&mqttsn.Disconnect{})
	expect[*mqttsn.Disconnect](s)
}

// register asks for a topic id.
func (s *sensor) register(name string) mqttsn.Topic {
	s.t.Helper()
	id := s.nextMsgID()
	s.send(&mqttsn.Register{ID: id, Name: []byte(name)})
	a := expect[*mqttsn.Regack](s)
	if a.Reason != mqttsn.Accepted || a.ID != id || a.TopicID == 0 || a.TopicID == 0xffff {
		s.t.Fatalf("%s: REGISTER %q: %+v", s.id, name, a)
	}
	s.topics[a.TopicID] = name
	return mqttsn.Topic{Kind: mqttsn.TopicNormal, ID: a.TopicID}
}

// subscribe subscribes to a name or filter.
func (s *sensor) subscribe(filter string, qos int) {
	s.t.Helper()
	id := s.subscribeTo(mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(filter)}, qos)
	if id != 0 {
		s.topics[id] = filter
	}
}

// subscribeTo subscribes by any kind of topic and returns the SUBACK's TopicId.
func (s *sensor) subscribeTo(topic mqttsn.Topic, qos int) uint16 {
	s.t.Helper()
	id := s.nextMsgID()
	s.send(&mqttsn.Subscribe{QoS: mqttsn.QoS(qos), ID: id, Topic: topic})
	a := expect[*mqttsn.Suback](s)
	if a.Reason != mqttsn.Accepted || a.ID != id || int(a.QoS) != qos {
		s.t.Fatalf("%s: SUBSCRIBE %+v at QoS %d: %+v", s.id, topic, qos, a)
	}
	return a.TopicID
}

// publish publishes at QoS 0, 1 or 2 and sees the exchange through.
func (s *sensor) publish(topic mqttsn.Topic, payload string, qos int, retain bool) {
	s.t.Helper()
	p := &mqttsn.Publish{QoS: mqttsn.QoS(qos), Retain: retain, Topic: topic, Payload: []byte(payload)}
	if qos > 0 {
		p.ID = s.nextMsgID()
	}
	s.send(p)
	switch qos {
	case 1:
		if a := expect[*mqttsn.Puback](s); a.ID != p.ID || a.Reason != mqttsn.Accepted || a.TopicID != topic.ID {
			s.t.Fatalf("%s: PUBLISH %d answered by %+v", s.id, p.ID, a)
		}
	case 2:
		if a := expect[*mqttsn.Pubrec](s); a.ID != p.ID {
			s.t.Fatalf("%s: PUBLISH %d answered by %+v", s.id, p.ID, a)
		}
		s.send(&mqttsn.Pubrel{ID: p.ID})
		if a := expect[*mqttsn.Pubcomp](s); a.ID != p.ID {
			s.t.Fatalf("%s: PUBREL %d answered by %+v", s.id, p.ID, a)
		}
	}
}

// receive returns the next message, having acknowledged it as its QoS asks.
func (s *sensor) receive() message {
	s.t.Helper()
	for len(s.mail) == 0 {
		if p := s.hear("a message"); !s.accept(p) {
			s.t.Fatalf("%s hears %v, want a message", s.id, p)
		}
	}
	m := s.mail[0]
	s.mail = s.mail[1:]
	return m
}

// accept does a subscriber's part for one packet, and reports whether it was
// one that a subscriber has to do with.
func (s *sensor) accept(p mqttsn.Packet) bool {
	s.t.Helper()
	switch p := p.(type) {
	case *mqttsn.Register:
		s.topics[p.TopicID] = string(p.Name)
		s.send(&mqttsn.Regack{TopicID: p.TopicID, ID: p.ID})
	case *mqttsn.Publish:
		s.mail = append(s.mail, message{s.nameOf(p.Topic), string(p.Payload), int(p.QoS), p.Retain})
		switch p.QoS {
		case 1:
			s.send(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
		case 2:
			s.send(&mqttsn.Pubrec{ID: p.ID})
			for released := false; !released; {
				next := s.hear("PUBREL")
				if r, ok := next.(*mqttsn.Pubrel); ok && r.ID == p.ID {
					s.send(&mqttsn.Pubcomp{ID: r.ID})
					released = true
				} else if !s.accept(next) {
					s.t.Fatalf("%s hears %v, want PUBREL", s.id, next)
				}
			}
		}
	default:
		return false
	}
	return true
}

// nameOf spells out the topic of a PUBLISH from the broker.
func (s *sensor) nameOf(topic mqttsn.Topic) string {
	s.t.Helper()
	switch topic.Kind {
	case mqttsn.TopicShort:
		return string([]byte{byte(topic.ID >> 8), byte(topic.ID)})
	case mqttsn.TopicPredefined:
		return fmt.Sprintf("predefined %d", topic.ID)
	}
	name, ok := s.topics[topic.ID]
	if !ok {
		s.t.Errorf("%s got a PUBLISH on topic id %d, which it was never told", s.id, topic.ID)
	}
	return name
}

// sleep goes to sleep.
func (s *sensor) sleep(d time.Duration) {
	s.t.Helper()
	s.send(&mqttsn.Disconnect{Duration: d})
	if a := expect[*mqttsn.Disconnect](s); a.Duration != 0 {
		s.t.Fatalf("%s: the answer to DISCONNECT says %v, want no Duration", s.id, a.Duration)
	}
}

// wake looks for mail in the middle of a sleep and returns all of it.
func (s *sensor) wake() []message {
	s.t.Helper()
	s.send(&mqttsn.Pingreq{ClientID: []byte(s.id)})
	return s.flush()
}

// flush takes in what an awake sensor gets, up to PINGRESP.
func (s *sensor) flush() []message {
	s.t.Helper()
	for {
		p := s.hear("PINGRESP")
		if p.Type() == mqttsn.TypePingresp {
			mail := s.mail
			s.mail = nil
			return mail
		}
		if !s.accept(p) {
			s.t.Fatalf("%s hears %v, want mail or PINGRESP", s.id, p)
		}
	}
}

// short returns the topic of a name of two octets.
func short(name string) mqttsn.Topic {
	return mqttsn.Topic{Kind: mqttsn.TopicShort, ID: uint16(name[0])<<8 | uint16(name[1])}
}

// predefined returns the topic of a pre-defined id.
func predefined(id uint16) mqttsn.Topic {
	return mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: id}
}
