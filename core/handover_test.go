package core

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core/store"
)

// TestLeaverGivesBack is each way to leave, with one message of each kind in
// the hands of who leaves.
func TestLeaverGivesBack(t *testing.T) {
	for name, leave := range map[string]func(w *world, p *person){
		"connection lost": func(_ *world, p *person) { p.leaves(Lost) },
		"clean":           func(_ *world, p *person) { p.leaves(Clean) },
		"session ends":    func(_ *world, p *person) { p.SetExpiry(0); p.leaves(Clean) },
		"kicked":          func(w *world, p *person) { w.Kick(p.id, false) },
		"purged":          func(w *world, p *person) { w.Kick(p.id, true) },
		"clean start":     func(w *world, p *person) { w.opens(p.id, SessionOptions{CleanStart: true, Expiry: Forever}) },
		"refused":         func(_ *world, p *person) { p.opensAgain(SessionOptions{Will: &Will{Message: message(0, "$SYS/x=1")}}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Store, o.MaxInflight = store.NewMemory(), 3 })
			bob, p := w.comes("bob"), w.comes("p").subscribes("$share/g/t", "own")
			bob.says(1, "t=acknowledged")
			p.gets("t=acknowledged/1")
			bob.says(1, "t=1")
			bob.says(2, "t=2 is in flight")
			bob.says(1, "own=x")
			p.pulls()
			bob.says(2, "t=3")
			bob.says(1, "t=4")
			bob.says(0, "t=5")
			ann := w.comes("ann").subscribes("$share/g/t")
			bob.says(1, "t=6")
			ann.gets("t=6/1")
			leave(w, p)
			ann.gets("t=1/1", "t=3/2", "t=4/1", "t=5")
			w.restarts()
			ann = w.comes("ann")
			ann.gets()
			p = w.comes("p")
			switch name {
			case "session ends", "purged", "clean start":
				p.gets()
			default:
				p.gets("t=2 is in flight/2 again", "own=x/1 again")
			}
		})
	}
}

// TestNothingOfALeaverIsLeft: who comes after a client that has given all back
// is not told of mail when there is none. Memory is used again: some of many
// are given what the leaver had.
func TestNothingOfALeaverIsLeft(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	for n := range 20 {
		p := w.comes(fmt.Sprint("leaver", n)).subscribes("$share/g/t")
		bob.says(1, "t=1")
		p.pulls()
		ann := w.opens("ann", SessionOptions{}).subscribes("$share/g/t")
		p.leaves(Lost)
		ann.gets("t=1/1")
		ann.leaves(Clean)

		next := w.opens("next", SessionOptions{}).subscribes("own")
		bob.says(1, "own=x")
		next.pulls()
		if mails := next.mails.Load(); mails != 1 {
			t.Fatalf("told %d times that there is mail, want once", mails)
		}
		next.leaves(Clean)
	}
}

// TestUnsubscribedCompletesWhatItHas, [MQTT-3.10.4-4], and gives back the rest.
func TestUnsubscribedCompletesWhatItHas(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store, o.MaxInflight = store.NewMemory(), 1 })
	bob, p := w.comes("bob"), w.comes("p").subscribes("$share/g/t", "$share/h/t")
	bob.says(1, "t=1")
	bob.says(1, "t=2")
	flying := p.pulls()
	g := w.comes("g").subscribes("$share/g/t")
	h := w.comes("h").subscribes("$share/h/t")
	p.Unsubscribe("$share/g/t", func(existed bool, err error) {
		if !existed || err != nil {
			t.Errorf("Unsubscribe: %v, %v", existed, err)
		}
	})
	g.gets("t=2/1")
	h.gets()
	if !p.Ack(flying[0].ID) {
		t.Error("what was in flight is not acknowledged")
	}
	p.gets("t=1/1", "t=2/1") // of h
	p.Unsubscribe("$share/h/t", func(bool, error) {})
	bob.says(1, "t=3")
	p.gets()
	g.gets("t=3/1")
	h.gets("t=3/1")
	w.restarts()
	for _, id := range []string{"p", "g", "h"} {
		w.comes(id).gets()
	}
	if n := w.Stats().Shared; n != 2 {
		t.Errorf("%d shared after a restart, want 2", n)
	}
}

// TestLastMemberKeepsWhatItHas: with nobody else, it gets it when it is back.
func TestLastMemberKeepsWhatItHas(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("$share/g/t:1")
	bob.says(1, "t=1")
	first, _ := ann.Next()
	bob.says(1, "t=2")
	ann.Unsubscribe("$share/g/t", func(bool, error) {})
	bob.says(1, "t=nobody is there")
	ann.leaves(Lost)
	w.restarts()
	ann = w.comes("ann")
	again, _ := ann.Next()
	if again.ID != first.ID || show(again) != "t=1/1 again" {
		t.Errorf("%s as %d, first sent as %d", show(again), again.ID, first.ID)
	}
	ann.gets("t=2/1")
}

// TestLeaverOwesTheGroupThatThereIs: what somebody has from a group that it has
// left goes to who comes, also if it has begun the group anew, or if the broker
// has restarted.
func TestLeaverOwesTheGroupThatThereIs(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store, o.Queue.Messages = store.NewMemory(), 2 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("$share/g/t")
	bob.says(1, "t=1")
	ann.Unsubscribe("$share/g/t", func(bool, error) {})
	ann.subscribes("$share/g/t").leaves(Lost)
	tom := w.comes("tom").subscribes("$share/g/t")
	tom.gets("t=1/1")

	ann = w.comes("ann")
	for i := range 4 {
		bob.says(1, fmt.Sprint("t=", i))
	}
	ann.Unsubscribe("$share/g/t", func(bool, error) {}) // and tom has no room
	ann.leaves(Lost)
	tom.leaves(Lost)
	w.restarts()
	w.comes("tom").gets("t=1/1", "t=0/1", "t=2/1", "t=3/1")
}

// TestEndingSessionLeavesToTheAbsent: what is not at QoS 0.
func TestEndingSessionLeavesToTheAbsent(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob, zero, kept := w.comes("bob"), w.comes("zero").subscribes("$share/g/t:0"), w.comes("kept").subscribes("$share/g/t")
	zero.leaves(Clean)
	kept.leaves(Clean)
	w.opens("short", SessionOptions{Expiry: time.Minute}).subscribes("$share/g/t").leaves(Lost)
	guest := w.opens("guest", SessionOptions{}).subscribes("$share/g/t")
	bob.says(1, "t=1")
	bob.says(0, "t=2")
	bob.says(2, "t=3")
	guest.leaves(Lost)
	w.waits(time.Minute)
	if n := zero.info(); n != 0 {
		t.Errorf("%d wait for who is away at QoS 0", n)
	}
	kept = w.comes("kept")
	show := func() (got []string) {
		for _, d := range kept.pulls() {
			got = append(got, show(d))
		}
		return got
	}
	if got := show(); !slices.Equal(got, []string{"t=1/1", "t=3/2"}) {
		t.Errorf("got %q", got)
	}
	w.restarts()
	kept = w.comes("kept")
	if got := show(); !slices.Equal(got, []string{"t=1/1 again", "t=3/2 again"}) {
		t.Errorf("after a restart %q", got)
	}
}

// TestCloseLeavesToTheKept: a broker that stops hands over in the store what
// those would take with them whose sessions end.
func TestCloseLeavesToTheKept(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob, kept := w.comes("bob"), w.comes("kept").subscribes("$share/g/t")
	bob.says(1, "t=in flight")
	first, _ := kept.Next()
	w.comes("zero").subscribes("$share/g/t:0")
	w.comes("second").subscribes("$share/h/t", "$share/g/t:0")
	other := w.opens("other", SessionOptions{}).subscribes("$share/g/t")
	guest := w.opens("guest", SessionOptions{}).subscribes("$share/g/t")
	for i := range 10 {
		bob.says(1, fmt.Sprint("t=", i))
	}
	guest.Next()
	other.Next()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.restarts()
	kept = w.comes("kept")
	again, _ := kept.Next()
	if again.ID != first.ID || show(again) != "t=in flight/1 again" {
		t.Errorf("%s as %d, first sent as %d", show(again), again.ID, first.ID)
	}
	got := kept.pulls() // but for what went at QoS 0
	if len(got) != 6 || !slices.IsSortedFunc(got, func(a, b Delivery) int { return bytes.Compare(a.Payload, b.Payload) }) {
		t.Errorf("after a restart %v", got)
	}
}

// TestCloseTakesNothingFromTheKept: who stays a member keeps what it has.
func TestCloseTakesNothingFromTheKept(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob, ann, tom := w.comes("bob"), w.comes("ann").subscribes("$share/g/t"), w.comes("tom").subscribes("$share/g/t")
	for i := range 4 {
		bob.says(1, fmt.Sprint("t=", i))
	}
	ann.Next()
	tom.Next()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.restarts()
	for _, p := range []*person{ann, tom} { // before anybody is back
		if i, _ := w.Client(p.id); i.Inflight != 1 || i.Waiting != 1 {
			t.Errorf("%s has %d in flight and %d waiting, want 1 and 1", p, i.Inflight, i.Waiting)
		}
	}
}

// TestBacklogComesAsThereIsRoom: from all who are away, also to one who never
// acknowledges because it is at QoS 0.
func TestBacklogComesAsThereIsRoom(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Messages = 3 })
	bob := w.comes("bob")
	for i := range 3 {
		w.comes(fmt.Sprint("away", i)).subscribes("$share/g/t").leaves(Lost)
	}
	for i := range 9 {
		bob.says(1, fmt.Sprint("t=", i))
	}
	eve := w.comes("eve").subscribes("$share/g/t:0")
	n := 0
	for got := eve.pulls(); len(got) > 0; got = eve.pulls() {
		n += len(got)
	}
	if n != 9 {
		t.Errorf("who comes gets %d of 9", n)
	}
}

// TestFullMemberPassesOn: what does not fit in one queue goes to another, and
// only what fits in none is dropped and counted.
func TestFullMemberPassesOn(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(o *Options) {
		o.Store, o.Queue.Messages, o.MaxInflight, o.Log = store.NewMemory(), 3, 3, zerolog.New(&log)
	})
	bob := w.comes("bob")
	w.comes("ann").subscribes("$share/g/t", "own").leaves(Lost)
	w.comes("tom").subscribes("$share/g/t").leaves(Lost)
	for i := range 5 {
		bob.says(1, fmt.Sprint("t=", i))
	}
	if d := w.Stats().Dropped; d.Overflow != 0 {
		t.Errorf("%d of 5 dropped by two who may keep 3 each", d.Overflow)
	}
	for i := 5; i < 8; i++ {
		bob.says(1, fmt.Sprint("t=", i))
	}
	if d := w.Stats().Dropped; d.Overflow != 2 || !strings.Contains(log.String(), "queue_overflow") {
		t.Errorf("%d of 8 dropped by two who may keep 3 each; logged %q", d.Overflow, &log)
	}
	eve := w.comes("eve").subscribes("$share/g/t")
	n := 0
	for got := eve.pulls(); len(got) > 0; got = eve.pulls() {
		n += len(got)
		for _, d := range got {
			eve.Ack(d.ID) // and has room for more
		}
	}
	if n != 6 {
		t.Errorf("who comes gets %d of 6", n)
	}
}

// TestRefusedHandoverChangesNothing: with a full disk what was given to one
// stays with it.
func TestRefusedHandoverChangesNothing(t *testing.T) {
	w, m := meddledWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("$share/g/t")
	bob.says(1, "t=1")
	bob.says(1, "t=2")
	ann.Next()
	tom := w.comes("tom").subscribes("$share/g/t")
	m.before = func(f store.Fact) error {
		if _, ok := f.(*store.Owed); ok {
			return errFull
		}
		return nil
	}
	ann.leaves(Lost)
	tom.gets()
	m.leaveAlone()
	w.restarts()
	w.comes("ann").gets("t=1/1 again", "t=2/1")
	w.comes("tom").gets()
}

// TestRefusedHandoverIsTriedAgain when somebody comes and the disk has room.
func TestRefusedHandoverIsTriedAgain(t *testing.T) {
	w, m := meddledWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("$share/g/t")
	bob.says(1, "t=1")
	tom := w.comes("tom").subscribes("$share/g/t")
	m.before = func(f store.Fact) error { return errFull }
	ann.leaves(Lost)
	tom.gets()
	m.leaveAlone()
	w.comes("tom").gets("t=1/1")
}

// TestHandoverIsDurableBeforeItShows, as a publish is.
func TestHandoverIsDurableBeforeItShows(t *testing.T) {
	w, s := slowWorld(t)
	opens := func(id string) *person {
		p := &person{w: w, id: id}
		p.opensAgain(SessionOptions{Expiry: Forever})
		s.answers(nil)
		if p.Session != nil && id != "bob" {
			p.Subscribe(Subscription{Filter: "$share/g/t", QoS: 1}, func(QoS, error) {})
			s.answers(nil)
		}
		return p
	}
	bob, ann := opens("bob"), opens("ann")
	bob.says(1, "t=1")
	s.answers(nil)
	tom := opens("tom")
	ann.leaves(Lost)
	tom.gets()
	if tom.mails.Load() != 0 {
		t.Error("told of mail too early")
	}
	s.answers(nil)
	if tom.mails.Load() != 1 {
		t.Error("not told of mail")
	}
	tom.gets("t=1/1")

	// One that is on its way to who leaves meanwhile goes to another.
	ann = opens("ann")
	bob.says(1, "t=2")
	bob.says(1, "t=3")
	ann.leaves(Lost)
	s.answers(nil)
	tom.gets("t=2/1", "t=3/1")
	bob.says(2, "t=4")
	tom.Unsubscribe("$share/g/t", func(bool, error) {})
	s.answers(nil)
	tom.gets()
	ann = opens("ann")
	ann.gets("t=4/1")
}
