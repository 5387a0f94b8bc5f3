package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	rounds    = 4                      // in which the brokers take turns
	turn      = 400 * time.Millisecond // at full speed
	pacedTurn = 500 * time.Millisecond
)

// BenchmarkMQTT measures MQTT to MQTT beside bare mochi and Mosquitto: the
// same load, by turns, so that what else the machine does hits all alike. It
// reports messages delivered a second at full speed, then the broker's CPU
// time for each at half the speed of the slowest. What is lost is an error for
// us, and a note for others.
func BenchmarkMQTT(b *testing.B) {
	var t table
	t.head("full speed", "broker", "msg/s", "ours to it", "CPU µs/msg", "paced msg/s", "CPU µs/msg", "it to ours", "max RSS MB")
	for qos := range byte(3) {
		for _, shape := range []struct{ publishers, subscribers int }{{1, 1}, {1, 1000}, {1000, 1}} {
			name := fmt.Sprintf("QoS%d/%dto%d", qos, shape.publishers, shape.subscribers)
			b.Run(name, func(b *testing.B) {
				peers := startPeers(b)
				var runs []*contender
				for _, p := range peers {
					runs = append(runs, &contender{peer: p, stream: newStream(b, p.addr, shape.publishers, shape.subscribers, qos, 64)})
				}
				for b.Loop() {
					compare(b, runs)
				}
				t.add(name, runs)
			})
		}
	}
	t.print()
}

// A contender is one broker in one row.
type contender struct {
	*peer
	stream      *stream
	full, paced tally
}

// A tally sums up slices.
type tally struct {
	slice
	cpu time.Duration
}

func (t *tally) rate() float64 { return float64(t.delivered) / t.elapsed.Seconds() }

// cost is the CPU time of a message in µs.
func (t *tally) cost() float64 { return t.cpu.Seconds() * 1e6 / float64(max(1, t.delivered)) }

func (r *contender) turn(t *tally, d time.Duration, rate float64) {
	before := r.cpu()
	s := r.stream.run(d, rate)
	t.cpu += r.cpu() - before
	t.delivered += s.delivered
	t.lost += s.lost
	t.elapsed += s.elapsed
}

func compare(b *testing.B, runs []*contender) {
	for _, r := range runs {
		r.stream.run(turn/2, 0) // to warm up
	}
	for range rounds {
		for _, r := range runs {
			r.turn(&r.full, turn, 0)
		}
	}
	slowest := runs[0].full.rate()
	for _, r := range runs {
		slowest = min(slowest, r.full.rate())
	}
	for range rounds {
		for _, r := range runs {
			r.turn(&r.paced, pacedTurn, slowest/2/float64(r.stream.fanout))
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, r := range runs {
		b.ReportMetric(r.full.rate(), r.name+"-msg/s")
		b.ReportMetric(r.paced.cost(), r.name+"-CPU-µs/msg")
		if lost := r.full.lost + r.paced.lost; lost > 0 && r == runs[0] {
			b.Errorf("%s has lost %d messages", r.name, lost)
		} else if lost > 0 {
			b.Logf("%s has lost %d messages", r.name, lost)
		}
	}
}

// A table is what the rows have shown, for people.
type table struct{ strings.Builder }

func (t *table) head(columns ...string) { t.WriteString(strings.Join(columns, "\t") + "\t\n") }

func (t *table) row(cells ...any) {
	for _, c := range cells {
		switch c := c.(type) {
		case float64:
			t.WriteString(strconv.FormatFloat(c, 'f', max(0, 2-int(math.Log10(max(1, c)))), 64))
		default:
			fmt.Fprint(t, c)
		}
		t.WriteByte('\t')
	}
	t.WriteByte('\n')
}

func (t *table) add(name string, runs []*contender) {
	us := runs[0]
	for _, r := range runs {
		t.row(name, r.name, r.full.rate(), us.full.rate()/r.full.rate(), r.full.cost(),
			r.paced.rate(), r.paced.cost(), r.paced.cost()/us.paced.cost(), float64(r.maxRSS())/(1<<20))
		name = ""
	}
}

func (t *table) print() {
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, t.String())
	w.Flush()
}
