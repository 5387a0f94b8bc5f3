package gateway

import (
	"net/netip"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/transport"
)

// hotPaths are what a busy gateway does all the time, from the datagram that
// comes to the one that goes, without a network, and how many allocations each
// may take. All that are left are the broker's, of a message that it takes.
var hotPaths = []struct {
	name   string
	allocs float64
	path   func(testing.TB) (once func())
}{
	{"ping", 0, pings},
	{"publish", 4, publishes},
	{"wake for nothing", 0, wakesForNothing},
	{"wake for a message", 8, wakesForMessage},
}

func BenchmarkHotPaths(b *testing.B) {
	for _, h := range hotPaths {
		b.Run(h.name, func(b *testing.B) {
			once := h.path(b)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

// A sensorAlone is one sensor of a gateway, and what it was told last.
type sensorAlone struct {
	t testing.TB
	transport.Transport
	g     *Gateway
	batch []transport.Datagram
	told  []byte
	dec   mqttsn.Decoder
}

// newSensorAlone returns one that has sent those packets.
func newSensorAlone(t testing.TB, broker *core.Broker, packets ...mqttsn.Packet) *sensorAlone {
	s := &sensorAlone{t: t, batch: []transport.Datagram{{Peer: transport.Peer{Addr: netip.MustParseAddrPort("10.0.0.1:7")}}}}
	s.g = bareOn(t, s, broker)
	for _, p := range packets {
		s.say(p)
	}
	return s
}

// Send takes what goes to the sensor.
func (s *sensorAlone) Send(batch []transport.Datagram) error {
	s.told = append(s.told[:0], batch[len(batch)-1].Buf...)
	return nil
}

// say sends p and returns the last packet that comes then.
func (s *sensorAlone) say(p mqttsn.Packet) mqttsn.Packet {
	var err error
	if s.batch[0].Buf, err = mqttsn.Append(s.batch[0].Buf[:0], mqttsn.V12, p); err != nil {
		s.t.Fatal(err)
	}
	s.told = s.told[:0]
	s.g.Receive(s.batch)
	s.g.Step(beginning)
	answer, err := s.dec.Decode(mqttsn.V12, s.told)
	if err != nil {
		s.t.Fatalf("%v is answered with %x: %v", p, s.told, err)
	}
	return answer
}

// pings is a PINGREQ of an active client and its PINGRESP: what every datagram
// costs at least.
func pings(t testing.TB) func() {
	s := newSensorAlone(t, core.New(core.DefaultOptions()), &mqttsn.Connect{ProtocolID: 1, ClientID: []byte("sensor")})
	ping := &mqttsn.Pingreq{}
	return func() {
		if s.say(ping).Type() != mqttsn.TypePingresp {
			t.Fatal("no PINGRESP")
		}
	}
}

// publishes is a QoS 1 PUBLISH through decoder, session, bridge and broker, and
// its PUBACK.
func publishes(t testing.TB) func() {
	s := newSensorAlone(t, core.New(core.DefaultOptions()), &mqttsn.Connect{ProtocolID: 1, ClientID: []byte("sensor")})
	p := &mqttsn.Publish{QoS: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'a'<<8 | 'b'}, Payload: []byte("21.5")}
	return func() {
		p.ID = max(1, p.ID+1)
		if s.say(p).Type() != mqttsn.TypePuback {
			t.Fatal("no PUBACK")
		}
	}
}

// wakesForNothing is a sleeper's PINGREQ with nothing to be had, and PINGRESP.
func wakesForNothing(t testing.TB) func() {
	return newSleeper(t, core.New(core.DefaultOptions())).wakes
}

// wakesForMessage is a message that goes to a sleeper's queue, and the wake
// that fetches it: PINGREQ, PUBLISH, PUBACK, PINGRESP.
func wakesForMessage(t testing.TB) func() {
	broker := core.New(core.DefaultOptions())
	s := newSleeper(t, broker)
	m := core.Message{Topic: "cmd/sensor", Payload: []byte("open"), QoS: 1}
	done := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		broker.Publish(core.Identity{}, m, done)
		s.g.Step(beginning)
		p, ok := s.say(s.ping).(*mqttsn.Publish)
		if !ok {
			t.Fatal("no PUBLISH")
		}
		s.ack.TopicID, s.ack.ID = p.Topic.ID, p.ID
		if s.say(&s.ack).Type() != mqttsn.TypePingresp {
			t.Fatal("no PINGRESP")
		}
	}
}

// A sleeper is a sensor that subscribes to its commands and is asleep.
type sleeper struct {
	*sensorAlone
	ping *mqttsn.Pingreq
	ack  mqttsn.Puback
}

func newSleeper(t testing.TB, broker *core.Broker) *sleeper {
	return &sleeper{
		sensorAlone: newSensorAlone(t, broker,
			&mqttsn.Connect{ProtocolID: 1, ClientID: []byte("sensor")},
			&mqttsn.Subscribe{QoS: 1, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd/sensor")}},
			&mqttsn.Disconnect{Duration: time.Hour}),
		ping: &mqttsn.Pingreq{ClientID: []byte("sensor")},
	}
}

func (s *sleeper) wakes() {
	if s.say(s.ping).Type() != mqttsn.TypePingresp {
		s.t.Fatal("no PINGRESP")
	}
}
