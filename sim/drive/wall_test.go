package drive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/sim"
	"dormouse/sim/payload"
)

func TestWall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500 * time.Millisecond)
		var told []time.Duration
		r.o = Options{Patience: 5 * time.Second, Every: 2 * time.Second, Sample: func(s *sim.Stats) {
			told = append(told, s.At)
			if s.Shed != 2 || s.Late != 0 || s.Groups[0].Devices != 10 {
				t.Errorf("%d shed of %d devices, %v late; want 2 of 10, and never late", s.Shed, s.Groups[0].Devices, s.Late)
			}
		}}
		out, err := r.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.herds {
			r.want(t, i, "step", 10)
			for e := range 5 {
				r.want(t, i, fmt.Sprintf("endpoint %d gets 7 octets", e), 2)
			}
			r.want(t, i, "close", 1)
		}
		want := []time.Duration{2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second, 10 * time.Second, out.Ran}
		if !slices.Equal(told, want) {
			t.Errorf("samples at %v, want %v", told, want)
		}
		if len(out.Samples) != 5 || out.Final.At != out.Ran || out.Cut != nil || out.Virtual {
			t.Errorf("%d samples, final of %v, ran %v, cut %v", len(out.Samples), out.Final.At, out.Ran, out.Cut)
		}
	})
}

// TestLate says how late the devices were because the machine was slow.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500 * time.Millisecond)
		r.net.slow = 300 * time.Millisecond
		var most time.Duration
		r.o.Sample = func(s *sim.Stats) { most = max(most, s.Late) }
		out, err := r.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if l := out.Final.Late; l <= 100*time.Millisecond || l > 350*time.Millisecond || most != l {
			t.Errorf("up to %v late, %v by the samples; want about 300ms", l, most)
		}
	})
}

// TestHearing routes what the observer hears to the fleet whose it is, and the
// rest to all.
func TestHearing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(5 * time.Second)
		r.ob.says = func(hear func(string, []byte, byte, bool)) {
			time.Sleep(time.Second)
			form := payload.Config{Format: payload.Fixed}
			for device := range 10 {
				b := form.Append(nil, payload.Reading{Tag: payload.Tag{Device: uint32(device), Sequence: 1}})
				hear(fmt.Sprint("report of ", device), b, 1, false)
			}
			hear("will", []byte("gone"), 1, false)
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for device := range 10 {
			r.want(t, device/5, fmt.Sprint("hears report of ", device), 1)
			r.want(t, 1-device/5, fmt.Sprint("hears report of ", device), 0)
		}
		r.want(t, 0, "hears will", 1)
		r.want(t, 1, "hears will", 1)
	})
}

// TestNoGateway gives up on a gateway that never says anything, and says
// whom it asked.
func TestNoGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		r.net.dead = true
		out, err := r.run(t.Context())
		if !errors.Is(err, ErrNoGateway) || !strings.Contains(err.Error(), "127.0.0.1:1884") {
			t.Fatalf("got %v", err)
		}
		if out == nil || out.Cut == nil || out.Ran < 21*time.Second || out.Ran > 22*time.Second {
			t.Errorf("outcome %+v; want one of 21s", out)
		}
		r.want(t, 0, "cut", 1)
	})
}

// TestNoAnswerAsked lets a fleet publish at QoS -1 into the dark: it asks for
// no answer.
func TestNoAnswerAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Minute)
		r.net.dead = true
		for _, h := range r.herds {
			h.qosMinus = true
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "close", 1)
	})
}

// TestWallCut ends a run early.
func TestWallCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, enough)
		defer cancel()
		out, err := r.run(ctx)
		if err != nil || !errors.Is(out.Cut, enough) || out.Ran != 3*time.Second {
			t.Fatalf("err %v, outcome %+v", err, out)
		}
		r.want(t, 1, "cut", 1)
		r.want(t, 1, "close", 0)
	})
}

// TestSettled ends a run a second after its stages if nothing can come any
// more, and not before.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10 * time.Second)
		r.plan.Settle = time.Hour
		for _, h := range r.herds {
			h.settled = true
		}
		out, err := r.run(t.Context())
		if err != nil || out.Ran < 11*time.Second || out.Ran > 12*time.Second {
			t.Errorf("ran %v, err %v", out.Ran, err)
		}
		r.want(t, 0, "close", 1)
	})
}

// TestShardFails: a device that gets no socket ends the run.
func TestShardFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		r.net.fails = errors.New("no more sockets")
		if out, err := r.run(t.Context()); out != nil || !errors.Is(err, r.net.fails) {
			t.Errorf("outcome %v, err %v", out, err)
		}
	})
}

// TestSlowObserver publishes for an hour; the fleets go on meanwhile.
func TestSlowObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500 * time.Millisecond)
		r.herds[0].command = true
		r.ob.publish = func(done func(error)) {
			time.Sleep(time.Hour)
			done(nil)
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "step", 10)
		r.want(t, 0, "endpoint 0 gets 7 octets", 2)
	})
}

// TestBroadcast tells all fleets that a message to all is published.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(3500 * time.Millisecond)
		r.herds[0].pubs = []*sim.Publication{{Topic: "all", Broadcast: true}, {Topic: "one"}}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "published all: <nil>", 1)
		r.want(t, 1, "published all: <nil>", 1)
		r.want(t, 0, "published one: <nil>", 1)
		r.want(t, 1, "published one: <nil>", 0)
	})
}

func TestWallChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(3 * time.Second)
		changes, done := make(chan Request, 1), make(chan error, 1)
		r.o.Changes = changes
		c := new(sim.Change)
		changes <- Request{c, done}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || r.herds[0].applied != c || r.herds[1].applied != c {
			t.Errorf("applied %p and %p with %v, want %p", r.herds[0].applied, r.herds[1].applied, err, c)
		}
	})
}

// TestTooLate: what lies in an inbox when the run ends is still told, and
// what comes later is not.
func TestTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Minute)
		w := newWall(r.plan, r.start, []fleet{r.herds[0], r.herds[1]}, r.net, r.ob, r.o)
		for i := range r.herds {
			r.net.Attach(i, nil)
		}
		w.hear("will", nil, 1, false)
		w.over.Store(true)
		w.hear("another", nil, 1, false)
		if _, err := w.outcome(t.Context(), new(Outcome), nil, time.Now(), nil); err != nil {
			t.Fatal(err)
		}
		r.want(t, 0, "hears will", 1)
		r.want(t, 0, "hears another", 0)
		close(w.shards[0].ended)
		if w.shards[0].do(func() {}) {
			t.Error("a shard that has ended did something")
		}
	})
}
