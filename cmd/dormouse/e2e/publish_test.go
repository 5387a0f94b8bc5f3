package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"dormouse/mqttsn"
)

// TestQoSMinusOneUpward is the README's first lines: a broker with the
// defaults, "dormouse pub -q -1", and mosquitto_sub prints the reading.
func TestQoSMinusOneUpward(t *testing.T) {
	t.Parallel()
	b := start(t)
	sub := b.mosquittoSub(t, "#", 0)
	gateway := b.tap(t)

	for _, topic := range []string{"T1", "sensors/attic/temperature"} {
		status, _, stderr := run(t, "pub", "-h", gateway.Addr().String(), "-p", port(gateway), "-q", "-1", "-t", topic, "-m", "21.5")
		if status != 0 {
			t.Fatalf("dormouse pub -q -1 -t %s ends with status %d: %s", topic, status, stderr)
		}
		want(t, sub.receive(), message{topic: topic, payload: "21.5"})
	}
}

// TestQoSMinusOneByPredefinedID needs no name on the wire at all.
func TestQoSMinusOneByPredefinedID(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.predefined=[{id: 7, topic: alarm}]")
	sub := b.mosquittoSub(t, "alarm", 2)
	gateway := b.tap(t)

	status, _, stderr := run(t, "pub", "-h", gateway.Addr().String(), "-p", port(gateway), "-q", "-1", "-T", "7", "-m", "fire")
	if status != 0 {
		t.Fatalf("dormouse pub ends with status %d: %s", status, stderr)
	}
	want(t, sub.receive(), message{topic: "alarm", payload: "fire"})
	b.wantFigure(t, "predefined/hits", 1)
}

// TestEachQoSUpward publishes from a sensor by each kind of topic id at each
// QoS, to each stock client.
func TestEachQoSUpward(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.predefined=[{id: 7, topic: alarm}]")
	receivers := map[string]interface{ receive() message }{"mosquitto_sub": b.mosquittoSub(t, "#", 2)}
	for version, connect := range mqttVersions {
		c := connect(b, t, "Paho "+version)
		c.subscribe("#", 2)
		receivers["Paho "+version] = c
	}
	s := b.sensor("sensor")
	s.connect(true)
	for name, topic := range map[string]mqttsn.Topic{
		"sensors/attic/temperature": s.register("sensors/attic/temperature"), "T1": short("T1"), "alarm": predefined(7),
	} {
		for qos := range 3 {
			payload := "reading " + strconv.Itoa(qos)
			s.publish(topic, payload, qos, false)
			for receiver, r := range receivers {
				if got, want := r.receive(), (message{topic: name, payload: payload, qos: qos}); got != want {
					t.Errorf("%s received %v, want %v", receiver, got, want)
				}
			}
		}
	}
}

// TestEachQoSDownward publishes to a sensor from each stock client at each QoS.
func TestEachQoSDownward(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	s.subscribe("cmd/valve", 2)
	publishers := map[string]func(payload string, qos int){
		"mosquitto_pub": func(payload string, qos int) { b.mosquittoPub(t, "cmd/valve", payload, qos) },
	}
	for version, connect := range mqttVersions {
		c := connect(b, t, "publisher "+version)
		publishers["Paho "+version] = func(payload string, qos int) { c.publish("cmd/valve", payload, qos, false) }
	}
	for publisher, publish := range publishers {
		for qos := range 3 {
			payload := fmt.Sprint(publisher, " at ", qos)
			publish(payload, qos)
			want(t, s.receive(), message{topic: "cmd/valve", payload: payload, qos: qos})
		}
	}
	s.hearsNothing()
}

// TestQoSIsTheLesserOfPublishedAndGranted holds in both directions.
func TestQoSIsTheLesserOfPublishedAndGranted(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	c := b.mqtt3(t, "client", nil)
	s.subscribe("down", 1)
	c.subscribe("up", 1)

	c.publish("down", "x", 2, false)
	want(t, s.receive(), message{topic: "down", payload: "x", qos: 1})
	s.publish(s.register("up"), "x", 2, false)
	want(t, c.receive(), message{topic: "up", payload: "x", qos: 1})
}

// TestSensorToSensor needs no MQTT client at all.
func TestSensorToSensor(t *testing.T) {
	t.Parallel()
	b := start(t)
	from, to := b.sensor("from"), b.sensor("to")
	from.connect(true)
	to.connect(true)
	to.subscribe("a/+", 2)
	topic := from.register("a/b")
	for qos := range 3 {
		from.publish(topic, "hello", qos, false)
		want(t, to.receive(), message{topic: "a/b", payload: "hello", qos: qos})
	}
}

// TestOverIPv6 is both worlds on ::1.
func TestOverIPv6(t *testing.T) {
	t.Parallel()
	b := start(t, "listeners.mqtt.address=[::1]:0", "listeners.sn.address=[::1]:0")
	sub := b.mosquittoSub(t, "#", 1)
	s := b.sensor("sensor")
	s.connect(true)
	s.publish(short("T1"), "21.5", 1, false)
	want(t, sub.receive(), message{topic: "T1", payload: "21.5", qos: 1})
	stranger := b.sensor("stranger")
	stranger.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: short("T2"), Payload: []byte("9")})
	want(t, sub.receive(), message{topic: "T2", payload: "9"})
}

// TestDormousePubAndSub are the two commands against the real broker, beside
// the mosquitto ones.
func TestDormousePubAndSub(t *testing.T) {
	t.Parallel()
	b := start(t)
	gateway := b.tap(t)
	mosquitto := b.mosquittoSub(t, "up/#", 2)
	for qos := range 3 {
		status, _, stderr := run(t, "pub", "-h", gateway.Addr().String(), "-p", port(gateway),
			"-i", "pub", "-q", strconv.Itoa(qos), "-t", "up/a", "-m", "reading")
		if status != 0 {
			t.Fatalf("dormouse pub -q %d ends with status %d: %s", qos, status, stderr)
		}
		want(t, mosquitto.receive(), message{topic: "up/a", payload: "reading", qos: qos})
	}

	// A retained message is there for dormouse sub however late it comes.
	b.mosquittoPub(t, "down/a", "open", 1, "-r")
	for qos := range 3 {
		status, stdout, stderr := run(t, "sub", "-h", gateway.Addr().String(), "-p", port(gateway),
			"-i", "sub", "-q", strconv.Itoa(qos), "-t", "down/#", "-v", "-1")
		if status != 0 || stdout != "down/a open\n" {
			t.Errorf("dormouse sub -q %d -v -1 ends with status %d, prints %q and %q", qos, status, stdout, stderr)
		}
	}
}

// TestDormouseSubAsleep: with -e it prints what came while it slept.
func TestDormouseSubAsleep(t *testing.T) {
	t.Parallel()
	b := start(t)
	gateway := b.tap(t)
	b.mosquittoPub(t, "cmd/valve", "open", 1, "-r")
	sub := spawn(t, dormouse, "sub", "-h", gateway.Addr().String(), "-p", port(gateway), "-i", "sub", "-q", "1", "-t", "cmd/+", "-v", "-e", "1")
	for i, want := range []string{"cmd/valve open", "cmd/valve shut", "cmd/new 1", "cmd/new 2"} {
		if got := sub.line(); got != want {
			t.Errorf("line %d of dormouse sub is %q, want %q", i, got, want)
		}
		switch i {
		case 0:
			b.mosquittoPub(t, "cmd/valve", "shut", 2)
		case 1:
			b.mosquittoPub(t, "cmd/new", "1", 1)
			b.mosquittoPub(t, "cmd/new", "2", 0)
		}
	}
}

// want compares a received message with the wanted one.
func want(t testing.TB, got, want message) {
	t.Helper()
	if got != want {
		t.Errorf("received %v, want %v", got, want)
	}
}

// wantInEachQoS receives n messages, and wants those of each QoS in their order:
// client libraries hold one of QoS 2 back until its PUBREL, others not.
func wantInEachQoS(t testing.TB, sub interface{ receive() message }, n int, nth func(i int) message) {
	t.Helper()
	var got, wanted [3][]message
	for i := range n {
		g, w := sub.receive(), nth(i)
		got[g.qos] = append(got[g.qos], g)
		wanted[w.qos] = append(wanted[w.qos], w)
	}
	for qos := range got {
		if !slices.Equal(got[qos], wanted[qos]) {
			t.Errorf("received %v, want %v", got[qos], wanted[qos])
		}
	}
}
