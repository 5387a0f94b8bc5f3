package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dormouse/bridge"
	"dormouse/core"
	"dormouse/core/store"
	"dormouse/core/store/disk"
	"dormouse/mqttsn"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport"
)

// BenchmarkStart is how long it takes the real binary, from its start until
// /readyz says so, to go on from what it finds: sensors asleep, each with a
// subscription and every tenth with a message that waits, which the gateway
// takes up again, and retained messages. Beside it is the processors' time,
// which tells more on a machine with something else to do.
func BenchmarkStart(b *testing.B) {
	for _, sensors := range []int{10_000, 100_000} {
		for _, retained := range []int{0, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("sensors=%d/retained=%d", sensors, retained), func(b *testing.B) {
				dir := b.TempDir()
				if err := fill(filepath.Join(dir, "data"), sensors, retained); err != nil {
					b.Fatal(err)
				}
				starts(b, dir, sensors, retained)
			})
		}
	}
}

// starts starts the binary on what is in dir, over and over.
func starts(b *testing.B, dir string, sensors, retained int) {
	var cpu time.Duration
	var memory int64
	for b.Loop() {
		v, err := newVictim(dir)
		if err != nil {
			b.Fatal(err)
		}
		err = v.saysReady()
		b.StopTimer()
		v.kill()
		if err != nil {
			b.Fatal(err)
		}
		for _, all := range []string{
			fmt.Sprintf(`"clients":%d,`, sensors),
			fmt.Sprintf(`"sessions":%d,"messages":%d,"retained":%d,`, sensors, sensors/10, retained),
		} {
			if !strings.Contains(v.log.String(), all) {
				b.Fatalf("not all is there, %s, but\n%s", all, v.log.String())
			}
		}
		was := v.process.ProcessState
		cpu += was.UserTime() + was.SystemTime()
		memory = max(memory, was.SysUsage().(*syscall.Rusage).Maxrss<<10)
		b.StartTimer()
	}
	perStart := 1 / float64(b.N)
	b.ReportMetric(b.Elapsed().Seconds()*perStart, "s/start")
	b.ReportMetric(cpu.Seconds()*perStart, "cpu-s/start")
	b.ReportMetric(float64(cpu.Nanoseconds())*perStart/float64(sensors+retained), "cpu-ns/record")
	b.ReportMetric(float64(memory)/(1<<20), "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

// saysReady asks /readyz.
func (v *victim) saysReady() error {
	r, err := http.Get(v.admin + "/readyz")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz is %s", r.Status)
	}
	return nil
}

// fill makes the store of a broker that was killed while so many sensors slept.
func fill(dir string, sensors, retained int) error {
	asleep, next, err := putToSleep(sensors)
	if err != nil {
		return err
	}
	s, err := disk.Open(dir, disk.Options{Sync: disk.SyncNever})
	if err != nil {
		return err
	}
	write := func(f store.Fact) error {
		err := s.Write(f)
		for ; errors.Is(err, store.ErrFull); err = s.Write(f) { // it does not keep up
			time.Sleep(time.Millisecond)
		}
		return err
	}
	if err := asleep.Load(write); err != nil {
		return err
	}
	for i := range retained {
		m := &store.Message{Topic: fmt.Sprintf("plant/7/sensor/%07d/reading", i*7919%retained), Payload: reading, QoS: 1, Retain: true, Publisher: fmt.Sprint("plant-", i%1000)}
		if err := write(&store.Published{Seq: next + uint64(i), Message: m, Receivers: slices.Values([]store.Receiver(nil))}); err != nil {
			return err
		}
	}
	return s.Close()
}

// putToSleep has so many sensors connect, subscribe and fall asleep, and
// publishes to every tenth. No message has the number next yet, or a higher one.
func putToSleep(sensors int) (asleep *store.Memory, next uint64, err error) {
	o := core.DefaultOptions()
	asleep = store.NewMemory()
	o.Store = asleep
	broker := core.New(o)
	c := gateway.DefaultConfig()
	c.Listener = "sn"
	c.Strangers.Connects, c.Strangers.ResponsesPerPrefix = 1e9, 1e9
	g := gateway.New(c, deaf{}, bridge.New(broker, bridge.DefaultConfig()), beginning)
	g.SetReady(true)
	for i := range sensors {
		from := transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1 + byte(i>>16), byte(i >> 8), byte(i)}), 1884)}
		id := fmt.Sprintf("sensor-%013d", i)
		topic := "plant/7/" + id + "/set"
		for _, p := range []mqttsn.Packet{
			&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte(id)},
			&mqttsn.Subscribe{QoS: 1, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(topic)}},
			&mqttsn.Disconnect{Duration: 12 * time.Hour},
		} {
			buf, err := mqttsn.Append(nil, mqttsn.V12, p)
			if err != nil {
				return nil, 0, err
			}
			g.Receive([]transport.Datagram{{Peer: from, Buf: buf}})
			g.Step(beginning)
		}
		if i%10 == 0 {
			m := core.Message{Topic: topic, Payload: reading, QoS: 1}
			broker.Publish(core.Identity{}, m, func(e error) { err = e })
		}
	}
	if n := broker.Stats().Waiting; err == nil && n != (sensors+9)/10 {
		err = fmt.Errorf("%d messages wait", n)
	}
	return asleep, uint64(sensors), err
}

// deaf is a transport that nobody speaks to or hears from.
type deaf struct{}

func (deaf) Serve(ctx context.Context, _ func([]transport.Datagram)) error {
	<-ctx.Done()
	return nil
}
func (deaf) Send([]transport.Datagram) error { return nil }
