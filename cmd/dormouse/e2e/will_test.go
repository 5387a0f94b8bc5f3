package e2e

import (
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"dormouse/mqttsn"
)

// TestWillByLossAndNoneByDisconnect: a sensor that falls silent is mourned, after one and a half
// times its keep alive; one that said DISCONNECT is not. Both had the same
// keep alive, so that the will of the silent one is proof that the other's
// time has passed.
func TestWillByLossAndNoneByDisconnect(t *testing.T) {
	t.Parallel()
	b := start(t)
	sub := b.mosquittoSub(t, "will/#", 2)

	polite := b.sensor("polite")
	polite.connectWithWill(true, time.Second, message{topic: "will/polite", payload: "never"})
	polite.disconnect()
	silent := b.sensor("silent")
	silent.connectWithWill(true, time.Second, message{"will/silent", "gone", 1, true})

	want(t, sub.receive(), message{"will/silent", "gone", 1, false})
	c := b.mqtt3(t, "late", nil)
	c.subscribe("will/#", 1)
	want(t, c.receive(), message{"will/silent", "gone", 1, true})
	b.wantNoMore(t, sub, "will")
}

// TestWillUpdateChangesWhatIsMourned, 1.2 §6.4; an empty WILLTOPICUPD deletes.
func TestWillUpdateChangesWhatIsMourned(t *testing.T) {
	t.Parallel()
	b := start(t)
	sub := b.mosquittoSub(t, "will/#", 2)

	deleted := b.sensor("deleted")
	deleted.connectWithWill(true, time.Second, message{topic: "will/deleted", payload: "never"})
	deleted.send(&mqttsn.Willtopicupd{})
	expect[*mqttsn.Willtopicresp](deleted)
	changed := b.sensor("changed")
	changed.connectWithWill(true, time.Second, message{topic: "will/old", payload: "old"})
	changed.send(&mqttsn.Willtopicupd{QoS: 1, Topic: []byte("will/new")})
	if a := expect[*mqttsn.Willtopicresp](changed); a.Reason != mqttsn.Accepted {
		t.Fatalf("WILLTOPICRESP %v", a.Reason)
	}
	changed.send(&mqttsn.Willmsgupd{Payload: []byte("new")})
	if a := expect[*mqttsn.Willmsgresp](changed); a.Reason != mqttsn.Accepted {
		t.Fatalf("WILLMSGRESP %v", a.Reason)
	}
	want(t, sub.receive(), message{"will/new", "new", 1, false})
	b.wantNoMore(t, sub, "will")
}

// TestWillOfAnMQTTClientReachesASensor: the connection breaks without
// DISCONNECT. One that ends with DISCONNECT leaves no will.
func TestWillOfAnMQTTClientReachesASensor(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	s.subscribe("will/+", 2)

	polite := b.mqtt3(t, "polite", func(o *mqtt.ClientOptions) { o.SetWill("will/polite", "never", 1, false) })
	polite.disconnect()
	broken := b.mqtt5(t, "broken", func(c *paho.Connect) {
		c.WillMessage = &paho.WillMessage{Topic: "will/broken", Payload: []byte("gone"), QoS: 1}
	})
	broken.conn.Close()

	want(t, s.receive(), message{"will/broken", "gone", 1, false})
	s.hearsNothing()
}
