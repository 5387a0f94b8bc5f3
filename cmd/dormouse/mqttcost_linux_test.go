package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkIdle measures the memory that a client costs which is connected,
// has one subscription and is silent.
func BenchmarkIdle(b *testing.B) {
	const clients = 5000
	var t table
	t.head("broker", "RSS KB/client")
	for _, p := range startPeers(b) {
		l := newLoad(b)
		p.rest()
		before := p.rss()
		for i := range clients {
			c := l.dial(p.addr, fmt.Sprintf("idle-%d", i))
			l.subscribe(c, fmt.Sprintf("idle/%d", i), 1)
		}
		p.rest()
		each := float64(p.rss()-before) / clients / 1024
		b.ReportMetric(each, p.name+"-KB/client")
		t.row(p.name, each)
	}
	b.ReportMetric(0, "ns/op")
	t.print()
}

// rest waits until the process computes no more.
func (c *child) rest() {
	for quiet := 0; quiet < 5; {
		before := c.cpu()
		time.Sleep(100 * time.Millisecond)
		if quiet++; c.cpu() > before {
			quiet = 0
		}
	}
}

// BenchmarkRetained measures a wildcard subscription over 100,000 retained
// messages: how long SUBACK takes, how long the last message, and by how much
// the broker's memory has then grown.
func BenchmarkRetained(b *testing.B) {
	const topics, patience = 100_000, 4 * time.Second
	var t table
	t.head("broker", "SUBACK ms", "last message ms", "MB more", "CPU ms")
	for i, p := range startPeers(b) {
		l := newLoad(b)
		pub := l.dial(p.addr, "pub")
		for n := range topics {
			topic := fmt.Sprintf("home/%d/%d/state", n/100, n%100)
			l.send(pub, pub.appendPublish(nil, topic, 1, true, make([]byte, 64)))
			for since := time.Now(); pub.flying >= 64; l.turn(100) {
				if time.Since(since) > silence {
					b.Fatalf("%s does not acknowledge", p.name)
				}
			}
		}
		sub := l.dial(p.addr, "sub")
		p.rest()
		memory, cpu, start := p.rss(), p.cpu(), time.Now()
		l.ask(sub, subscribePacket("home/#", 0))
		suback := time.Since(start)
		for l.received < topics && time.Since(start) < patience {
			l.turn(100)
		}
		last := time.Since(start)
		if lost := topics - l.received; lost > 0 && i == 0 {
			b.Errorf("%s has lost %d messages", p.name, lost)
		} else if lost > 0 {
			b.Logf("%s has lost %d messages", p.name, lost)
		}
		more := float64(p.maxRSS()-memory) / (1 << 20)
		b.ReportMetric(suback.Seconds()*1000, p.name+"-SUBACK-ms")
		b.ReportMetric(last.Seconds()*1000, p.name+"-ms")
		b.ReportMetric(more, p.name+"-MB")
		t.row(p.name, suback.Seconds()*1000, last.Seconds()*1000, more, (p.cpu()-cpu).Seconds()*1000)
	}
	b.ReportMetric(0, "ns/op")
	t.print()
}

// BenchmarkStalled measures what one subscriber that stops reading does to
// others: 8 MB of its topics a second, in messages of 1 KB, while others
// exchange 500 messages a second. Their latency is measured with that
// subscriber reading, and with it stalled, by turns.
func BenchmarkStalled(b *testing.B) {
	var t table
	t.head("QoS", "feed", "p50 ms", "p99 ms", "p99 grows %")
	for qos := range byte(3) {
		b.Run(fmt.Sprintf("QoS%d", qos), func(b *testing.B) {
			p := startDormouse(b)
			reads, stalled := newStalls(b, p, qos), newStalls(b, p, qos)
			for range 6 {
				reads.run(false)
				stalled.run(true)
			}
			growth := 100 * (stalled.quantile(0.99)/reads.quantile(0.99) - 1)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(reads.quantile(0.99), "p99-reading-ms")
			b.ReportMetric(stalled.quantile(0.99), "p99-stalled-ms")
			b.ReportMetric(growth, "growth-%")
			t.row(qos, "reads", reads.quantile(0.5), reads.quantile(0.99), "")
			t.row(qos, "stalls", stalled.quantile(0.5), stalled.quantile(0.99), growth)
		})
	}
	t.print()
}

// A stalls is a feed to one subscriber, and others whose latency is measured.
type stalls struct {
	*peer
	qos     byte
	latency []float64 // ms
}

func newStalls(b *testing.B, p *peer, qos byte) *stalls { return &stalls{peer: p, qos: qos} }

// run feeds and measures for a while. The subscriber reads all or nothing.
func (s *stalls) run(stall bool) {
	const (
		lasts = time.Second
		rate  = 500
		fed   = 8000
	)
	feed := newStream(s.b, s.addr, 1, 1, s.qos, 1000)
	feed.window = 1 << 30
	if stall {
		feed.ignoreSubscribers()
	}
	others := newLoad(s.b)
	defer feed.close()
	defer others.close()
	sub, pub := others.dial(s.addr, "other-sub"), others.dial(s.addr, "other-pub")
	others.subscribe(sub, "other", 0)
	start := time.Now()
	others.onMessage = func(packet []byte) {
		sent := time.Duration(binary.BigEndian.Uint64(packet[len(packet)-8:]))
		s.latency = append(s.latency, (time.Since(start)-sent).Seconds()*1000)
	}
	step := time.Second / rate
	for next := time.Duration(0); next < lasts; next += step {
		for time.Since(start) < next {
			feed.publish(int(fed*time.Since(start).Seconds()) - feed.sent)
			feed.turn(0)
			others.turn(0)
		}
		now := binary.BigEndian.AppendUint64(nil, uint64(time.Since(start)))
		others.send(pub, pub.appendPublish(nil, "other", 0, false, now))
	}
	for want := int(lasts / step); others.received < want; others.turn(100) {
		if time.Since(start) > silence {
			s.b.Fatalf("others got %d of %d messages", others.received, want)
		}
	}
}

func (s *stalls) quantile(q float64) float64 {
	slices.Sort(s.latency)
	return s.latency[int(q*float64(len(s.latency)-1))]
}
