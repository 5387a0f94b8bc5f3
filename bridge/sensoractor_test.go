package bridge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
)

// A sensorActor is a sensor that keeps to the rules, and sleeps.
type sensorActor struct {
	w       *world
	id      string
	dice    *rand.Rand
	count   int
	conn    *client.Conn  // nil: it is off
	conns   int           // so far
	heard   chan struct{} // closed when nothing is heard any more
	arrived chan string
	*subscriber
}

func newSensorActor(w *world, id string, dice *rand.Rand) *sensorActor {
	a := &sensorActor{w: w, id: id, dice: dice, subscriber: &subscriber{who: id}, arrived: make(chan string, 16)}
	w.stamped(func(int64) { w.subscribers = append(w.subscribers, a.subscriber) })
	return a
}

func (a *sensorActor) act() {
	if a.conn == nil {
		a.connect()
		return
	}
	switch n := a.dice.IntN(20); {
	case a.crew && n < 4:
		a.subscribe(shared, 2)
	case n < 4:
		a.subscribe(filters[a.dice.IntN(len(filters))], mqttsn.QoS(a.dice.IntN(3)))
	case n < 13:
		a.publish(topics[a.dice.IntN(len(topics))], mqttsn.QoS(a.dice.IntN(3)), a.dice.IntN(6) == 0)
	case n < 18:
		a.sleep()
	default:
		a.leave()
	}
}

// do makes a request, which may not fail.
func (a *sensorActor) do(what string, request func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := request(ctx); err != nil {
		a.w.Errorf("%s cannot %s: %v", a.id, what, err)
	}
}

// connect goes on with the session, which is kept.
func (a *sensorActor) connect() {
	conn, err := client.Dial(context.Background(), a.w.sn)
	if err != nil {
		a.w.Fatal(err)
	}
	a.conn, a.heard = conn, make(chan struct{})
	a.conns++
	go a.listen(conn, a.conns, a.heard)
	a.do("connect", func(ctx context.Context) error {
		return conn.Connect(ctx, client.Session{ClientID: a.id, KeepAlive: time.Minute})
	})
}

// listen notes what comes until the connection is over.
func (a *sensorActor) listen(conn *client.Conn, via int, heard chan<- struct{}) {
	defer close(heard)
	for {
		m, err := conn.Receive(context.Background())
		if err != nil {
			return
		}
		topic := string(m.Topic.Name)
		a.w.stamped(func(now int64) {
			a.got = append(a.got, reception{topic: topic, payload: string(m.Payload), qos: byte(m.QoS), retain: m.Retain, dup: m.DUP, via: via, at: now})
		})
		if strings.HasPrefix(topic, farewells) {
			a.arrived <- string(m.Payload)
		}
	}
}

func (a *sensorActor) subscribe(filter string, qos mqttsn.QoS) {
	i := &interest{filter: strings.TrimPrefix(filter, crew), qos: byte(qos)}
	a.w.stamped(func(now int64) {
		i.asked = now
		for _, old := range a.subs {
			if old.filter == i.filter && old.leaving == 0 {
				old.leaving = now
			}
		}
		a.subs = append(a.subs, i)
	})
	a.do("subscribe", func(ctx context.Context) error {
		_, err := a.conn.Subscribe(ctx, mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(filter)}, qos)
		return err
	})
	a.w.stamped(func(now int64) { i.granted = now })
}

func (a *sensorActor) publish(topic string, qos mqttsn.QoS, retain bool) {
	a.count++
	p := &publication{who: a.id, topic: topic, payload: fmt.Sprint(a.id, "/", a.count), qos: byte(qos), retain: retain && qos > 0, again: true}
	a.w.stamped(func(now int64) {
		p.sent = now
		a.w.publications = append(a.w.publications, p)
	})
	a.do("publish", func(ctx context.Context) error {
		return a.conn.Publish(ctx, client.Message{Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(topic)}, Payload: []byte(p.payload), QoS: qos, Retain: p.retain})
	})
	if qos > 0 {
		a.w.stamped(func(now int64) { p.done = now })
	}
}

// sleep sleeps and wakes, perhaps several times.
func (a *sensorActor) sleep() {
	a.do("sleep", func(ctx context.Context) error { return a.conn.Sleep(ctx, time.Minute) })
	for range a.dice.IntN(3) {
		a.do("wake", a.conn.Wake)
	}
	a.do("connect again", func(ctx context.Context) error {
		return a.conn.Connect(ctx, client.Session{ClientID: a.id, KeepAlive: time.Minute})
	})
}

func (a *sensorActor) comeBack() {
	if a.conn == nil {
		a.connect()
	}
	a.w.stamped(func(int64) { a.still = true })
}

func (a *sensorActor) drain(via *mqttActor) {
	a.subscribe(farewells+a.id, 1)
	p := via.publish(farewells+a.id, 1, false)
	out := time.After(patience)
	for {
		select {
		case got := <-a.arrived:
			if got == p.payload {
				return
			}
		case <-out:
			a.w.Errorf("%s waits in vain for %s", a.id, p.payload)
			return
		}
	}
}

// leave turns the sensor off, with or without a word.
func (a *sensorActor) leave() {
	if a.conn == nil {
		return
	}
	if a.dice.IntN(2) == 0 {
		a.do("disconnect", a.conn.Disconnect)
	}
	a.conn.Close()
	<-a.heard
	a.conn = nil
}
