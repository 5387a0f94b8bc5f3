package mqtt

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt3 "github.com/eclipse/paho.mqtt.golang"
)

// A stock is a client library, connected, that puts what it receives into in.
type stock interface {
	subscribe(t *testing.T, filter string, qos byte)
	publish(t *testing.T, topic, payload string, qos byte, retain bool)
}

type paho3 struct{ mqtt3.Client }

func connectPaho3(t *testing.T, b *broker, id string, in chan<- string) stock {
	c := paho3{mqtt3.NewClient(mqtt3.NewClientOptions().AddBroker("tcp://" + b.addr).SetClientID(id).
		SetProtocolVersion(4).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ mqtt3.Client, m mqtt3.Message) {
			in <- fmt.Sprint(m.Topic(), " ", string(m.Payload()), " ", m.Qos(), " ", m.Retained())
		}))}
	c.wait(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func (c paho3) wait(t *testing.T, token mqtt3.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("%T: %v", token, token.Error())
	}
}

func (c paho3) subscribe(t *testing.T, filter string, qos byte) {
	c.wait(t, c.Subscribe(filter, qos, nil))
}

func (c paho3) publish(t *testing.T, topic, payload string, qos byte, retain bool) {
	c.wait(t, c.Publish(topic, qos, retain, payload))
}

type paho5 struct{ *paho.Client }

func connectPaho5(t *testing.T, b *broker, id string, in chan<- string) stock {
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := paho5{paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			in <- fmt.Sprint(p.Packet.Topic, " ", string(p.Packet.Payload), " ", p.Packet.QoS, " ", p.Packet.Retain)
			return true, nil
		}},
	})}
	if _, err := c.Connect(patiently(t), &paho.Connect{ClientID: id, KeepAlive: 30, CleanStart: true}); err != nil {
		t.Fatal(err)
	}
	return c
}

func patiently(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (c paho5) subscribe(t *testing.T, filter string, qos byte) {
	t.Helper()
	s := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}}
	if a, err := c.Subscribe(patiently(t), s); err != nil || a.Reasons[0] != qos {
		t.Fatalf("SUBSCRIBE: %v, %+v", err, a)
	}
}

func (c paho5) publish(t *testing.T, topic, payload string, qos byte, retain bool) {
	t.Helper()
	p := &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain}
	if _, err := c.Publish(patiently(t), p); err != nil {
		t.Fatalf("PUBLISH: %v", err)
	}
}

// TestStockClients: Eclipse Paho for 3.1.1 and for 5, each with each, at each
// QoS, live and retained.
func TestStockClients(t *testing.T) {
	connect := map[string]func(*testing.T, *broker, string, chan<- string) stock{"3.1.1": connectPaho3, "5": connectPaho5}
	for from, publisher := range connect {
		for to, subscriber := range connect {
			t.Run(from+" to "+to, func(t *testing.T) {
				b := start(t, nil)
				in := make(chan string, 100)
				expect := func(want string) {
					t.Helper()
					select {
					case got := <-in:
						if got != want {
							t.Errorf("got %q, want %q", got, want)
						}
					case <-time.After(patience):
						t.Fatalf("no message, want %q", want)
					}
				}
				p := publisher(t, b, "publisher", nil)
				p.publish(t, "a/retained", "old", 1, true)
				s := subscriber(t, b, "subscriber", in)
				s.subscribe(t, "a/#", 2)
				expect("a/retained old 1 true")
				for qos := range byte(3) {
					p.publish(t, "a/b", fmt.Sprint(qos), qos, false)
					expect(fmt.Sprintf("a/b %d %d false", qos, qos))
				}
				p.publish(t, "a/retained", "", 0, true)
				expect("a/retained  0 false")
				second := make(chan string, 100)
				late := subscriber(t, b, "late", second)
				late.subscribe(t, "a/#", 1)
				p.publish(t, "a/b", "new", 2, false)
				if got := <-second; got != "a/b new 1 false" {
					t.Errorf("got %q; the retained message should be gone", got)
				}
			})
		}
	}
}
