package core_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// BenchmarkRestore is a start with 100,000 sleepers, each with a subscription
// and every tenth with a message that waits, and 1,000,000 retained messages.
func BenchmarkRestore(b *testing.B) {
	const sleepers, retained = 100_000, 1_000_000
	dir := filepath.Join(b.TempDir(), "store")
	s, err := disk.Open(dir, disk.Options{Sync: disk.SyncNever})
	if err != nil {
		b.Fatal(err)
	}
	write := func(facts ...store.Fact) {
		for s.Write(facts...) != nil { // it does not keep up
			time.Sleep(time.Millisecond)
		}
	}
	seq := uint64(0)
	publish := func(topic string, retain bool, to ...store.Receiver) {
		seq++
		m := &store.Message{Topic: topic, Payload: []byte(`{"t":21.5,"h":40,"b":2.91}`), QoS: 1, Retain: retain, Publisher: fmt.Sprint("plant-", seq%1000)}
		write(&store.Published{Seq: seq, Message: m, Receivers: slices.Values(to)})
	}
	for i := range sleepers {
		id := fmt.Sprintf("sensor-%013d", i)
		write(&store.Session{ClientID: id, User: "sensors", Expiry: 24 * time.Hour, Edge: string(make([]byte, 40))},
			&store.Subscribed{ClientID: id, Subscription: store.Subscription{Filter: "plant/7/" + id + "/set", QoS: 1}})
		if i%10 == 0 {
			publish("plant/7/"+id+"/set", false, store.Receiver{ClientID: id, QoS: 1})
		}
	}
	for i := range retained {
		publish(fmt.Sprintf("plant/7/sensor/%06d/reading", i), true)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := disk.Open(dir, disk.Options{})
		if err != nil {
			b.Fatal(err)
		}
		o := core.DefaultOptions()
		o.Store = s
		c := core.New(o)
		if err := c.Restore(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if got := c.Stats(); got.Clients != sleepers || got.Retained != retained || got.Waiting != sleepers/10 {
			b.Fatalf("%+v", got)
		}
		c.Close()
		b.StartTimer()
	}
}
