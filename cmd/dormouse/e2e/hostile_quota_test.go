package e2e

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"dormouse/mqttsn"
)

// Those who want too much, by the rows of the list of what will be thrown at us.

// meanwhile has the canary sing until the rest of the test is over: the answer of
// each song is awaited, and none may take longer than patience.
func (b *broker) meanwhile(t testing.TB) (enough func()) {
	stop, over := make(chan struct{}), make(chan int)
	b.settle(t)
	go func() {
		songs := 0
		defer func() { over <- songs }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			token := b.canary.Publish("canary/meanwhile", 1, false, fmt.Sprint(songs))
			if !token.WaitTimeout(patience) || token.Error() != nil {
				t.Errorf("the canary is not answered any more: %v", token.Error())
				return
			}
			select {
			case m := <-b.canary.mail:
				if m.payload != fmt.Sprint(songs) {
					t.Errorf("the canary hears %v, want %d", m, songs)
				}
			case <-time.After(patience):
				t.Error("the canary does not hear itself any more")
				return
			}
			songs++
		}
	}()
	return func() {
		close(stop)
		if <-over == 0 {
			t.Error("the canary has not been heard once")
		}
	}
}

// TestHostile44Registers: a sensor that registers one topic after the other gets
// as many ids as it may have, and then is told to come later; those that it has
// are good, and another sensor gets its own.
func TestHostile44Registers(t *testing.T) {
	t.Parallel()
	b := attacked(t, "mqttsn.topic_ids={per_client: 100, registers_per_minute: 5}")
	enough := b.meanwhile(t)
	s, other := b.sensor("greedy"), b.sensor("modest")
	s.connect(true)
	other.connect(true)
	told := make(map[mqttsn.Reason]int)
	var first mqttsn.Topic
	for i := range 1000 {
		s.send(&mqttsn.Register{ID: s.nextMsgID(), Name: fmt.Append(nil, "topic/", i)})
		a := expect[*mqttsn.Regack](s)
		if told[a.Reason]++; i == 0 {
			first = mqttsn.Topic{Kind: mqttsn.TopicNormal, ID: a.TopicID}
		}
	}
	if n := told[mqttsn.Accepted]; n < 100 || n > 110 || told[mqttsn.Congestion] != 1000-n {
		t.Errorf("of 1000 REGISTER %v are answered so", told)
	}
	s.publish(first, "x", 1, false)
	other.publish(other.register("mine"), "x", 1, false)
	enough()
}

// TestHostile60RetainedBomb: beyond what may be retained in all a client is told
// that it is too much; what there was stays, and clearing it makes room. Others
// publish as ever.
func TestHostile60RetainedBomb(t *testing.T) {
	t.Parallel()
	b := attacked(t, "limits.retained.messages=200", "limits.retained.per_publisher=150", "limits.client_publish_rate={messages: 0, bytes: 0}")
	enough := b.meanwhile(t)
	bombs := []*client5{b.mqtt5(t, "one", nil), b.mqtt5(t, "two", nil)}
	retain := func(c *client5, topic, payload string) byte {
		a, err := c.Publish(t.Context(), &paho.Publish{Topic: topic, QoS: 1, Retain: true, Payload: []byte(payload)})
		if a == nil {
			t.Fatal(err)
		}
		return a.ReasonCode
	}
	for i, c := range bombs {
		taken := 0
		for n := range 300 {
			switch code := retain(c, fmt.Sprintf("bomb/%d/%d", i, n), "x"); code {
			case 0, 0x10:
				taken++
			case 0x97:
			default:
				t.Fatalf("PUBLISH is answered by 0x%02x", code)
			}
		}
		if want := []int{150, 50}[i]; taken != want {
			t.Errorf("of client %d's messages %d are retained, want %d", i, taken, want)
		}
	}
	if code := retain(bombs[0], "bomb/0/0", ""); code != 0 && code != 0x10 {
		t.Errorf("clearing is answered by 0x%02x", code)
	}
	if code := retain(bombs[1], "bomb/1/new", "x"); code != 0 && code != 0x10 {
		t.Errorf("with room again PUBLISH is answered by 0x%02x", code)
	}
	b.wantMetric(t, "dormouse_retained_messages", "200")
	enough()
}

// TestHostile61EverythingAtOnce: many clients subscribe to all that is retained at
// once, and get it, paced; others do not wait for that.
func TestHostile61EverythingAtOnce(t *testing.T) {
	t.Parallel()
	const retained, clients = 1000, 20
	b := attacked(t, "limits.retained.replay_per_subscribe=500", "limits.retained.replay_rate=1000/s", "limits.client_publish_rate={messages: 0, bytes: 0}")
	c := b.mqtt3(t, "filler", nil)
	for i := range retained {
		c.Publish(fmt.Sprint("all/", i), 1, true, "x")
	}
	c.publish("all/last", "x", 1, true)
	enough := b.meanwhile(t)
	var crowd sync.WaitGroup
	for i := range clients {
		c := b.mqtt3(t, fmt.Sprint("greedy ", i), nil)
		crowd.Go(func() {
			if token := c.Subscribe("all/#", 1, nil); !token.WaitTimeout(patience) || token.Error() != nil {
				t.Errorf("%s: SUBSCRIBE: %v", c.id, token.Error())
				return
			}
			for got := range retained + 1 {
				select {
				case m := <-c.mail:
					if !m.retained {
						t.Errorf("%s receives %v, which was not retained", c.id, m)
					}
				case <-time.After(patience):
					t.Errorf("%s has received %d of %d", c.id, got, retained+1)
					return
				}
			}
		})
	}
	crowd.Wait()
	enough()
}

// TestHostile64Logins: while many try passwords at once, whoever is connected goes
// on; those who know theirs come in, or are told that the server is busy, and those
// who do not never do.
func TestHostile64Logins(t *testing.T) {
	t.Parallel()
	b := attacked(t, knowing(passwords(t, "ann", "secret")), "limits.connect_rate=1000/s", "limits.client_publish_rate={messages: 0, bytes: 0}")
	enough := b.meanwhile(t)
	var crowd sync.WaitGroup
	var came atomic.Int32
	for i := range 60 {
		crowd.Go(func() {
			password := []string{"secret", fmt.Sprint("guess ", i)}[i%2]
			c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + b.tcp.String()).SetClientID(fmt.Sprint("login ", i)).
				SetUsername("ann").SetPassword(password).SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(patience))
			defer c.Disconnect(0)
			token := c.Connect()
			switch in := token.WaitTimeout(patience) && token.Error() == nil; {
			case in && password == "secret":
				came.Add(1)
			case in:
				t.Errorf("login %d with %q comes in", i, password)
			case token.Error() == nil:
				t.Errorf("login %d is not answered", i)
			case password == "secret" && !errors.Is(token.Error(), packets.ErrorRefusedServerUnavailable):
				t.Errorf("login %d with the password: %v", i, token.Error())
			}
		})
	}
	crowd.Wait()
	if came.Load() == 0 {
		t.Error("nobody comes in")
	}
	enough()
}
