package main

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// worldStart is when the worlds of these tests begin.
const worldStart = clock.Time(time.Hour)

// A worldRig is a world and what its witness has heard.
type worldRig struct {
	t *testing.T
	*world
	heard []string
}

func newWorldRig(t *testing.T) *worldRig {
	t.Helper()
	w, err := newWorld(config.Default(), 1, worldStart, store.Volatile{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &worldRig{t: t, world: w}
	w.Hear(func(topic string, payload []byte, qos byte, retained bool) {
		r.heard = append(r.heard, fmt.Sprintf("%s %s %d %v", topic, payload, qos, retained))
	})
	w.Step(worldStart)
	return r
}

// sensor is the address of the i-th.
func sensor(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1884)
}

// says has a sensor send p, and returns the types of what it gets.
func (r *worldRig) says(i int, p mqttsn.Packet) string {
	r.t.Helper()
	b, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Receive(sensor(i), b)
	r.Step(r.now)
	return r.gets(i)
}

func (r *worldRig) gets(i int) (types string) {
	r.t.Helper()
	for to, b := range r.Sent {
		p, err := mqttsn.Decode(mqttsn.V12, b)
		if err != nil || to != sensor(i) {
			r.t.Fatalf("sent to %v: %v, %v; want something for %v", to, p, err, sensor(i))
		}
		types += p.Type().String() + " "
	}
	return types
}

func (r *worldRig) expect(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s is answered by %q, want %q", what, got, want)
	}
}

// TestWorld: a sensor and the witness reach each other, a restart forgets the
// one and not the other, and time passes as it is told.
func TestWorld(t *testing.T) {
	r := newWorldRig(t)
	for _, f := range []string{"s/#", "will"} {
		if err := r.Subscribe(f, 2); err != nil {
			t.Fatal(err)
		}
	}
	connect := &mqttsn.Connect{ProtocolID: 1, ClientID: []byte("one"), CleanSession: true}
	r.expect("CONNECT", r.says(1, connect), "CONNACK ")
	short := func(s string) mqttsn.Topic {
		return mqttsn.Topic{Kind: mqttsn.TopicShort, ID: uint16(s[0])<<8 | uint16(s[1])}
	}
	r.expect("SUBSCRIBE", r.says(1, &mqttsn.Subscribe{ID: 1, QoS: 1, Topic: short("cc")}), "SUBACK ")
	r.expect("REGISTER", r.says(1, &mqttsn.Register{ID: 2, Name: []byte("s/1")}), "REGACK ")
	for qos := range 3 {
		r.says(1, &mqttsn.Publish{ID: 3, QoS: mqttsn.QoS(qos), Topic: mqttsn.Topic{ID: 1}, Payload: []byte("x")})
	}
	if want := []string{"s/1 x 0 false", "s/1 x 1 false", "s/1 x 2 false"}; !slices.Equal(r.heard, want) {
		t.Errorf("the witness heard %q, want %q", r.heard, want)
	}
	r.says(1, &mqttsn.Pubrel{ID: 3})

	r.expect("DISCONNECT", r.says(1, &mqttsn.Disconnect{Duration: time.Minute}), "DISCONNECT ")
	accepted := 0
	for range 2 {
		r.Publish("cc", []byte("y"), 1, false, func(err error) {
			if err == nil {
				accepted++
			}
		})
	}
	r.Step(r.now)
	r.expect("a message while it sleeps", r.gets(1), "")
	if accepted != 2 {
		t.Errorf("%d of 2 commands were accepted", accepted)
	}
	r.expect("PINGREQ", r.says(1, &mqttsn.Pingreq{ClientID: []byte("one")}), "PUBLISH ")

	if err := r.Restart(r.now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	r.expect("PINGREQ after a restart", r.says(1, &mqttsn.Pingreq{ClientID: []byte("one")}), "DISCONNECT ")
	r.heard = nil
	r.expect("CONNECT", r.says(1, connect), "CONNACK ")
	r.says(1, &mqttsn.Register{ID: 2, Name: []byte("s/1")})
	r.expect("PUBLISH", r.says(1, &mqttsn.Publish{ID: 3, QoS: 1, Topic: mqttsn.Topic{ID: 1}, Payload: []byte("z")}), "PUBACK ")
	if want := []string{"s/1 z 1 false"}; !slices.Equal(r.heard, want) {
		t.Errorf("after the restart the witness heard %q, want %q", r.heard, want)
	}

	r.expect("WILLTOPIC's CONNECT", r.says(2, &mqttsn.Connect{ProtocolID: 1, ClientID: []byte("two"), Will: true, KeepAlive: time.Minute}), "WILLTOPICREQ ")
	r.expect("WILLTOPIC", r.says(2, &mqttsn.Willtopic{QoS: 1, Topic: []byte("will")}), "WILLMSGREQ ")
	r.expect("WILLMSG", r.says(2, &mqttsn.Willmsg{Payload: []byte("bye")}), "CONNACK ")
	r.heard = nil
	steps := 0
	for end := r.now.Add(89 * time.Second); r.Next() <= end; steps++ {
		r.Step(r.Next())
	}
	if len(r.heard) > 0 {
		t.Errorf("a second early the witness heard %q", r.heard)
	}
	for end := r.now.Add(2 * time.Second); r.Next() <= end; steps++ {
		r.Step(r.Next())
	}
	if want := []string{"will bye 1 false"}; !slices.Equal(r.heard, want) {
		t.Errorf("of the lost sensor the witness heard %q, want %q", r.heard, want)
	}
	if steps > 91*4*2 {
		t.Errorf("91 s took %d steps", steps)
	}
}

// TestWorldTakesAll: sensors that all connect and speak at one moment are all
// heard, and of each the witness hears.
func TestWorldTakesAll(t *testing.T) {
	const sensors = 10_000
	r := newWorldRig(t)
	if err := r.Subscribe("ab", 1); err != nil {
		t.Fatal(err)
	}
	all := func(of func(i int) mqttsn.Packet) map[string]int {
		for i := range sensors {
			b, err := mqttsn.Append(nil, mqttsn.V12, of(i))
			if err != nil {
				t.Fatal(err)
			}
			r.Receive(sensor(i), b)
		}
		r.Step(r.now)
		answers := make(map[string]int)
		for _, b := range r.Sent {
			p, err := mqttsn.Decode(mqttsn.V12, b)
			if err != nil {
				t.Fatal(err)
			}
			answers[fmt.Sprint(p.Type())]++
			if a, ok := p.(*mqttsn.Connack); ok && a.Reason != mqttsn.Accepted {
				t.Fatalf("CONNECT is answered by %v", a)
			}
		}
		return answers
	}
	if got := all(func(i int) mqttsn.Packet {
		return &mqttsn.Connect{ProtocolID: 1, ClientID: fmt.Append(nil, i), KeepAlive: time.Minute}
	})["CONNACK"]; got != sensors {
		t.Errorf("%d of %d sensors are connected", got, sensors)
	}
	if got := all(func(int) mqttsn.Packet {
		return &mqttsn.Publish{ID: 1, QoS: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'a'<<8 | 'b'}, Payload: []byte("x")}
	})["PUBACK"]; got != sensors {
		t.Errorf("%d of %d reports are acknowledged", got, sensors)
	}
	if len(r.heard) != sensors {
		t.Errorf("the witness heard of %d of %d reports", len(r.heard), sensors)
	}
	if s := r.broker.Stats(); s.Received.Messages != sensors || s.Dropped.Total() != 0 {
		t.Errorf("the broker has %+v", s)
	}
}

// TestWorldKeepsWhatItsStoreKeeps: after a restart a bare PINGREQ brings what
// waited, under the topic id that it had.
func TestWorldKeepsWhatItsStoreKeeps(t *testing.T) {
	w, err := newWorld(config.Default(), 1, worldStart, store.NewMemory(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &worldRig{t: t, world: w}
	w.Hear(func(string, []byte, byte, bool) {})
	r.expect("CONNECT", r.says(1, &mqttsn.Connect{ProtocolID: 1, ClientID: []byte("one"), KeepAlive: time.Minute}), "CONNACK ")
	cmd := mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd")}
	r.expect("SUBSCRIBE", r.says(1, &mqttsn.Subscribe{ID: 1, QoS: 1, Topic: cmd}), "SUBACK ")
	r.expect("DISCONNECT", r.says(1, &mqttsn.Disconnect{Duration: time.Minute}), "DISCONNECT ")
	r.Publish("cmd", []byte("open"), 1, false, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err := r.Restart(r.now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	r.expect("PINGREQ after a restart", r.says(1, &mqttsn.Pingreq{ClientID: []byte("one")}), "PUBLISH ")
}
