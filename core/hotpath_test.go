package core

import (
	"fmt"
	"testing"
)

// hotPaths are what is done for every message, and how many allocations each
// may take: for the message, and for each of its receivers.
var hotPaths = []struct {
	name   string
	allocs float64
	path   func(testing.TB) (once func())
}{
	{"QoS 1 to one", 8, func(t testing.TB) func() { return toOne(t, 0) }},
	{"QoS 1 to one of 100,000 sessions", 8, func(t testing.TB) func() { return toOne(t, 100_000) }},
	{"QoS 1 to 1,000", 4018, toThousand},
	{"QoS 1 to one of ten who share", 8, toShared},
}

func BenchmarkHotPaths(b *testing.B) {
	for _, h := range hotPaths {
		b.Run(h.name, func(b *testing.B) {
			once := h.path(b)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

// published has pub publish m, and waits for the acknowledgement.
func published(t testing.TB, pub *Session) func(m Message) {
	acked := false
	done := func(err error) { acked = err == nil }
	return func(m Message) {
		acked = false
		if pub.Publish(m, 1, done); !acked {
			t.Fatal("it is not acknowledged")
		}
	}
}

// fetch takes what there is for s, and acknowledges it.
func fetch(t testing.TB, s *Session) {
	d, ok := s.Next()
	if !ok {
		t.Fatal("nothing came")
	}
	s.Ack(d.ID)
}

// toOne takes a message from its publisher to the one who subscribes,
// acknowledged by both, among others.
func toOne(t testing.TB, others int) func() {
	broker := New(DefaultOptions())
	for i := range others {
		s := attach(broker, fmt.Sprintf("other%d", i))
		s.Subscribe(Subscription{Filter: fmt.Sprintf("sensors/%d/cmd", i), QoS: 1}, func(QoS, error) {})
	}
	sub, publish := attach(broker, "sub"), published(t, attach(broker, "pub"))
	sub.Subscribe(Subscription{Filter: "sensors/+/temperature", QoS: 1}, func(QoS, error) {})
	m := Message{Topic: "sensors/1234/temperature", Payload: []byte("21.5"), QoS: 1}
	return func() {
		publish(m)
		fetch(t, sub)
	}
}

// toThousand takes one message to a thousand.
func toThousand(t testing.TB) func() {
	broker := New(DefaultOptions())
	var subs []*Session
	for i := range 1000 {
		s := attach(broker, fmt.Sprintf("sub%d", i))
		s.Subscribe(Subscription{Filter: "news/#", QoS: 1}, func(QoS, error) {})
		subs = append(subs, s)
	}
	publish := published(t, attach(broker, "pub"))
	m := Message{Topic: "news/today", Payload: []byte("none"), QoS: 1}
	return func() {
		publish(m)
		for _, s := range subs {
			fetch(t, s)
		}
	}
}

// toShared takes a message to one of ten who share it, in turn.
func toShared(t testing.TB) func() {
	broker := New(DefaultOptions())
	var subs []*Session
	for i := range 10 {
		s := attach(broker, fmt.Sprintf("sub%d", i))
		s.Subscribe(Subscription{Filter: "$share/g/news/#", QoS: 1}, func(QoS, error) {})
		subs = append(subs, s)
	}
	publish := published(t, attach(broker, "pub"))
	m := Message{Topic: "news/today", Payload: []byte("none"), QoS: 1}
	turn := 0
	return func() {
		publish(m)
		fetch(t, subs[turn%len(subs)])
		turn++
	}
}
