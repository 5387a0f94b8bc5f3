package sim

import (
	"testing"
	"time"

	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// TestToldElsewhereMeanwhile: while a device's SUBSCRIBE is on its way, what it
// is told moves to another topic. It subscribes to that, too.
func TestToldElsewhereMeanwhile(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second, 7 * time.Second, 9 * time.Second} {
		p := sensors(1)
		g := p.Groups[0]
		slow := radio.Link{Latency: radio.Delay{Mean: time.Second}}
		g.Radio = radio.Config{Up: slow, Down: slow}
		g.Session = Session{KeepAlive: time.Hour}
		g.Workload.Commands = workload.Commands{Every: time.Minute, Topic: "to/%i", QoS: 1}
		moved := g.Workload
		moved.Commands.Topic = "elsewhere/%i"
		p.Stages = []Stage{{Name: "before", For: after}, {Name: "after", For: time.Hour, Workloads: map[string]workload.Config{g.Name: moved}}}
		w := newWorld(t, p)
		w.run()
		w.f.Close(w.now)
		var s Stats
		w.f.Stats(&s)
		if d := s.Groups[0].Ledger.Downlink; d.Delivered < 55 || d.Missing != 0 || s.Broken != 0 {
			t.Errorf("moved after %v: %+v, broken %d", after, d, s.Broken)
		}
	}
}

// TestDueAsTheLastStageEnds: a machine that pauses finds the end of the last stage
// and a sleeper's poll due at once. The sleeper goes on waking.
func TestDueAsTheLastStageEnds(t *testing.T) {
	p := sleepers(5)
	w := newWorld(t, p)
	w.until(p.Stages[0].For - time.Minute)
	before := w.stats().Wakes
	w.now = w.now.Add(11 * time.Minute) // all were to wake meanwhile
	w.f.Step(w.now)
	if after := w.run().Wakes; after < before+2*5 {
		t.Errorf("5 sleepers wake %d times in the half hour after; want them to go on every 10 minutes", after-before)
	}
}
