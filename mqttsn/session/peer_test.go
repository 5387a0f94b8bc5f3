package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A peer is a client that drives one Session, together with the gateway's part
// in that, and keeps score. Its time moves only when told. Whatever the test is
// about, it fails when something is sent to a closed radio.
type peer struct {
	t      *testing.T
	cfg    Config
	s      *Session
	b      *broker
	now    clock.Time
	out    Actions
	got    []string
	events [NumEvents]int
	closed bool // the client's radio, since our last word
}

func newPeer(t *testing.T, options ...func(*Config)) *peer {
	p := &peer{t: t, cfg: DefaultConfig(), b: newBroker(), now: clock.Time(time.Hour)}
	p.cfg.RetryJitter = 0 // so that it is plain when
	p.cfg.Predefined = map[uint16]string{2: "alarm", 5: "sensors/{clientid}/t", 6: "$SYS/x"}
	for _, o := range options {
		o(&p.cfg)
	}
	if err := p.cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	p.s = New(mqttsn.V12, &p.cfg)
	return p
}

// sends hands packets to the session, through the codec so that a packet that
// cannot exist fails the test.
func (p *peer) sends(packets ...mqttsn.Packet) *peer {
	p.t.Helper()
	for _, k := range packets {
		b, err := mqttsn.Append(nil, mqttsn.V12, k)
		if err != nil {
			p.t.Fatal(err)
		}
		p.sendsOctets(b)
	}
	return p
}

func (p *peer) sendsOctets(b []byte) *peer {
	p.t.Helper()
	k, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		p.t.Fatal(err)
	}
	p.closed = false
	p.s.Handle(p.now, k, &p.out)
	p.perform()
	clear(b) // nothing of it may be kept
	p.settle()
	return p
}

// settle does the gateway's part: perform, answer, pull.
func (p *peer) settle() {
	p.t.Helper()
	for {
		p.perform()
		if a, ok := p.b.answer(); ok {
			p.s.Complete(p.now, a, &p.out)
			continue
		}
		if p.s.Ready() {
			if d, ok := p.b.next(); ok {
				p.s.Deliver(p.now, d, &p.out)
				continue
			}
			p.s.Drained(p.now, &p.out)
			p.perform()
		}
		return
	}
}

func (p *peer) perform() {
	p.t.Helper()
	for i := range p.out.Ask {
		p.b.do(&p.out.Ask[i], p.s.ClientID())
	}
	for b := range p.out.Datagrams {
		k, err := mqttsn.Decode(mqttsn.V12, b)
		if err != nil {
			p.t.Fatalf("sent %x: %v", b, err)
		}
		if p.closed {
			p.t.Errorf("sent to a closed radio: %v", brief(k))
		}
		p.got = append(p.got, brief(k))
		p.closed = p.s.State() == Asleep && (k.Type() == mqttsn.TypePingresp || k.Type() == mqttsn.TypeDisconnect)
	}
	for _, e := range p.out.Events {
		p.events[e]++
	}
	if p.out.Gone != 0 {
		p.got = append(p.got, "gone: "+p.out.Gone.String())
	}
	p.out.Reset()
}

// has puts a message into the client's queue.
func (p *peer) has(topic string, q mqttsn.QoS, payload string) *peer {
	p.t.Helper()
	p.b.enqueue(topic, q, payload, false)
	p.settle()
	return p
}

// waits moves time to the session's deadline, which must be d away.
func (p *peer) waits(d time.Duration) *peer {
	p.t.Helper()
	at := p.s.Deadline()
	if got := at.Sub(p.now); at == 0 || got != d {
		p.t.Fatalf("deadline in %v, want %v", got, d)
	}
	return p.passes(d)
}

// passes lets time pass, calling Tick when it is wanted.
func (p *peer) passes(d time.Duration) *peer {
	p.t.Helper()
	end := p.now.Add(d)
	for {
		at := p.s.Deadline()
		if at == 0 || at > end {
			break
		}
		p.now = max(p.now, at)
		p.s.Tick(p.now, &p.out)
		p.settle()
	}
	p.now = end
	return p
}

// gets checks everything that has been sent since the last gets, and the state.
func (p *peer) gets(want string, state State) *peer {
	p.t.Helper()
	got := strings.Join(p.got, " | ")
	p.got = p.got[:0]
	if got != want || p.s.State() != state {
		p.t.Errorf("got [%s] and is %v, want [%s] and %v", got, p.s.State(), want, state)
	}
	return p
}

// asked checks what the broker has been asked since the last asked.
func (p *peer) asked(want string) *peer {
	p.t.Helper()
	if got := strings.Join(p.b.log, " | "); got != want {
		p.t.Errorf("asked [%s], want [%s]", got, want)
	}
	p.b.log = nil
	return p
}

// counted checks how often an event has been counted.
func (p *peer) counted(e Event, want int) *peer {
	p.t.Helper()
	if p.events[e] != want {
		p.t.Errorf("%v counted %d times, want %d", e, p.events[e], want)
	}
	return p
}

// brief writes a packet as the tests do.
func brief(k mqttsn.Packet) string {
	var s string
	flag := func(on bool, text string) {
		if on {
			s += " " + text
		}
	}
	switch k := k.(type) {
	case *mqttsn.Connack:
		s = fmt.Sprintf(" %d", k.Reason)
	case *mqttsn.Register:
		s = fmt.Sprintf(" %s=%d #%d", k.Name, k.TopicID, k.ID)
	case *mqttsn.Regack:
		s = fmt.Sprintf(" %d #%d rc%d", k.TopicID, k.ID, k.Reason)
	case *mqttsn.Publish:
		s = fmt.Sprintf(" %v q%d #%d", k.Topic, k.QoS, k.ID)
		flag(k.DUP, "dup")
		flag(k.Retain, "retained")
		flag(true, string(k.Payload))
	case *mqttsn.Puback:
		s = fmt.Sprintf(" %d #%d rc%d", k.TopicID, k.ID, k.Reason)
	case *mqttsn.Pubrec:
		s = fmt.Sprintf(" #%d", k.ID)
	case *mqttsn.Pubrel:
		s = fmt.Sprintf(" #%d", k.ID)
	case *mqttsn.Pubcomp:
		s = fmt.Sprintf(" #%d", k.ID)
	case *mqttsn.Suback:
		s = fmt.Sprintf(" %d #%d q%d rc%d", k.TopicID, k.ID, k.QoS, k.Reason)
	case *mqttsn.Unsuback:
		s = fmt.Sprintf(" #%d", k.ID)
	case *mqttsn.Willtopicresp:
		s = fmt.Sprintf(" rc%d", k.Reason)
	case *mqttsn.Willmsgresp:
		s = fmt.Sprintf(" rc%d", k.Reason)
	}
	return k.Type().String() + s
}

// What clients say most often, in short.

func connect(keepAlive time.Duration) *mqttsn.Connect {
	return &mqttsn.Connect{ProtocolID: 1, KeepAlive: keepAlive, ClientID: []byte("dev1")}
}

func connectClean(keepAlive time.Duration) *mqttsn.Connect {
	c := connect(keepAlive)
	c.CleanSession = true
	return c
}

func connectWill(clean bool) *mqttsn.Connect {
	c := connect(time.Minute)
	c.Will, c.CleanSession = true, clean
	return c
}

func normal(id uint16) mqttsn.Topic     { return mqttsn.Topic{ID: id} }
func predefined(id uint16) mqttsn.Topic { return mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: id} }
func named(name string) mqttsn.Topic {
	return mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(name)}
}
func short(name string) mqttsn.Topic {
	return mqttsn.Topic{Kind: mqttsn.TopicShort, ID: uint16(name[0])<<8 | uint16(name[1])}
}

func publish(topic mqttsn.Topic, q mqttsn.QoS, id uint16, payload string) *mqttsn.Publish {
	return &mqttsn.Publish{Topic: topic, QoS: q, ID: id, Payload: []byte(payload)}
}

func subscribe(topic mqttsn.Topic, q mqttsn.QoS, id uint16) *mqttsn.Subscribe {
	return &mqttsn.Subscribe{Topic: topic, QoS: q, ID: id}
}

func register(name string, id uint16) *mqttsn.Register {
	return &mqttsn.Register{Name: []byte(name), ID: id}
}

func regack(topicID, id uint16, r mqttsn.Reason) *mqttsn.Regack {
	return &mqttsn.Regack{TopicID: topicID, ID: id, Reason: r}
}

func puback(topicID, id uint16, r mqttsn.Reason) *mqttsn.Puback {
	return &mqttsn.Puback{TopicID: topicID, ID: id, Reason: r}
}

func sleepFor(d time.Duration) *mqttsn.Disconnect { return &mqttsn.Disconnect{Duration: d} }

var (
	bye    = &mqttsn.Disconnect{}
	ping   = &mqttsn.Pingreq{}
	wakeup = &mqttsn.Pingreq{ClientID: []byte("dev1")}
)

// active returns a client that has connected with a kept session, and
// subscribed to "#".
func active(t *testing.T, options ...func(*Config)) *peer {
	t.Helper()
	p := newPeer(t, options...)
	p.sends(connect(time.Minute), subscribe(named("#"), 2, 1)).gets("CONNACK 0 | SUBACK 0 #1 q2 rc0", Active)
	p.b.log = nil
	return p
}

// asleep returns an active client that has gone to sleep for an hour.
func asleep(t *testing.T, options ...func(*Config)) *peer {
	t.Helper()
	return active(t, options...).sends(sleepFor(time.Hour)).gets("DISCONNECT", Asleep)
}
