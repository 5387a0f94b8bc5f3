package drive

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/sim"
)

func planOf(d time.Duration, events ...sim.Event) *sim.Plan {
	return &sim.Plan{Name: "test", Stages: []sim.Stage{{For: d}}, Events: events}
}

// TestConversation says what a moment is: what the fleet sends reaches the
// world in it, and what the world sends and publishes reaches the fleet.
func TestConversation(t *testing.T) {
	d := &diary{start: Start}
	f, w := newHerd(d, 2, time.Second), &echo{diary: d, after: 10 * time.Millisecond}
	f.command = true
	out, err := newVirtual(planOf(2*time.Second+time.Millisecond), f, w, Options{}).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1s fleet: step",
		"1s world: 7 octets from 10.0.0.1:10000",
		"1s fleet: published to 0: <nil>",
		"1.01s fleet: endpoint 0 gets 7 octets",
		"1.01s fleet: hears reports/x",
		"2s fleet: step",
		"2s world: 7 octets from 10.0.0.2:10000",
		"2s fleet: published to 1: <nil>",
		"2.001s fleet: close",
	}
	if !slices.Equal(d.lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(d.lines, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(w.filters, []string{"reports/#"}) {
		t.Errorf("the observer subscribed to %q", w.filters)
	}
	if out.Ran != 2*time.Second+time.Millisecond || out.Cut != nil || !out.Virtual {
		t.Errorf("ran %v, cut %v, virtual %v", out.Ran, out.Cut, out.Virtual)
	}
}

// TestDown kills the gateway for three seconds, in which nothing reaches
// anybody.
func TestDown(t *testing.T) {
	d := &diary{start: Start}
	f, w := newHerd(d, 9, time.Second), &echo{diary: d, after: 10 * time.Millisecond}
	f.command = true
	p := planOf(5500*time.Millisecond, sim.Event{At: 1005 * time.Millisecond, Kind: sim.Restart, For: 3 * time.Second})
	if _, err := newVirtual(p, f, w, Options{}).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1s fleet: step",
		"1s world: 7 octets from 10.0.0.1:10000",
		"1s fleet: published to 0: <nil>",
		"1.005s fleet: restarted",
		"2s fleet: step",
		"2s fleet: published to 1: the gateway is down",
		"3s fleet: step",
		"3s fleet: published to 2: the gateway is down",
		"4s fleet: step",
		"4s fleet: published to 3: the gateway is down",
		"4.005s world: restart",
		"4.005s fleet: restarted",
		"5s fleet: step",
		"5s world: 7 octets from 10.0.0.5:10000",
		"5s fleet: published to 4: <nil>",
		"5.01s fleet: endpoint 4 gets 7 octets",
		"5.01s fleet: hears reports/x",
		"5.5s fleet: close",
	}
	if !slices.Equal(d.lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(d.lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestRestartsInOneAnother has a second kill fall into the time that the first
// takes: it happens as soon as there is something to kill.
func TestRestartsInOneAnother(t *testing.T) {
	d := &diary{start: Start}
	f, w := newHerd(d, 1, time.Hour), &echo{diary: d}
	p := planOf(time.Minute,
		sim.Event{At: 2 * time.Second, Kind: sim.Restart},
		sim.Event{At: time.Second, Kind: sim.Restart, For: 5 * time.Second})
	if _, err := newVirtual(p, f, w, Options{}).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1s fleet: restarted", "6s world: restart", "6s fleet: restarted", "6s world: restart", "6s fleet: restarted", "1m0s fleet: close",
	}
	if !slices.Equal(d.lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(d.lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestWorldFails(t *testing.T) {
	broken := errors.New("broken")
	d := &diary{start: Start}
	f, w := newHerd(d, 1, time.Hour), &echo{diary: d, fail: broken}
	if _, err := newVirtual(planOf(time.Minute), f, w, Options{}).run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("a refused subscription ends the run with %v", err)
	}
	p := planOf(time.Minute, sim.Event{At: time.Second, Kind: sim.Restart})
	v := newVirtual(p, newHerd(d, 1, time.Hour), w, Options{})
	v.now = v.end // a moment that is late for the restart
	if err := v.moment(t.Context()); !errors.Is(err, broken) {
		t.Errorf("a gateway that does not start ends the run with %v", err)
	}
}

// TestRestless finds a fleet that always has something to do now.
func TestRestless(t *testing.T) {
	d := &diary{start: Start}
	f, w := newHerd(d, 1, time.Second), &echo{diary: d, silent: true}
	f.restless, f.silent = true, true
	_, err := newVirtual(planOf(time.Minute), f, w, Options{}).run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "1s after the start") {
		t.Errorf("got %v", err)
	}
}

// TestCut ends a run early: it says so, and the ledgers are not closed.
func TestCut(t *testing.T) {
	d := &diary{start: Start}
	f, w := newHerd(d, 9, time.Second), &echo{diary: d, silent: true}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	o := Options{Every: time.Minute, Sample: func(*sim.Stats) { cancel(enough) }}
	out, err := newVirtual(planOf(1e6*time.Hour), f, w, o).run(ctx)
	if err != nil || !errors.Is(out.Cut, enough) {
		t.Fatalf("err %v, cut %v", err, out.Cut)
	}
	if f.got["cut"] != 1 || f.got["close"] != 0 || out.Final == nil {
		t.Errorf("cut %d times, closed %d, final %v", f.got["cut"], f.got["close"], out.Final)
	}
	if out.Ran != time.Minute {
		t.Errorf("ran for %v, ended after a minute", out.Ran)
	}
}

// TestSpeed runs two hours at 3,600 times the wall clock's, with a pause.
func TestSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{start: Start}
		f, w := newHerd(d, 9, time.Minute), &echo{diary: d}
		pause := make(chan bool)
		go func() {
			time.Sleep(500 * time.Millisecond)
			pause <- true
			time.Sleep(time.Hour)
			pause <- false
		}()
		out, err := newVirtual(planOf(2*time.Hour), f, w, Options{Speed: 3600, Pause: pause}).run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := 2*time.Second + time.Hour; out.Elapsed != want {
			t.Errorf("took %v, want %v", out.Elapsed, want)
		}
	})
}

// TestChange changes a group while it runs, which then has something to do
// sooner than before.
func TestChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{start: Start}
		f, w := newHerd(d, 9, 12*time.Hour), &echo{diary: d}
		changes, done := make(chan Request, 1), make(chan error, 1)
		c := new(sim.Change)
		changes <- Request{c, done}
		o := Options{Changes: changes, Speed: 1, Every: 24 * time.Hour}
		if _, err := newVirtual(planOf(time.Hour), f, w, o).run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || f.applied != c {
			t.Errorf("applied %p with %v, want %p", f.applied, err, c)
		}
		if len(d.lines) == 0 || d.lines[0] != "1s fleet: step" {
			t.Errorf("got %q; want the fleet to step after 1s", d.lines)
		}
	})
}

func TestAddresses(t *testing.T) {
	seen := make(map[string]bool)
	for _, e := range []sim.Endpoint{0, 1, 254, 255, 256, 65535, 1 << 20, 1<<24 - 2} {
		a := address(e)
		if got, ok := endpoint(a); !ok || got != e || seen[a.String()] {
			t.Errorf("endpoint %d is %v, which is endpoint %d, %v", e, a, got, ok)
		}
		seen[a.String()] = true
	}
	if _, ok := endpoint(address(-1)); ok {
		t.Error("10.0.0.0 is an endpoint's")
	}
}

// TestSamples takes many more than are kept.
func TestSamples(t *testing.T) {
	d := &diary{start: Start}
	f, w := newHerd(d, 9, time.Hour), &echo{diary: d, silent: true}
	f.silent = true
	var told []time.Duration
	o := Options{Every: time.Second, Sample: func(s *sim.Stats) { told = append(told, s.At) }}
	out, err := newVirtual(planOf(5432*time.Second), f, w, o).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != 5432 || told[0] != time.Second || told[5431] != 5432*time.Second {
		t.Errorf("told of %d samples, the last at %v", len(told), told[len(told)-1])
	}
	if n := len(out.Samples); n < maxSamples/4 || n > maxSamples {
		t.Errorf("kept %d samples", n)
	}
	step := out.Samples[1].At - out.Samples[0].At
	for i := 1; i < len(out.Samples); i++ {
		if s := out.Samples[i]; s.Violations != nil || s.Groups[0].Latency[sim.ToAck] != nil {
			t.Fatalf("sample %d has what makes it large", i)
		}
		if got := out.Samples[i].At - out.Samples[i-1].At; got != step {
			t.Fatalf("samples %d and %d are %v apart, the first two %v", i-1, i, got, step)
		}
	}
	if f := out.Final; f.At != 5432*time.Second || f.Violations == nil || f.Groups[0].Latency[sim.ToAck] == nil {
		t.Errorf("the final figures are of %v, or not whole", f.At)
	}
}

// TestMomentsAreCheap: the loop itself allocates nothing.
func TestMomentsAreCheap(t *testing.T) {
	v := busyRun(10_000)
	moment := func() {
		if err := v.moment(t.Context()); err != nil {
			t.Fatal(err)
		}
		v.now = v.next()
	}
	for range 1000 {
		moment()
	}
	if n := testing.AllocsPerRun(1000, moment); n > 0 {
		t.Errorf("%v allocations a moment", n)
	}
}

// busyRun is of a fleet that says something every millisecond, and hears of it
// a millisecond later.
func busyRun(size int) *virtual {
	d := &diary{start: Start}
	f, w := newHerd(d, size, time.Millisecond), &echo{diary: d, after: time.Millisecond / 2, silent: true}
	v := newVirtual(planOf(1e6*time.Hour), f, w, Options{Every: 1e6 * time.Hour})
	f.mute = true
	w.Hear(v.hear)
	v.pace = pace{v: v}
	return v
}

// BenchmarkMoment is the loop's share of a datagram: each is answered in a
// moment of its own, and heard by the observer.
func BenchmarkMoment(b *testing.B) {
	v := busyRun(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.moment(b.Context()); err != nil {
			b.Fatal(err)
		}
		next := v.next()
		if err := v.pace.until(b.Context(), next); err != nil {
			b.Fatal(err)
		}
		v.now = next
	}
}
