package core

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

type nobody struct{}

func (*nobody) Mail()           {}
func (*nobody) Kick(KickReason) {}

func attach(b *Broker, id string) (s *Session) {
	b.Open(Identity{ClientID: id, Edge: "test"}, SessionOptions{Expiry: Forever}, &nobody{},
		func(opened *Session, _ bool, _ error) { s = opened })
	return s
}

// BenchmarkSessionMemory weighs attached sessions with a literal subscription
// each: all of core's state but the texts of client ids and filters.
func BenchmarkSessionMemory(b *testing.B) {
	const sessions = 100_000
	ids, filters := make([]string, sessions), make([]string, sessions)
	sinks := make([]nobody, sessions)
	for i := range ids {
		ids[i], filters[i] = fmt.Sprintf("sensor-%013d", i), fmt.Sprintf("sensors/%d/cmd", i)
	}
	for b.Loop() {
		before := heap()
		broker := New(DefaultOptions())
		for i := range ids {
			broker.Open(Identity{ClientID: ids[i], Edge: "mqttsn", Listener: "sn"}, SessionOptions{Expiry: Forever}, &sinks[i],
				func(s *Session, _ bool, _ error) {
					s.Subscribe(Subscription{Filter: filters[i], QoS: 1}, func(QoS, error) {})
				})
		}
		b.ReportMetric(float64(heap()-before)/sessions, "B/session")
		runtime.KeepAlive(broker)
	}
}

// BenchmarkReplayMemory weighs clients that have subscribed to # when much is
// retained, and wait for all of it.
func BenchmarkReplayMemory(b *testing.B) {
	const topics, clients = 100_000, 100
	broker := New(DefaultOptions())
	for i := range topics {
		m := Message{Topic: fmt.Sprintf("sensors/%d/%d", i/100, i%100), Payload: []byte("x"), QoS: 1, Retain: true}
		broker.Publish(Identity{}, m, func(error) {})
	}
	for round := 0; b.Loop(); round++ {
		before := heap()
		for i := range clients {
			s := attach(broker, fmt.Sprint(round, " ", i))
			s.Subscribe(Subscription{Filter: "#", QoS: 1}, func(QoS, error) {})
			for range 64 {
				if _, ok := s.Next(); !ok {
					b.Fatal("nothing came")
				}
			}
		}
		b.ReportMetric(float64(heap()-before)/clients, "B/client")
	}
}

// BenchmarkWildcardSubscribe subscribes to # when 100,000 messages are
// retained, at a rate that does not hold it back: how long until the answer,
// until all has come, and how much the heap has grown at its worst.
func BenchmarkWildcardSubscribe(b *testing.B) {
	const topics, sample = 100_000, 1000
	o := DefaultOptions()
	o.Retained.PerPublisher, o.Retained.ReplayAtOnce = topics, topics
	broker := New(o)
	for i := range topics {
		m := Message{Topic: fmt.Sprintf("sensors/%d/%d", i/100, i%100), Payload: []byte("21.5 degrees"), QoS: 1, Retain: true}
		broker.Publish(Identity{}, m, func(error) {})
	}
	var answered, worst time.Duration
	var peak uint64
	for round := 0; b.Loop(); round++ {
		s := attach(broker, fmt.Sprint(round))
		b.StopTimer()
		before := heap()
		b.StartTimer()
		start := time.Now()
		s.Subscribe(Subscription{Filter: "#", QoS: 1}, func(QoS, error) { answered += time.Since(start) })
		for n := range topics {
			asked := time.Now()
			d, ok := s.Next()
			if !ok {
				b.Fatalf("%d of %d came", n, topics)
			}
			worst = max(worst, time.Since(asked))
			s.Ack(d.ID)
			if n%sample == 0 {
				b.StopTimer()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc-min(before, m.HeapAlloc))
				b.StartTimer()
			}
		}
		s.Detach(Clean, func(error) {})
	}
	b.ReportMetric(float64(answered.Microseconds())/float64(b.N), "µs/answer")
	b.ReportMetric(float64(worst.Microseconds()), "µs/worst-Next")
	b.ReportMetric(float64(peak)/(1<<20), "MiB/peak")
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
