package disk_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// reading is what a sensor says, under a topic of a usual length.
var reading = []byte(`{"t":21.5,"h":40,"b":2.91}`)

// BenchmarkDurable is publishes a second that wait for the disk, for so many
// publishers, beside what pebble does by itself with records of that size.
func BenchmarkDurable(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("pebble/", n), func(b *testing.B) { rawly(b, n) })
		b.Run(fmt.Sprint("store/", n), func(b *testing.B) { durably(b, n) })
	}
}

// writers does b.N times what of a publisher, by n publishers at once.
func writers(b *testing.B, n int, what func(publisher, i int)) {
	var all sync.WaitGroup
	b.ResetTimer()
	for p := range n {
		all.Go(func() {
			for i := p; i < b.N; i += n {
				what(p, i)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publishes/s")
}

func rawly(b *testing.B, n int) {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{MemTableSize: 16 << 20, Logger: quietly{}, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	writers(b, n, func(_, i int) {
		batch := db.NewBatch()
		defer batch.Close()
		key := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(i))
		batch.Set(append(key, 'm'), make([]byte, 70), nil)
		batch.Set(append(key, 'q', 1, 2, 3, 4, 5), make([]byte, 6), nil)
		if err := batch.Commit(pebble.Sync); err != nil {
			b.Error(err)
		}
	})
}

func durably(b *testing.B, n int) {
	s, err := disk.Open(filepath.Join(b.TempDir(), "store"), disk.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Write(&store.Session{ClientID: "dashboard"}); err != nil {
		b.Fatal(err)
	}
	answers := make([]chan error, n)
	for p := range answers {
		answers[p] = make(chan error, 1)
	}
	writers(b, n, func(p, i int) {
		m := &store.Message{Topic: "plant/7/sensor/0123/reading", Payload: reading, QoS: 1, Publisher: "sensor-0123"}
		to := slices.Values([]store.Receiver{{ClientID: "dashboard", QoS: 1}})
		if err := s.Write(&store.Published{Seq: uint64(i + 1), Message: m, Receivers: to}); err != nil {
			b.Error(err)
		}
		s.Sync(func(err error) { answers[p] <- err })
		if err := <-answers[p]; err != nil {
			b.Error(err)
		}
	})
	b.StopTimer()
}

type quietly struct{}

func (quietly) Infof(string, ...any)      {}
func (quietly) Errorf(string, ...any)     {}
func (quietly) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// sleeper is a session of one subscription, and what waits for it.
func sleeper(i int) []store.Fact {
	id := fmt.Sprintf("sensor-%013d", i)
	return []store.Fact{
		&store.Session{ClientID: id, User: "sensors", Expiry: 24 * time.Hour, Edge: string(make([]byte, 40))},
		&store.Subscribed{ClientID: id, Subscription: store.Subscription{Filter: "plant/7/" + id + "/set", QoS: 1}},
	}
}

func retained(i int) []store.Fact {
	m := &store.Message{Topic: fmt.Sprintf("plant/7/sensor/%06d/reading", i), Payload: reading, QoS: 1, Retain: true, Publisher: "dashboard", Taken: 1_780_000_000 + int64(i/100)}
	return []store.Fact{&store.Published{Seq: uint64(i + 1), Message: m, Receivers: slices.Values([]store.Receiver(nil))}}
}

func waiting(i int) []store.Fact {
	m := &store.Message{Topic: "plant/7/sensor/set", Payload: reading, QoS: 1, Publisher: "dashboard", Taken: 1_780_000_000 + int64(i/100)}
	to := slices.Values([]store.Receiver{{ClientID: fmt.Sprintf("sensor-%013d", i%100), QoS: 1}})
	return []store.Fact{&store.Published{Seq: uint64(i + 1), Message: m, Receivers: to}}
}

// fill writes n times what facts says to the store in dir, and closes it.
func fill(b *testing.B, dir string, n int, facts func(i int) []store.Fact) {
	s := open(b, dir, disk.Options{Sync: disk.SyncNever})
	for i := range n {
		for s.Write(facts(i)...) != nil { // it does not keep up
			time.Sleep(time.Millisecond)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSize is the octets on disk of each of what is kept: as it was
// written, and once pebble has merged its files.
func BenchmarkSize(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		for _, tt := range []struct {
			each  string
			facts func(i int) []store.Fact
		}{{"sleeper", sleeper}, {"retained", retained}, {"waiting", waiting}} {
			dir := filepath.Join(b.TempDir(), "store")
			fill(b, dir, 100, sleeper)
			before := size(b, dir)
			fill(b, dir, n, tt.facts)
			b.ReportMetric((size(b, dir)-before)/n, "B-written/"+tt.each)
			db, err := pebble.Open(dir, &pebble.Options{Logger: quietly{}})
			if err == nil {
				err = db.Compact(b.Context(), []byte{0}, []byte{0xff}, true)
			}
			if err == nil {
				err = db.Close()
			}
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric((size(b, dir)-before)/n, "B/"+tt.each)
		}
	}
}

// BenchmarkLoad is a start with 100,000 sleepers and 1,000,000 retained
// messages.
func BenchmarkLoad(b *testing.B) {
	const sleepers, messages = 100_000, 1_000_000
	dir := filepath.Join(b.TempDir(), "store")
	fill(b, dir, sleepers, sleeper)
	fill(b, dir, messages, retained)
	var kept uint64
	b.ResetTimer()
	for range b.N {
		s := open(b, dir, disk.Options{})
		facts := 0
		if err := s.Load(func(store.Fact) error { facts++; return nil }); err != nil {
			b.Fatal(err)
		}
		if want := 2*sleepers + messages; facts != want {
			b.Fatalf("%d facts of %d", facts, want)
		}
		b.StopTimer()
		with := heap()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		s = nil
		kept = with - min(with, heap())
		b.StartTimer()
	}
	b.ReportMetric(float64(kept)/sleepers, "B-memory/sleeper")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// size is the octets of all files in dir.
func size(b *testing.B, dir string) (n float64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		n += float64(i.Size())
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkDelivered is a message that is stored for one subscriber, goes out
// and is acknowledged, of 500 in each turn, on a disk that costs nothing.
func BenchmarkDelivered(b *testing.B) {
	const turn = 500
	s := open(b, "data", disk.Options{FS: vfs.NewMem()})
	defer s.Close()
	to := store.Receiver{ClientID: "dashboard", QoS: 1}
	if err := keeps(s, &store.Session{ClientID: "dashboard"}); err != nil {
		b.Fatal(err)
	}
	m := &store.Message{Topic: "plant/7/sensor/0123/reading", Payload: reading, QoS: 1, Publisher: "sensor-0123"}
	receivers := slices.Values([]store.Receiver{to})
	for seq := uint64(1); seq <= uint64(b.N); seq++ {
		facts := []store.Fact{&store.Published{Seq: seq, Message: m, Receivers: receivers}}
		if seq > turn {
			facts = append(facts, &store.Taken{Receiver: to, Seq: seq - turn, ID: 1}, &store.Settled{ClientID: "dashboard", ID: 1})
		}
		for _, f := range facts {
			if err := s.Write(f); err != nil {
				b.Fatal(err)
			}
		}
		if seq%turn == 0 {
			settled(s)
		}
	}
}
