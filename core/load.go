package core

import (
	"math"
	"strconv"
	"time"
)

// A load is how many of something there are a minute, averaged as Mosquitto
// does: what is old fades exponentially.
type load struct {
	name     string
	count    func() uint64
	last     uint64
	averages [len(spans)]float64 // a minute
}

// spans are what loads are averaged over.
var spans = [...]struct {
	name string
	time.Duration
}{
	{"1min", time.Minute}, {"5min", 5 * time.Minute}, {"15min", 15 * time.Minute},
}

// addLoads adds the loads that core knows of.
func (b *Broker) addLoads() {
	b.AddLoad("publish/received", b.received.messages.Load)
	b.AddLoad("publish/sent", b.sent.messages.Load)
	b.AddLoad("publish/dropped", func() uint64 {
		s := b.Stats()
		return s.Dropped.Total()
	})
	b.AddLoad("connections", b.opened.Load)
}

// eachLoad brings the loads up to date and yields them. The caller holds mu.
func (y *sys) eachLoad(now time.Time, yield func(name, value string)) {
	if y.loaded.IsZero() {
		y.loaded = y.started
	}
	passed := now.Sub(y.loaded)
	y.loaded = now
	for _, l := range y.loads {
		l.update(passed)
		for i, span := range spans {
			yield("load/"+l.name+"/"+span.name, strconv.FormatFloat(l.averages[i], 'f', 2, 64))
		}
	}
}

// update takes in what has come in the time passed since the last time.
func (l *load) update(passed time.Duration) {
	if passed <= 0 {
		return
	}
	count := l.count()
	rate := float64(count-l.last) / passed.Minutes()
	l.last = count
	for i, span := range spans {
		fade := math.Exp(-float64(passed) / float64(span.Duration))
		l.averages[i] = rate + fade*(l.averages[i]-rate)
	}
}
