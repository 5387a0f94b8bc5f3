package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dormouse/mqttsn"
)

const (
	sleep     = 12 * time.Hour // longer than any run
	keepAlive = time.Hour
	window    = 2000 // sensors that are under way at a time
	mebibyte  = 1 << 20
)

// sensorID is the client id of a sensor: 20 octets, as in the budget of a sleeper.
func sensorID(e int32) string { return fmt.Sprintf("sensor-%013d", e) }

// command is the topic that a sensor subscribes to.
func command(e int32) string { return "cmd/" + sensorID(e) }

// fallAsleep has a sensor connect, subscribe to its own commands and sleep.
var fallAsleep = task{
	steps:  3,
	window: window,
	request: func(e int32, step int) mqttsn.Packet {
		switch step {
		case 1:
			return &mqttsn.Connect{ProtocolID: 1, KeepAlive: keepAlive, ClientID: []byte(sensorID(e))}
		case 2:
			return &mqttsn.Subscribe{QoS: 1, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(command(e))}}
		}
		return &mqttsn.Disconnect{Duration: sleep}
	},
	answers: func(_ int32, step int, p mqttsn.Packet) (bool, error) {
		switch p := p.(type) {
		case *mqttsn.Connack:
			return step == 1 && p.Reason == mqttsn.Accepted, accepted(p, p.Reason)
		case *mqttsn.Suback:
			return step == 2 && p.Reason == mqttsn.Accepted, accepted(p, p.Reason)
		case *mqttsn.Disconnect:
			if step != 3 {
				return false, errors.New("is told to connect anew")
			}
			return true, nil
		}
		return false, nil
	},
}

// accepted returns an error for an answer that refuses. Congestion is no
// error: the sensor asks again.
func accepted(p mqttsn.Packet, r mqttsn.Reason) error {
	if r == mqttsn.Accepted || r == mqttsn.Congestion {
		return nil
	}
	return fmt.Errorf("is answered %v", p)
}

// asleep is a broker with so many sleeping sensors.
type asleep struct {
	*broker
	sensors *fleet
	outcome
}

func (h *harness) fallAsleep(d Durability, n int) (*asleep, error) {
	b, err := h.startDormouse(d)
	if err != nil {
		return nil, err
	}
	return h.fallAsleepOn(b, n)
}

func (h *harness) fallAsleepOn(b *broker, n int) (*asleep, error) {
	f, err := newFleet(h.ctx, b.sn, n)
	if err != nil {
		b.stop()
		return nil, err
	}
	a := &asleep{broker: b, sensors: f}
	a.outcome = f.perform(fallAsleep)
	if err := errors.Join(f.err, b.alive()); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *asleep) close() {
	a.sensors.close()
	a.stop()
}

// sleepers measures what a million of them cost: to let in, to keep and to do
// nothing for.
func (h *harness) sleepers() error {
	for _, d := range h.Durabilities {
		if err := h.sleepersOf(d); err != nil {
			return err
		}
	}
	return nil
}

func (h *harness) sleepersOf(d Durability) error {
	n := h.size(1_000_000)
	b, err := h.startDormouse(d)
	if err != nil {
		return err
	}
	profiled := h.profile(b, "connect-"+string(d), h.For)
	a, err := h.fallAsleepOn(b, n)
	if err != nil {
		return err
	}
	defer a.close()
	h.add(d, "connect, subscribe, sleep", a.rate(), "sensors/s").atLeast(25_000).
		count("sensors", a.done).count("asked_again", a.again)
	h.add(d, "connect, subscribe, sleep, CPU", micros(a.cpu())/float64(n), "µs/sensor")
	a.rest(h.ctx)
	now, most := a.rss()
	memory := h.add(d, "resident memory", float64(now)/mebibyte, "MiB")
	if h.Scale >= 1 { // fewer say nothing: there is what the program has without any
		memory.atMost(1.5 * 1024 * h.Scale)
	}
	h.add(d, "resident memory, most", float64(most)/mebibyte, "MiB")
	before, start := a.cpu(), time.Now()
	select {
	case <-time.After(h.idleFor()):
	case <-h.ctx.Done():
		return context.Cause(h.ctx)
	}
	h.add(d, "idle, of one core", 100*float64(a.cpu()-before)/float64(time.Since(start)), "%").atMost(2)
	return errors.Join(profiled(), a.alive())
}

// idleFor is longer than For: little is to be seen.
func (h *harness) idleFor() time.Duration { return 3 * h.For }
