package drive

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/sim"
)

// TestWallRestart: while the gateway is restarted nothing comes or goes.
func TestWallRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10500*time.Millisecond, sim.Event{At: 1005 * time.Millisecond, Kind: sim.Restart, For: 2 * time.Second})
		for _, h := range r.herds {
			h.command = true
		}
		r.o.Restart = func(ctx context.Context, down time.Duration) error {
			if down != 2*time.Second {
				t.Errorf("down for %v", down)
			}
			time.Sleep(3 * time.Second)
			return nil
		}
		if _, err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range r.herds {
			r.want(t, i, "step", 10)
			r.want(t, i, "restarted", 1)
			r.want(t, i, "endpoint 0 gets 7 octets", 1) // not that of 1.01 s
			if n := len(r.net.shards[i].sent); n != 7 { // not those of 2, 3 and 4 s
				t.Errorf("fleet %d has sent %d datagrams, want 7", i, n)
			}
			for topic, want := range map[string]string{"to 0": "<nil>", "to 1": "the gateway is down"} {
				r.want(t, i, "published "+topic+": "+want, 1+map[string]int{"to 0": 1}[topic])
			}
		}
	})
}

// TestRestartFails: the run is over, without figures that mean anything.
func TestRestartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Minute, sim.Event{At: time.Second, Kind: sim.Restart})
		broken := errors.New("broken")
		r.o.Restart = func(context.Context, time.Duration) error { return broken }
		if _, err := r.run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
	p := planOf(time.Minute, sim.Event{At: time.Second, Kind: sim.Restart})
	if _, err := Wall(t.Context(), p, new(ether), new(listener), Options{}); err == nil {
		t.Error("a gateway that nobody can restart was to be")
	}
}

// TestHurriedRestart: a restart that takes longer than the run ends with it.
func TestHurriedRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(5*time.Second, sim.Event{At: time.Second, Kind: sim.Restart})
		hurried := false
		r.o.Restart = func(ctx context.Context, _ time.Duration) error {
			<-ctx.Done()
			hurried = true
			return ctx.Err()
		}
		if _, err := r.run(t.Context()); err != nil || !hurried {
			t.Errorf("ended with %v, hurried %v", err, hurried)
		}
	})
}
