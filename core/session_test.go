package core

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestKeptSessionResumesWhereItWas(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	if ann.present {
		t.Error("a new session was present")
	}
	for _, m := range []string{"a=1", "a=2", "a=3"} {
		bob.says(2, m)
	}
	flying := ann.pulls()
	ann.Received(flying[0].ID, func(bool) {})
	ann.Ack(flying[1].ID)
	ann.leaves(Lost)
	bob.says(0, "a=nobody is there")
	bob.says(1, "a=4")

	ann = w.comes("ann")
	if !ann.present {
		t.Error("the session was not present")
	}
	again := ann.pulls()
	for i, want := range []string{"/2 again rel", "a=3/2 again", "a=4/1"} {
		if len(again) != 3 || show(again[i]) != want {
			t.Fatalf("resumed with %v, want %q in place %d", again, want, i)
		}
	}
	if again[0].ID != flying[0].ID || again[1].ID != flying[2].ID {
		t.Error("a packet identifier changed")
	}
	if again[2].ID == again[0].ID || again[2].ID == again[1].ID {
		t.Error("a packet identifier in flight was used again")
	}
}

func TestCleanStartForgetsEverything(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	ann.SaveEdge([]byte("ids"), func(error) {})
	ann.says(2, "x=1") // and does not take it
	bob.says(1, "a=1")
	ann.leaves(Clean)
	ann = w.opens("ann", SessionOptions{CleanStart: true, Expiry: Forever})
	bob.says(1, "a=2")
	ann.gets()
	if ann.present || ann.EdgeState() != nil {
		t.Errorf("present %v, edge state %q", ann.present, ann.EdgeState())
	}
	if got := w.Stats().Dropped.Ended; got != 2 {
		t.Errorf("%d messages counted as dropped with the session, want 2", got)
	}
}

func TestSessionEndsWhenItsTimeIsUp(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	for _, expiry := range []time.Duration{0, time.Minute, Forever} {
		id := fmt.Sprint(expiry)
		ann := w.opens(id, SessionOptions{Expiry: expiry}).subscribes("#")
		w.waits(2 * time.Minute)
		bob.says(1, "a=1")
		ann.gets("a=1/1") // time does not count while attached
		ann.leaves(Lost)
		w.waits(59 * time.Second)
		if ann.opensAgain(SessionOptions{Expiry: expiry}); ann.present != (expiry > 0) {
			t.Errorf("expiry %v: present after 59 s: %v", expiry, ann.present)
		}
		ann.leaves(Clean)
		w.waits(61 * time.Second)
		if ann.opensAgain(SessionOptions{}); ann.present != (expiry == Forever) {
			t.Errorf("expiry %v: present after 61 s: %v", expiry, ann.present)
		}
		ann.leaves(Clean)
	}
	if s := w.Stats(); s.Clients != 1 || s.Subscriptions != 0 || s.Connected != 1 {
		t.Errorf("left behind: %+v", s)
	}
}

// TestExpiredSessionLeavesNothing: the next client of that id gets nothing
// that it did not ask for, even if Tick has not come by yet.
func TestExpiredSessionLeavesNothing(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	w.opens("ann", SessionOptions{Expiry: time.Minute}).subscribes("#").leaves(Lost)
	bob.says(1, "a=1")
	w.now.Add(int64(time.Minute))
	ann := w.comes("ann")
	bob.says(1, "a=2")
	if ann.present {
		t.Error("an expired session was present")
	}
	ann.gets()
}

func TestExpiryCanChangeWhileAttached(t *testing.T) {
	w := newWorld(t)
	ann := w.opens("ann", SessionOptions{Expiry: time.Hour})
	ann.SetExpiry(time.Minute)
	ann.leaves(Clean)
	w.waits(time.Minute)
	if n := w.Stats().Clients; n != 0 {
		t.Error("it outlived its new expiry")
	}
	ann = w.opens("ann", SessionOptions{})
	ann.SetExpiry(time.Hour)
	ann.leaves(Clean)
	if n := w.Stats().Clients; n != 0 {
		t.Error("a session that was to end with its connection was made to last")
	}
}

// TestSensorGoesOn: a sensor that opens the session which it is attached to takes
// it up, though it was to end with its connection; an MQTT client on either
// side ends it.
func TestSensorGoesOn(t *testing.T) {
	for _, tt := range []struct{ before, after, want bool }{
		{true, true, true}, {true, false, false}, {false, true, false}, {false, false, false},
	} {
		w := newWorld(t)
		bob := w.comes("bob")
		ann := w.opens("ann", SessionOptions{Sensor: tt.before}).subscribes("a:1")
		bob.says(1, "a=1")
		ann.opensAgain(SessionOptions{Sensor: tt.after, Expiry: time.Hour})
		if ann.present != tt.want {
			t.Errorf("%+v: present %v", tt, ann.present)
		}
		if tt.want {
			ann.gets("a=1/1")
		} else {
			ann.gets()
		}
	}

	w := newWorld(t)
	ann := w.opens("ann", SessionOptions{Sensor: true}).subscribes("a:1")
	ann.leaves(Lost)
	if ann.opensAgain(SessionOptions{Sensor: true}); ann.present {
		t.Error("a clean session has outlived its connection")
	}
	ann.subscribes("a:1")
	if ann.opensAgain(SessionOptions{Sensor: true, CleanStart: true}); ann.present || w.Stats().Subscriptions != 0 {
		t.Error("a clean start has found the session")
	}
}

func TestTakeoverKicksAndSilencesTheOld(t *testing.T) {
	w := newWorld(t)
	bob, old := w.comes("bob"), w.comes("ann").subscribes("#")
	bob.says(1, "a=1")
	flying := old.pulls()
	ann := w.comes("ann")
	if KickReason(old.kicked.Load()) != TakenOver || ann.kicked.Load() != 0 {
		t.Errorf("kicked: old %d, new %d", old.kicked.Load(), ann.kicked.Load())
	}

	var errs []error
	note := func(err error) { errs = append(errs, err) }
	old.Ack(flying[0].ID)
	said := true
	old.Received(flying[0].ID, func(attached bool) { said = attached })
	if said {
		t.Error("PUBREC over the old connection is taken")
	}
	old.Publish(message(2, "a=from the dead"), 1, note)
	old.Release(1, note)
	old.Subscribe(Subscription{Filter: "x"}, func(_ QoS, err error) { note(err) })
	old.Unsubscribe("#", func(_ bool, err error) { note(err) })
	old.SetWill(&Will{Message: message(0, "w=1")}, note)
	old.SaveEdge([]byte("x"), note)
	old.SetExpiry(0)
	old.Detach(Lost, note)
	if len(errs) != 7 {
		t.Errorf("%d of 7 calls were answered", len(errs))
	}
	for i, err := range errs {
		if !errors.Is(err, ErrDetached) {
			t.Errorf("call %d of a dead session answers %v", i, err)
		}
	}
	if old.Will() != nil || old.EdgeState() != nil || len(old.pulls()) != 0 {
		t.Error("a dead session still tells")
	}
	ann.gets("a=1/1 again")
	if s := w.Stats(); s.Connected != 2 || s.Clients != 2 {
		t.Errorf("%d connected of %d clients, want 2 of 2", s.Connected, s.Clients)
	}
}

func TestSameSinkOpensAgainWithoutKick(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	bob.says(1, "a=1")
	before := ann.Session
	ann.pulls()
	ann.opensAgain(SessionOptions{Expiry: Forever})
	if ann.kicked.Load() != 0 || !ann.present {
		t.Errorf("kicked %d, present %v", ann.kicked.Load(), ann.present)
	}
	if _, ok := before.Next(); ok {
		t.Error("the old Session still works")
	}
	ann.gets("a=1/1 again")
}

// TestRefusedSinkHoldsNothing: a client that is refused when it opens again
// has lost its connection; one that somebody else claims has not.
func TestRefusedSinkHoldsNothing(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann").subscribes("will")
	p := w.opens("p", SessionOptions{Expiry: time.Hour, Will: willing("x")})
	denied := SessionOptions{Expiry: time.Hour, Will: &Will{Message: message(0, "$SYS/x=1")}}
	other := &person{w: w, id: "p"}
	other.opensAgain(denied)
	ann.gets()
	if p.Will() == nil || p.kicked.Load() != 0 {
		t.Error("it went because of somebody who was refused")
	}
	p.opensAgain(denied)
	ann.gets("will=x/1")
	if s := w.Stats(); s.Connected != 1 || s.Clients != 2 || p.kicked.Load() != 0 {
		t.Errorf("%d connected of %d clients, want 1 of 2; kicked %d", s.Connected, s.Clients, p.kicked.Load())
	}
}

func TestEdgeStateIsKept(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann")
	state := []byte("topic ids")
	ann.SaveEdge(state, func(error) {})
	state[0] = 'X' // core has its own copy
	ann.leaves(Lost)
	if got := w.comes("ann").EdgeState(); string(got) != "topic ids" {
		t.Errorf("EdgeState = %q", got)
	}
}

func TestBoundOnSessions(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxSessions = 2 })
	w.comes("a")
	w.comes("b")
	c := &person{w: w, id: "c"}
	c.opensAgain(SessionOptions{})
	if !errors.Is(c.err, ErrQuota) || w.Stats().Dropped.Sessions != 1 {
		t.Errorf("the third of two: %v", c.err)
	}
	w.comes("b") // who is known may come again
	w.comes("a").SetExpiry(0)
	a := w.comes("a") // its expiry is Forever again, so it must leave for good
	a.SetExpiry(0)
	a.leaves(Clean)
	if c.opensAgain(SessionOptions{}); c.err != nil {
		t.Errorf("a place was free: %v", c.err)
	}
}

func TestCloseKicksAndKeeps(t *testing.T) {
	w := newWorld(t)
	ann := w.opens("ann", SessionOptions{Expiry: Forever, Will: &Will{Message: message(1, "w=gone")}})
	bob := w.opens("bob", SessionOptions{}).subscribes("#")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*person{ann, bob} {
		if KickReason(p.kicked.Load()) != ShuttingDown {
			t.Errorf("%s was told %d", p, p.kicked.Load())
		}
	}
	if got := w.Stats(); got.Clients != 1 || got.Connected != 0 || got.Wills != 0 {
		t.Errorf("after Close: %+v", got)
	}
	if ann.opensAgain(SessionOptions{}); !errors.Is(ann.err, ErrClosed) {
		t.Errorf("open after Close: %v", ann.err)
	}
	w.Publish(Identity{}, message(1, "a=1"), func(err error) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("publish after Close: %v", err)
		}
	})
}
