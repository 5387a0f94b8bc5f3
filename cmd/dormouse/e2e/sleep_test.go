package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestSleeperGetsItsMail: however much waits, a sensor that wakes gets all of
// it in order, each message once, then PINGRESP, then silence. Among the
// messages are topics that it has never been told of (a wildcard matched) and
// every QoS.
func TestSleeperGetsItsMail(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.mqtt3(t, "client", nil)
	for _, n := range []int{0, 1, 20, 200} {
		s := b.sensor(fmt.Sprint("sleeper ", n))
		s.connect(true)
		s.subscribe(fmt.Sprintf("cmd/%d/+", n), 2)
		s.sleep(time.Hour)
		var sent []message
		for i := range n {
			m := message{topic: fmt.Sprintf("cmd/%d/%d", n, i%7), payload: fmt.Sprint(i), qos: i % 3}
			c.publish(m.topic, m.payload, m.qos, false)
			sent = append(sent, m)
		}
		s.hearsNothing()
		if got := s.wake(); !slices.Equal(got, sent) {
			t.Errorf("of %d messages the sleeper got %d: %v", n, len(got), got)
		}
		s.hearsNothing()
		if got := s.wake(); len(got) > 0 {
			t.Errorf("the second wake brought %v again", got)
		}
	}
}

// TestSleeperConnectsInsteadOfWaking: a CONNECT brings the mail as well, as to
// any active sensor (B8).
func TestSleeperConnectsInsteadOfWaking(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sleeper")
	s.connect(false)
	s.subscribe("cmd/#", 1)
	s.sleep(time.Hour)
	b.publish(t, "cmd/valve", "open", 1)
	s.hearsNothing()

	s.connect(false)
	want(t, s.receive(), message{"cmd/valve", "open", 1, false})
	b.publish(t, "cmd/valve", "shut", 1)
	want(t, s.receive(), message{"cmd/valve", "shut", 1, false})
}

// TestMailThatComesDuringAWakeJoinsIt: what is published while the sensor
// still has something to acknowledge comes before the PINGRESP.
func TestMailThatComesDuringAWakeJoinsIt(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sleeper")
	s.connect(true)
	s.subscribe("cmd", 1)
	s.sleep(time.Hour)
	b.publish(t, "cmd", "first", 1)
	s.hearsNothing()

	s.send(&mqttsn.Pingreq{ClientID: []byte(s.id)})
	first := expect[*mqttsn.Publish](s)
	b.publish(t, "cmd", "second", 1)
	s.hearsNothing() // one exchange at a time
	s.send(&mqttsn.Puback{TopicID: first.Topic.ID, ID: first.ID})
	if got := s.flush(); len(got) != 1 || got[0].payload != "second" {
		t.Errorf("after the first message the wake brought %v, want the second", got)
	}
}

// TestSleeperOverflow is row 54 of the hostile inputs, at a bound of 10: the
// newest survive, at QoS 0 the oldest go first, and it is counted.
func TestSleeperOverflow(t *testing.T) {
	t.Parallel()
	b := start(t, "limits.queue.messages=10")
	s := b.sensor("sleeper")
	s.connect(true)
	s.subscribe("cmd", 1)
	s.sleep(time.Hour)
	c := b.mqtt3(t, "client", nil)
	for i := range 1000 {
		c.publish("cmd", fmt.Sprint(i), i%2, false)
	}
	got := s.wake()
	if len(got) != 10 {
		t.Fatalf("a queue of 10 held %d", len(got))
	}
	for i, m := range got {
		if want := fmt.Sprint(981 + 2*i); m.payload != want || m.qos != 1 {
			t.Errorf("message %d of the queue is %v, want %s at QoS 1", i, m, want)
		}
	}
}
