package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// A pahoApp is the Eclipse Paho client for MQTT 3.1.1, which keeps its session
// and connects again whenever the broker is there.
type pahoApp struct {
	*plan
	id    string
	dice  *rand.Rand
	wire  *mqttWire
	c     mqtt.Client
	asked atomic.Bool // its subscriptions are there
	count int
}

func newPahoApp(p *plan, i int, address string) *pahoApp {
	a := &pahoApp{plan: p, id: fmt.Sprint("app", i), dice: p.rand(i)}
	a.wire = newMQTTWire(p.h, p.h.subscriber(a.id))
	o := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(a.id).SetProtocolVersion(4).
		SetCleanSession(false).SetAutoReconnect(false).SetConnectTimeout(patience).SetKeepAlive(time.Minute).SetStore(a.wire.store).
		SetWriteTimeout(time.Second). // or Publish waits half a minute for a connection that it has just lost
		SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) {})
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		// From another address: while nobody listens, one that dials its own
		// port from that port is connected to itself.
		from := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		conn, err := from.Dial("tcp", u.Host)
		if err != nil {
			return nil, err
		}
		return &tapped{Conn: conn, w: a.wire}, nil
	})
	a.c = mqtt.NewClient(o)
	return a
}

// run does what apps do until stop.
func (a *pahoApp) run(stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			a.c.Disconnect(0)
			return
		case <-tick.C:
		}
		switch {
		case !a.c.IsConnected():
			a.c.Connect().WaitTimeout(patience)
		case !a.asked.Load():
			t := a.c.SubscribeMultiple(map[string]byte{"apps/#": byte(1 + a.dice.IntN(2)), "all": 2, "wills": 1}, nil)
			a.asked.Store(t.WaitTimeout(patience) && t.Error() == nil)
		case a.running.Load() && !a.calm.Load() && !a.wire.busy() && a.dice.IntN(3) == 0:
			a.publish()
		}
	}
}

func (a *pahoApp) publish() {
	a.count++
	topic := []string{"s/" + a.someone(a.dice), "all", "r/" + a.id}[a.dice.IntN(3)]
	payload := fmt.Sprint(a.id, "/", a.count)
	a.h.begun(a.wire.s, payload)
	retain := topic[0] == 'r'
	said := []byte(payload)
	if retain {
		said = heavy(payload)
	}
	t := a.c.Publish(topic, byte(1+a.dice.IntN(2)), retain, said)
	if t.WaitTimeout(time.Second) && errors.Is(t.Error(), mqtt.ErrNotConnected) { // else Paho sends it in another connection
		a.h.refrained(payload)
	}
}

// ballast goes with what MQTT clients have retained, so that the broker has
// much to write. It does not get smaller by compression.
var ballast = func() []byte {
	b := make([]byte, 240<<10)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// heavy is payload with ballast.
func heavy(payload string) []byte { return append([]byte(payload+" "), ballast...) }

// light is the payload without its ballast, if that is whole.
func light(payload []byte) string {
	if s, rest, ok := bytes.Cut(payload, []byte(" ")); ok && bytes.Equal(rest, ballast) {
		return string(s)
	}
	return string(payload)
}

// retained asks what is retained below r.
func retained(address string) (map[string]string, error) {
	kept := make(map[string]string)
	came := make(chan mqtt.Message, 1000)
	o := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID("collector").SetConnectTimeout(patience).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { came <- m })
	c := mqtt.NewClient(o)
	defer c.Disconnect(0)
	for _, t := range []func() mqtt.Token{
		c.Connect,
		func() mqtt.Token { return c.Subscribe("end", 1, nil) },
		func() mqtt.Token { return c.Subscribe("r/#", 1, nil) },
		func() mqtt.Token { return c.Publish("end", 1, false, "that is all") },
	} {
		if t := t(); !t.WaitTimeout(patience) || t.Error() != nil {
			return nil, fmt.Errorf("asking for what is retained: %w", t.Error())
		}
	}
	for {
		select {
		case m := <-came:
			if m.Topic() == "end" {
				return kept, nil
			}
			kept[m.Topic()] = light(m.Payload())
		case <-time.After(patience):
			return nil, fmt.Errorf("asking for what is retained: no end")
		}
	}
}
