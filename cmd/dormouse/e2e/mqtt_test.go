package e2e

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// An mqttClient is a stock MQTT client library, connected. Each method sees its
// exchange through.
type mqttClient interface {
	subscribe(filter string, qos int)
	// publish returns when the message is in the queue of everyone it is for.
	publish(topic, payload string, qos int, retain bool)
	receive() message
	disconnect()
}

// fence is a filter that nobody has. An UNSUBSCRIBE of it is answered when the
// PUBLISH before it on the same connection has reached all queues: its own
// PUBACK may be a little earlier than that, and at QoS 0 there is none.
const fence = "fence"

// mqttVersions are the ways to connect a stock client with a clean session.
var mqttVersions = map[string]func(b *broker, t testing.TB, id string) mqttClient{
	"3.1.1": func(b *broker, t testing.TB, id string) mqttClient { return b.mqtt3(t, id, nil) },
	"5":     func(b *broker, t testing.TB, id string) mqttClient { return b.mqtt5(t, id, nil) },
}

// An inbox holds what a client has received.
type inbox struct {
	t    testing.TB
	id   string
	mail chan message
}

func newInbox(t testing.TB, id string) inbox { return inbox{t, id, make(chan message, 4096)} }

// receive returns the next message.
func (i inbox) receive() message {
	i.t.Helper()
	return await(i.t, i.mail, "a message for "+i.id)
}

// await receives from c.
func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("there is no %s", what)
		panic("unreachable")
	}
}

// A client3 is the Eclipse Paho client for MQTT 3.1.1.
type client3 struct {
	inbox
	mqtt.Client
	lost chan error // what ended the connection, if the client did not
}

// mqtt3 connects a client, with a clean session and a keep alive of 30 s
// unless change says otherwise.
func (b *broker) mqtt3(t testing.TB, id string, change func(*mqtt.ClientOptions)) *client3 {
	t.Helper()
	c := &client3{inbox: newInbox(t, id), lost: make(chan error, 1)}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + b.tcp.String()).SetClientID(id).SetProtocolVersion(4).
		SetAutoReconnect(false).SetConnectTimeout(patience).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.lost <- err }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			c.mail <- message{m.Topic(), string(m.Payload()), int(m.Qos()), m.Retained()}
		})
	if change != nil {
		change(o)
	}
	c.Client = mqtt.NewClient(o)
	c.await("CONNECT", c.Connect())
	t.Cleanup(func() { c.Client.Disconnect(0) })
	return c
}

func (c *client3) await(what string, token mqtt.Token) {
	c.t.Helper()
	if !token.WaitTimeout(patience) {
		c.t.Fatalf("%s: %s is not answered", c.id, what)
	}
	if err := token.Error(); err != nil {
		c.t.Fatalf("%s: %s: %v", c.id, what, err)
	}
}

func (c *client3) subscribe(filter string, qos int) {
	c.t.Helper()
	token := c.Subscribe(filter, byte(qos), nil)
	c.await("SUBSCRIBE", token)
	if granted := token.(*mqtt.SubscribeToken).Result()[filter]; int(granted) != qos {
		c.t.Fatalf("%s: SUBSCRIBE %s at QoS %d is granted %d", c.id, filter, qos, granted)
	}
}

func (c *client3) publish(topic, payload string, qos int, retain bool) {
	c.t.Helper()
	c.await("PUBLISH", c.Publish(topic, byte(qos), retain, payload))
	c.await("UNSUBSCRIBE", c.Unsubscribe(fence))
}

func (c *client3) disconnect() { c.Client.Disconnect(250) }

// A client5 is the Eclipse Paho client for MQTT 5.
type client5 struct {
	inbox
	*paho.Client
	conn    net.Conn
	goodbye chan *paho.Disconnect // the broker's
}

// mqtt5 connects a client, with a clean start and a keep alive of 30 s unless
// change says otherwise.
func (b *broker) mqtt5(t testing.TB, id string, change func(*paho.Connect)) *client5 {
	t.Helper()
	conn, err := net.DialTimeout("tcp", b.tcp.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	c := &client5{inbox: newInbox(t, id), conn: conn, goodbye: make(chan *paho.Disconnect, 1)}
	c.Client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			c.mail <- message{p.Packet.Topic, string(p.Packet.Payload), int(p.Packet.QoS), p.Packet.Retain}
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) { c.goodbye <- d },
	})
	connect := &paho.Connect{ClientID: id, KeepAlive: 30, CleanStart: true}
	if change != nil {
		change(connect)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if a, err := c.Connect(ctx, connect); err != nil {
		t.Fatalf("%s: CONNECT: %v, %+v", id, err, a)
	}
	t.Cleanup(func() { conn.Close() })
	return c
}

func (c *client5) subscribe(filter string, qos int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	a, err := c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: byte(qos)}}})
	if err != nil || int(a.Reasons[0]) != qos {
		c.t.Fatalf("%s: SUBSCRIBE %s at QoS %d: %v, %+v", c.id, filter, qos, err, a)
	}
}

func (c *client5) publish(topic, payload string, qos int, retain bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if _, err := c.Publish(ctx, &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: byte(qos), Retain: retain}); err != nil {
		c.t.Fatalf("%s: PUBLISH %s at QoS %d: %v", c.id, topic, qos, err)
	}
	if _, err := c.Unsubscribe(ctx, &paho.Unsubscribe{Topics: []string{fence}}); err != nil {
		c.t.Fatalf("%s: UNSUBSCRIBE: %v", c.id, err)
	}
}

func (c *client5) disconnect() { c.Disconnect(&paho.Disconnect{}) }

// settle publishes a message and sees it come round, which is proof that the
// broker is alive and has routed what was published before.
func (b *broker) settle(t testing.TB) {
	t.Helper()
	topic := fmt.Sprintf("canary/%d", time.Now().UnixNano())
	b.publish(t, topic, "tweet", 1)
	if m := b.canary.receive(); m.topic != topic {
		t.Fatalf("the canary heard %v, want %s", m, topic)
	}
}

// publish publishes as a client that does nothing else, the canary.
func (b *broker) publish(t testing.TB, topic, payload string, qos int) {
	t.Helper()
	b.canaryOnce.Do(func() {
		b.canary = b.mqtt3(b.t, "canary", nil)
		b.canary.subscribe("canary/+", 1)
	})
	b.canary.publish(topic, payload, qos, false)
}
