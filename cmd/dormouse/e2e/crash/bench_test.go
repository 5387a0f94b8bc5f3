package crash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"dormouse/mqttsn"
)

// benchTime is how long each figure is taken for.
const benchTime = 2 * time.Second

// BenchmarkDurable is how many QoS 1 publishes a second are acknowledged, each
// publisher waiting for one before the next: from sensors and from MQTT clients
// beside pebble's own synced commits, and beside Mosquitto with its persistence
// off, and saving at every change.
func BenchmarkDurable(b *testing.B) {
	v, err := newVictim(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer v.kill()
	for _, n := range []int{1, 64, 1024} {
		var raw float64
		b.Run(fmt.Sprint("pebble/", n), func(b *testing.B) { raw = commits(b, n) })
		of := func(b *testing.B, rate float64) {
			b.ReportMetric(rate, "publishes/s")
			if raw > 0 { // it was asked for, too
				b.ReportMetric(100*rate/raw, "%of-pebble")
			}
		}
		b.Run(fmt.Sprint("sensors/", n), func(b *testing.B) { of(b, rate(b, n, v.udp, newSensorPublisher)) })
		b.Run(fmt.Sprint("mqtt/", n), func(b *testing.B) { of(b, rate(b, n, v.tcp, newMQTTPublisher)) })
		for name, conf := range map[string]string{
			"mosquitto-memory":            "persistence false\n",
			"mosquitto-saves-each-change": "persistence true\nautosave_on_changes true\nautosave_interval 1\n",
		} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) { of(b, rate(b, n, mosquitto(b, conf), newMQTTPublisher)) })
		}
	}
}

// rate has n publishers publish for benchTime.
func rate(b *testing.B, n int, address string, newPublisher func(i int, address string) (func() error, io.Closer, error)) float64 {
	var publishers []func() error
	for i := range n {
		p, c, err := newPublisher(i, address)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		publishers = append(publishers, p)
	}
	return perSecond(b, publishers)
}

// perSecond does each of what over and over, all at once, for benchTime.
func perSecond(b *testing.B, what []func() error) float64 {
	var done atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
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
	return float64(done.Load()) / time.Since(start).Seconds()
}

// commits is what pebble does by itself with two records for each publish: a
// message, and who is to have it.
func commits(b *testing.B, n int) float64 {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{MemTableSize: 16 << 20, Logger: silent{}})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var count atomic.Uint64
	var all []func() error
	for range n {
		all = append(all, func() error {
			batch := db.NewBatch()
			defer batch.Close()
			key := binary.BigEndian.AppendUint64(make([]byte, 0, 16), count.Add(1))
			batch.Set(append(key, 'm'), make([]byte, 70), nil)
			batch.Set(append(key, 'q', 1, 2, 3, 4, 5), make([]byte, 6), nil)
			return batch.Commit(pebble.Sync)
		})
	}
	rate := perSecond(b, all)
	b.ReportMetric(rate, "commits/s")
	return rate
}

type silent struct{}

func (silent) Infof(string, ...any)      {}
func (silent) Errorf(string, ...any)     {}
func (silent) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// reading is what a sensor says.
var reading = []byte(`{"t":21.5,"h":40,"b":2.91}`)

// newSensorPublisher connects a sensor, which publishes retained messages, so
// that there is something to keep though nobody has subscribed.
func newSensorPublisher(i int, address string) (func() error, io.Closer, error) {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return nil, nil, err
	}
	buf := make([]byte, 1500)
	ask := func(p mqttsn.Packet) (mqttsn.Packet, error) {
		out, err := mqttsn.Append(nil, mqttsn.V12, p)
		if err != nil {
			return nil, err
		}
		for range 10 {
			conn.Write(out)
			conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			n, err := conn.Read(buf)
			if err == nil {
				return mqttsn.Decode(mqttsn.V12, buf[:n])
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, err
			}
		}
		return nil, errors.New("no answer")
	}
	id := fmt.Sprintf("bench-sensor-%d", i)
	if _, err := ask(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Hour, ClientID: []byte(id)}); err != nil {
		return nil, nil, err
	}
	p, err := ask(&mqttsn.Register{ID: 1, Name: []byte("bench/" + id)})
	if err != nil {
		return nil, nil, err
	}
	r, ok := p.(*mqttsn.Regack)
	if !ok || r.Reason != mqttsn.Accepted {
		return nil, nil, fmt.Errorf("REGISTER is answered by %v", p)
	}
	pub := &mqttsn.Publish{QoS: 1, Retain: true, Topic: mqttsn.Topic{ID: r.TopicID}, ID: 1, Payload: reading}
	return func() error {
		pub.ID = pub.ID%60000 + 1
		p, err := ask(pub)
		if a, ok := p.(*mqttsn.Puback); err == nil && (!ok || a.Reason != mqttsn.Accepted) {
			err = fmt.Errorf("PUBLISH is answered by %v", p)
		}
		return err
	}, conn, nil
}

// newMQTTPublisher connects an MQTT client, which publishes retained messages.
func newMQTTPublisher(i int, address string) (func() error, io.Closer, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	ask := func(p packets.ControlPacket) error {
		if err := p.Write(conn); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(patience))
		_, err := packets.ReadPacket(conn)
		return err
	}
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.ClientIdentifier = "MQTT", 4, true, fmt.Sprint("bench-client-", i)
	pub := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pub.Qos, pub.Retain, pub.TopicName, pub.Payload = 1, true, "bench/"+c.ClientIdentifier, reading
	return func() error {
		pub.MessageID = pub.MessageID%60000 + 1
		return ask(pub)
	}, conn, ask(c)
}

// mosquitto runs Debian's Mosquitto and returns its address.
func mosquitto(b *testing.B, conf string) string {
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
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	dir := b.TempDir()
	file := filepath.Join(dir, "mosquitto.conf")
	conf += fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest none\npersistence_location %s/\n", address.Port, dir)
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
		c, err := net.Dial("tcp", address.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		b.Fatal("mosquitto does not listen")
	}
	return address.String()
}
