package crash

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// benchTime is how long each figure is taken for, after warmUp.
const (
	benchTime = 2 * time.Second
	warmUp    = 500 * time.Millisecond
)

// BenchmarkDurable is how many QoS 1 publishes a second are acknowledged, each
// publisher waiting for one before the next: from sensors and from MQTT
// clients, beside what our store does by itself with the same messages, and
// pebble by itself with records of that size; and beside Mosquitto with its
// persistence off, and saving at every change.
//
// A server shares the machine with those who publish. "server-µs/publish" is
// the time that its process takes of all cores together for one: with a
// machine to itself it could do so much more.
func BenchmarkDurable(b *testing.B) {
	v, err := newVictim(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer v.kill()
	for _, n := range []int{1, 64, 1024} {
		var pebbles, stores float64
		b.Run(fmt.Sprint("pebble/", n), func(b *testing.B) { pebbles = commits(b, n) })
		b.Run(fmt.Sprint("store/", n), func(b *testing.B) { stores = writes(b, n) })
		served := func(b *testing.B, l load, pid int, syncs func() uint64) {
			rate := serve(b, l, pid, syncs)
			if pebbles > 0 && stores > 0 { // they were asked for, too
				b.ReportMetric(100*rate/pebbles, "%of-pebble")
				b.ReportMetric(100*rate/stores, "%of-store")
			}
		}
		syncs := func() uint64 { return v.metric(b, "dormouse_store_sync_seconds_count") }
		b.Run(fmt.Sprint("sensors/", n), func(b *testing.B) { served(b, newSensors(b, n, v.udp), v.process.Process.Pid, syncs) })
		b.Run(fmt.Sprint("mqtt/", n), func(b *testing.B) { served(b, newClients(b, n, v.tcp), v.process.Process.Pid, syncs) })
		for _, m := range []struct{ name, conf string }{
			{"mosquitto-memory", "persistence false\n"},
			{"mosquitto-saves-each-change", "persistence true\nautosave_on_changes true\nautosave_interval 1\n"},
		} {
			b.Run(fmt.Sprint(m.name, "/", n), func(b *testing.B) {
				address, pid := mosquitto(b, m.conf)
				served(b, newClients(b, n, address), pid, nil)
			})
		}
	}
}

// reading is what a sensor says.
var reading = []byte(`{"t":21.5,"h":40,"b":2.91}`)

// A load is publishers, each of which has one message of QoS 1 acknowledged
// before it sends the next. They are retained, so that there is something to
// keep though nobody has subscribed. All are served by one goroutine, and read
// and write what there is at once, to leave the machine to the server.
type load interface {
	// turn sends the next message of each publisher whose last is acknowledged,
	// waits for acknowledgements and returns how many came.
	turn() (int, error)
}

// serve has l publish for benchTime to the server of a process, and reports
// what that takes. syncs are the server's, or nil.
func serve(b *testing.B, l load, pid int, syncs func() uint64) (rate float64) {
	run := func(d time.Duration) (n int, took time.Duration) {
		start := time.Now()
		for ; took < d; took = time.Since(start) {
			acknowledged, err := l.turn()
			if err != nil {
				b.Fatal(err)
			}
			n += acknowledged
		}
		return n, took
	}
	run(warmUp)
	if syncs == nil {
		syncs = func() uint64 { return 0 }
	}
	server, own, synced := cpuTime(b, pid), cpuTime(b, os.Getpid()), syncs()
	n, took := run(benchTime)
	server, own, synced = cpuTime(b, pid)-server, cpuTime(b, os.Getpid())-own, syncs()-synced
	rate = float64(n) / took.Seconds()
	b.ReportMetric(rate, "publishes/s")
	b.ReportMetric(float64(server.Microseconds())/float64(n), "server-µs/publish")
	b.ReportMetric(float64(own.Microseconds())/float64(n), "load-µs/publish")
	if synced > 0 {
		b.ReportMetric(float64(synced)/took.Seconds(), "syncs/s")
	}
	return rate
}

// cpuTime is what a process has had of all cores.
func cpuTime(b *testing.B, pid int) time.Duration {
	clock := ^pid<<3 | 2 // CPUCLOCK_SCHED of the process, see clock_getcpuclockid(3)
	var t unix.Timespec
	if err := unix.ClockGettime(int32(clock), &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// metric reads one of the broker's.
func (v *victim) metric(b *testing.B, name string) (n uint64) {
	r, err := http.Get(v.admin + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), name+" %d", &n); err == nil {
			return n
		}
	}
	b.Fatalf("there is no %s", name)
	return 0
}

// perSecond does each of what over and over, all at once, for benchTime.
func perSecond(b *testing.B, what []func() error) float64 {
	var done atomic.Int64
	var all sync.WaitGroup
	own := cpuTime(b, os.Getpid())
	start := time.Now()
	for _, do := range what {
		all.Go(func() {
			for time.Since(start) < benchTime {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	rate := float64(done.Load()) / time.Since(start).Seconds()
	b.ReportMetric(rate, "publishes/s")
	b.ReportMetric(float64((cpuTime(b, os.Getpid())-own).Microseconds())/float64(done.Load()), "server-µs/publish")
	return rate
}

// commits is what pebble does by itself with two records for each publish: a
// message, and who is to have it.
func commits(b *testing.B, n int) float64 {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{MemTableSize: 16 << 20, Logger: silent{}, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var count atomic.Uint64
	return perSecond(b, slices.Repeat([]func() error{func() error {
		batch := db.NewBatch()
		defer batch.Close()
		key := binary.BigEndian.AppendUint64(make([]byte, 0, 16), count.Add(1))
		batch.Set(append(key, 'm'), make([]byte, 70), nil)
		batch.Set(append(key, 'q', 1, 2, 3, 4, 5), make([]byte, 6), nil)
		return batch.Commit(pebble.Sync)
	}}, n))
}

// writes is what our store does by itself with what core writes for a load.
func writes(b *testing.B, n int) float64 {
	s, err := disk.Open(filepath.Join(b.TempDir(), "store"), disk.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var seq atomic.Uint64
	var all []func() error
	for i := range n {
		who := fmt.Sprint("bench-", i)
		m := &store.Message{Topic: "bench/" + who, Payload: reading, QoS: 1, Retain: true, Publisher: who}
		answer := make(chan error, 1)
		all = append(all, func() error {
			if err := s.Write(&store.Published{Seq: seq.Add(1), Message: m, Receivers: slices.Values([]store.Receiver(nil))}); err != nil {
				return err
			}
			s.Sync(func(err error) { answer <- err })
			return <-answer
		})
	}
	return perSecond(b, all)
}

type silent struct{}

func (silent) Infof(string, ...any)      {}
func (silent) Errorf(string, ...any)     {}
func (silent) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// mosquitto runs Debian's Mosquitto and returns its address and its process.
func mosquitto(b *testing.B, conf string) (address string, pid int) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			b.Skip("mosquitto is not installed")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr)
	l.Close()
	dir := b.TempDir()
	file := filepath.Join(dir, "mosquitto.conf")
	conf += fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest none\npersistence_location %s/\n", at.Port, dir)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	p := exec.Command(program, "-c", file)
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
	})
	if !soon(func() bool {
		c, err := net.Dial("tcp", at.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		b.Fatal("mosquitto does not listen")
	}
	return at.String(), p.Process.Pid
}

var errSilent = errors.New("the server has not answered for a long time")
