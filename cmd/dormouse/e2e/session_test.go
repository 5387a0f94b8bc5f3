package e2e

import (
	"fmt"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"dormouse/mqttsn"
)

// TestB13ResumedSessionIsReRegistered: with CleanSession=0 a sensor finds its
// subscription and what came meanwhile, in order, after the CONNACK, and is
// told each topic id again before it is used.
func TestB13ResumedSessionIsReRegistered(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(false)
	s.subscribe("cmd/valve", 1)
	s.disconnect()
	for i := range 5 {
		b.publish(t, "cmd/valve", fmt.Sprint(i), 1)
	}
	s.hearsNothing()

	rebooted := b.sensor("sensor") // another address, nothing remembered
	rebooted.connect(false)
	first := expect[*mqttsn.Register](rebooted)
	if string(first.Name) != "cmd/valve" {
		t.Errorf("REGISTER of %q, want cmd/valve", first.Name)
	}
	rebooted.accept(first)
	for i := range 5 {
		want(t, rebooted.receive(), message{"cmd/valve", fmt.Sprint(i), 1, false})
	}
	rebooted.hearsNothing()

	rebooted.disconnect()
	clean := b.sensor("sensor")
	clean.connect(true)
	b.publish(t, "cmd/valve", "x", 1)
	clean.hearsNothing()
}

// TestCleanSessionGoesOn: a sensor that has a clean session and connects
// without CleanSession, out of its sleep, has its subscriptions and its mail:
// nothing has ended. From then on the session is kept.
func TestCleanSessionGoesOn(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sleeper")
	s.connect(true)
	s.subscribe("cmd/valve", 1)
	s.sleep(time.Hour)
	b.publish(t, "cmd/valve", "asleep", 1)
	s.hearsNothing()
	s.connect(false)
	told := expect[*mqttsn.Register](s) // it may have rebooted
	s.accept(told)
	want(t, s.receive(), message{"cmd/valve", "asleep", 1, false})

	s.disconnect()
	b.publish(t, "cmd/valve", "away", 1)
	s.connect(false)
	s.accept(expect[*mqttsn.Register](s))
	want(t, s.receive(), message{"cmd/valve", "away", 1, false})

	s.connect(true)
	b.publish(t, "cmd/valve", "clean again", 1)
	s.hearsNothing()
}

// TestPubackBeforeEcho: a sensor that is subscribed to what it publishes gets
// its PUBACK first, hundreds of times in a row.
func TestPubackBeforeEcho(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	s.subscribe("echo", 1)
	topic := s.register("echo")
	for i := range 300 {
		s.publish(topic, fmt.Sprint(i), 1, false)
		want(t, s.receive(), message{"echo", fmt.Sprint(i), 1, false})
	}
}

// TestMQTTSessionIsKeptInOrder: what sensors publish while a client with a
// kept session is away waits for it, in order.
func TestMQTTSessionIsKeptInOrder(t *testing.T) {
	t.Parallel()
	b := start(t)
	kept := func(o *mqtt.ClientOptions) { o.SetCleanSession(false) }
	c := b.mqtt3(t, "client", kept)
	c.subscribe("up/#", 2)
	c.disconnect()

	s := b.sensor("sensor")
	s.connect(true)
	topic := s.register("up/a")
	var sent []message
	for i := range 100 {
		m := message{"up/a", fmt.Sprint(i), 1 + i%2, false}
		s.publish(topic, m.payload, m.qos, false)
		sent = append(sent, m)
	}
	c = b.mqtt3(t, "client", kept)
	for _, m := range sent {
		want(t, c.receive(), m)
	}
	s.publish(topic, "last", 0, false)
	want(t, c.receive(), message{topic: "up/a", payload: "last"})
}

// TestOneClientIDOnTheSensorsSide: a sensor that connects from elsewhere takes
// its session with it, and the address it left is told.
func TestOneClientIDOnTheSensorsSide(t *testing.T) {
	t.Parallel()
	b := start(t)
	old, new := b.sensor("one"), b.sensor("one")
	old.connect(false)
	old.subscribe("cmd", 1)
	new.connect(false)
	expect[*mqttsn.Disconnect](old)
	b.publish(t, "cmd", "x", 1)
	want(t, new.receive(), message{"cmd", "x", 1, false})
	old.hearsNothing()
}

// TestOneClientIDOnTheMQTTSide: the second connection ends the first.
func TestOneClientIDOnTheMQTTSide(t *testing.T) {
	t.Parallel()
	b := start(t)
	old3 := b.mqtt3(t, "one", nil)
	old5 := b.mqtt5(t, "one", nil)
	await(t, old3.lost, "end of the 3.1.1 connection")
	new3 := b.mqtt3(t, "one", nil)
	if d := await(t, old5.goodbye, "DISCONNECT"); d.ReasonCode != 0x8e {
		t.Errorf("DISCONNECT reason 0x%02x, want 0x8e, session taken over", d.ReasonCode)
	}
	new3.subscribe("cmd", 1)
	b.publish(t, "cmd", "x", 1)
	want(t, new3.receive(), message{"cmd", "x", 1, false})
}

// TestOneClientIDAcrossTheTwo: there is one namespace, and whoever comes last
// has the session.
func TestOneClientIDAcrossTheTwo(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("one")
	s.connect(false)
	s.subscribe("cmd", 1)

	c := b.mqtt3(t, "one", func(o *mqtt.ClientOptions) { o.SetCleanSession(false) })
	expect[*mqttsn.Disconnect](s)
	b.publish(t, "cmd", "to the client", 1)
	want(t, c.receive(), message{"cmd", "to the client", 1, false})
	s.hearsNothing()

	s.connect(false)
	await(t, c.lost, "end of the MQTT connection")
	b.publish(t, "cmd", "to the sensor", 1)
	want(t, s.receive(), message{"cmd", "to the sensor", 1, false})
}
