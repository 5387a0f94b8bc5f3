package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
)

// A sensor is a client of MQTT-SN, driven by whoever has the time: it connects,
// subscribes, and from then on publishes, sleeps and wakes.
type sensor struct {
	*plan
	i     int
	id    string
	dice  *rand.Rand
	send  func(datagram []byte)
	cfg   client.Config
	c     *client.Client
	out   client.Actions
	wire  *sensorWire
	at    clock.Time // when it does something again, if it is not busy
	steps []func(now clock.Time) error
	count int
	says  string // at QoS 1 or 2, when it was last the turn of that
	naps  int    // wakes before it connects again
	dead  bool
}

func newSensor(p *plan, i int, now clock.Time, send func([]byte)) *sensor {
	s := &sensor{plan: p, i: i, id: fmt.Sprint("sensor", i), dice: p.rand(100 + i), at: now, send: send}
	s.cfg = client.DefaultConfig()
	s.cfg.RetryInterval, s.cfg.MaxRetries, s.cfg.Wait = p.retry, 20, 0
	s.c = client.New(mqttsn.V12, &s.cfg)
	s.wire = newSensorWire(p.h, p.h.subscriber(s.id))
	s.steps = []func(clock.Time) error{
		func(now clock.Time) error { return s.connect(now) },
		func(now clock.Time) error { return s.subscribe(now, "s/"+s.id+"/#", 2) },
		func(now clock.Time) error { return s.subscribe(now, "all", mqttsn.QoS(1+i%2)) },
	}
	return s
}

// will is the payload of its will.
func (s *sensor) will() string { return "will of " + s.id }

func name(topic string) mqttsn.Topic {
	return mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(topic)}
}

func (s *sensor) subscribe(now clock.Time, filter string, qos mqttsn.QoS) error {
	return s.c.Subscribe(now, name(filter), qos, &s.out)
}

// ready reports whether it has done what it begins with.
func (s *sensor) ready() bool { return len(s.steps) == 0 && !s.c.Busy() }

// next is when it has something to do.
func (s *sensor) next() clock.Time {
	switch {
	case s.dead:
		return 0
	case s.c.Busy():
		return s.c.Deadline()
	}
	return clock.Sooner(s.at, s.c.Deadline())
}

// step does what is due.
func (s *sensor) step(now clock.Time) {
	if s.dead {
		return
	}
	if s.c.Deadline().Reached(now) {
		s.c.Tick(now, &s.out)
		s.perform()
	}
	if s.c.Busy() || !s.at.Reached(now) {
		return
	}
	s.at = now.Add(time.Duration(s.dice.Int64N(int64(s.pace))) + time.Millisecond)
	if err := s.act(now); err != nil {
		s.h.blame("%s: %v", s.id, err)
	}
	s.perform()
}

// connect asks for its session, which is kept.
func (s *sensor) connect(now clock.Time) error {
	c := client.Session{ClientID: s.id, KeepAlive: time.Minute, Will: &client.Will{Topic: "wills", Payload: []byte(s.will()), QoS: 1}}
	return s.c.Connect(now, c, &s.out)
}

// act does one thing of what sensors do. Every other sleeps, and half of its
// wakes are without a CONNECT.
func (s *sensor) act(now clock.Time) error {
	calm := s.calm.Load()
	switch state := s.c.State(); {
	case len(s.steps) > 0:
		step := s.steps[0]
		s.steps = s.steps[1:]
		return step(now)
	case state == client.Disconnected:
		return s.connect(now)
	case !s.running.Load():
		return nil
	case state == client.Asleep && (s.naps > 0 || calm):
		s.naps--
		s.doze()
		return s.c.Wake(now, &s.out)
	case state == client.Asleep:
		return s.connect(now)
	case s.i%2 == 0 && (calm || s.dice.IntN(4) == 0):
		s.naps = s.dice.IntN(4)
		s.doze()
		return s.c.Sleep(now, time.Minute, &s.out)
	case calm:
		return nil
	}
	s.count++
	topic := []string{"s/" + s.someone(s.dice), "all", "r/" + s.id, "apps/" + s.id}[s.dice.IntN(4)]
	m := client.Message{Topic: name(topic), Payload: fmt.Append(nil, s.id, "/", s.count), QoS: mqttsn.QoS(s.dice.IntN(3))}
	if m.Retain = topic[0] == 'r'; m.Retain {
		m.QoS = max(1, m.QoS)
	}
	if m.QoS > 0 {
		s.says = string(m.Payload)
		s.h.begun(s.wire.s, s.says)
	}
	return s.c.Publish(now, &m, &s.out)
}

// doze has mail gather, unless all that is wanted any more is the mail.
func (s *sensor) doze() {
	if !s.calm.Load() {
		s.at = s.at.Add(time.Duration(s.dice.IntN(5)) * s.pace)
	}
}

// gets takes a datagram. What the client drops, as one asleep does, it does not hear.
func (s *sensor) gets(now clock.Time, b []byte) {
	p, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		s.h.blame("%s gets %x: %v", s.id, b, err)
		return
	}
	if s.dead {
		return
	}
	b = bytes.Clone(b)
	s.c.Handle(now, p, &s.out)
	if s.out.Stray == 0 {
		s.wire.gets(b, s.out.Messages)
	}
	s.perform()
}

// perform sends what there is to send.
func (s *sensor) perform() {
	for b := range s.out.Datagrams {
		s.wire.sends(b)
		s.send(b)
	}
	if s.out.Ended.Request == client.ToPublish && s.out.Ended.Err != nil {
		s.h.refrained(s.says)
	}
	s.out.Reset()
}
