package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dormouse/mqttsn"
)

const (
	warmUp  = time.Second
	measure = 4 * time.Second
	silence = 10 * time.Second // that no answer takes
	lag     = 500              // messages that the subscriber may be behind
)

// BenchmarkSensors measures the whole binary, as "make build" leaves it:
// sensors publish at QoS 1 as fast as it answers, one message under way each
// (1.2 §6.6), and one MQTT subscriber gets them all. An acknowledgement does
// not wait for subscribers, so that the load holds back where the subscriber
// falls behind by half of what its queue holds: the rate is what both ends
// sustain. Both are counted, and it fails if they differ. The load shares the
// machine with the binary, whose own CPU time is the second figure.
func BenchmarkSensors(b *testing.B) {
	for _, sensors := range []int{1, 20, 100} {
		for qos := range byte(2) {
			b.Run(fmt.Sprintf("sensors=%d/subscriber=QoS%d", sensors, qos), func(b *testing.B) {
				benchmarkSensors(b, sensors, qos)
			})
		}
	}
}

func benchmarkSensors(b *testing.B, sensors int, qos byte) {
	s := startBuilt(b)
	sub := newLoadSubscriber(b, s.tcp, qos)
	var acked atomic.Int64
	var stop atomic.Bool
	var done sync.WaitGroup
	for i := range sensors {
		l := newLoadSensor(b, s.udp, i)
		done.Go(func() {
			for !stop.Load() {
				if acked.Load()-sub.received.Load() > lag {
					time.Sleep(50 * time.Microsecond)
				} else if !l.publish(&acked) {
					return
				}
			}
		})
	}
	time.Sleep(warmUp)
	published, spent := acked.Load(), s.cpu()
	b.ResetTimer()
	for b.Loop() {
		time.Sleep(measure)
	}
	elapsed := b.Elapsed()
	published, spent = acked.Load()-published, s.cpu()-spent
	stop.Store(true)
	done.Wait()

	for last, since := int64(-1), time.Now(); sub.received.Load() < acked.Load(); {
		if n := sub.received.Load(); n != last {
			last, since = n, time.Now()
		} else if time.Since(since) > silence {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got, want := sub.received.Load(), acked.Load(); got != want {
		b.Errorf("the broker acknowledged %d messages, the subscriber got %d", want, got)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(published)/elapsed.Seconds(), "publishes/s")
	b.ReportMetric(float64(spent.Microseconds())/float64(max(1, published)), "CPU-µs/publish")
}

// A loadSensor publishes with the codec alone, to cost the machine little.
type loadSensor struct {
	b    *testing.B
	conn net.Conn
	d    mqttsn.Decoder
	in   [256]byte
	out  []byte
	p    mqttsn.Publish
}

// newLoadSensor returns a sensor that is connected and has its topic registered.
func newLoadSensor(b *testing.B, address string, i int) *loadSensor {
	b.Helper()
	conn, err := net.Dial("udp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	l := &loadSensor{b: b, conn: conn}
	l.p = mqttsn.Publish{QoS: 1, Payload: []byte("23.5 deg C 0")}
	connect := &mqttsn.Connect{ProtocolID: 1, CleanSession: true, ClientID: fmt.Appendf(nil, "load-%d", i)}
	if c, ok := l.ask(connect).(*mqttsn.Connack); !ok || c.Reason != mqttsn.Accepted {
		b.Fatalf("sensor %d: CONNECT is answered with %v", i, c)
	}
	r, ok := l.ask(&mqttsn.Register{ID: 1, Name: fmt.Appendf(nil, "bench/%d", i)}).(*mqttsn.Regack)
	if !ok || r.Reason != mqttsn.Accepted {
		b.Fatalf("sensor %d: REGISTER is answered with %v", i, r)
	}
	l.p.Topic.ID = r.TopicID
	return l
}

// ask sends p and returns the answer, nil if there is none in time.
func (l *loadSensor) ask(p mqttsn.Packet) mqttsn.Packet {
	l.out, _ = mqttsn.Append(l.out[:0], mqttsn.V12, p)
	if _, err := l.conn.Write(l.out); err != nil {
		return nil
	}
	l.conn.SetReadDeadline(time.Now().Add(silence))
	n, err := l.conn.Read(l.in[:])
	if err != nil {
		return nil
	}
	answer, err := l.d.Decode(mqttsn.V12, l.in[:n])
	if err != nil {
		return nil
	}
	return answer
}

// publish publishes one message and counts it if it is acknowledged.
func (l *loadSensor) publish(acked *atomic.Int64) bool {
	l.p.ID = max(1, l.p.ID+1)
	a, ok := l.ask(&l.p).(*mqttsn.Puback)
	if !ok || a.ID != l.p.ID || a.Reason != mqttsn.Accepted {
		l.b.Errorf("PUBLISH %d is answered with %v", l.p.ID, a)
		return false
	}
	acked.Add(1)
	return true
}

// A loadSubscriber is the least MQTT 3.1.1 client that can count.
type loadSubscriber struct {
	received atomic.Int64
}

func newLoadSubscriber(b *testing.B, address string, qos byte) *loadSubscriber {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReaderSize(conn, 1<<16)
	for _, exchange := range []struct{ request, answer string }{
		{"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04load", "\x20\x02\x00\x00"},
		{"\x82\x0c\x00\x01\x00\x07bench/#" + string(rune(qos)), "\x90\x03\x00\x01" + string(rune(qos))},
	} {
		io.WriteString(conn, exchange.request)
		answer := make([]byte, len(exchange.answer))
		if _, err := io.ReadFull(r, answer); err != nil || string(answer) != exchange.answer {
			b.Fatalf("the broker answers %x with %x, %v", exchange.request, answer, err)
		}
	}
	s := new(loadSubscriber)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.count(r, conn)
	}()
	b.Cleanup(func() {
		conn.Close()
		<-done
	})
	return s
}

// count reads PUBLISH packets until the connection ends, and acknowledges them
// in batches. They are short: Remaining Length is one octet.
func (s *loadSubscriber) count(r *bufio.Reader, conn io.Writer) {
	w := bufio.NewWriter(conn)
	for {
		header, err := r.Peek(2)
		if err != nil {
			return
		}
		packet := make([]byte, 2+int(header[1]))
		if _, err := io.ReadFull(r, packet); err != nil {
			return
		}
		if packet[0]&0x06 != 0 {
			id := packet[4+binary.BigEndian.Uint16(packet[2:]):][:2]
			w.Write([]byte{0x40, 2, id[0], id[1]})
		}
		s.received.Add(1)
		if r.Buffered() == 0 {
			w.Flush()
		}
	}
}
