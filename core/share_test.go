package core

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core/store"
)

func TestShareTakesTurns(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	a, b, away := w.comes("a").subscribes("$share/g/t/+:1"), w.comes("b").subscribes("$share/g/t/+"), w.comes("c").subscribes("$share/g/t/+")
	away.leaves(Lost)
	other, all := w.comes("o").subscribes("$share/h/t/+"), w.comes("all").subscribes("t/#")
	for i := range 6 {
		bob.says(2, fmt.Sprint("t/x=", i))
	}
	a.gets("t/x=0/1", "t/x=2/1", "t/x=4/1")
	b.gets("t/x=1/2", "t/x=3/2", "t/x=5/2")
	other.gets("t/x=0/2", "t/x=1/2", "t/x=2/2", "t/x=3/2", "t/x=4/2", "t/x=5/2")
	all.gets("t/x=0/2", "t/x=1/2", "t/x=2/2", "t/x=3/2", "t/x=4/2", "t/x=5/2")
	w.comes("c").gets()
	if s := w.Stats(); s.Subscriptions != 5 || s.Shared != 4 {
		t.Errorf("%d subscriptions, %d shared, want 5 and 4", s.Subscriptions, s.Shared)
	}
}

func TestSharedAndOrdinaryBothDeliver(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob, ann := w.comes("bob"), w.comes("ann")
	for id, f := range []string{"a", "$share/g/a", "$share/h/#", "+"} {
		if err := ann.subscribe1(Subscription{Filter: f, QoS: QoS(1 + id%2), ID: uint32(id + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	bob.says(2, "a=1")
	check := func() {
		t.Helper()
		var got []string
		for _, d := range ann.pulls() {
			slices.Sort(d.SubscriptionIDs)
			got = append(got, fmt.Sprint(show(d), d.SubscriptionIDs))
		}
		slices.Sort(got)
		if want := "[a=1/1[3] a=1/2[1 4] a=1/2[2]]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	w.restarts() // with all three waiting
	ann = w.comes("ann")
	check()

	w.restarts() // with the second in flight and the third waiting
	ann = w.comes("ann")
	ann.gets("a=1/2 again", "a=1/2 again", "a=1/1 again")
	bob = w.comes("bob")
	bob.says(2, "a=2")
	first, _ := ann.Next()
	ann.Next()
	ann.Ack(first.ID)
	w.restarts()
	w.comes("ann").gets("a=2/2 again", "a=2/1")
}

func TestShareIsRefused(t *testing.T) {
	var asked []string
	w := newWorld(t, func(o *Options) {
		o.Authorize = func(_ Identity, _ Action, topic string) bool {
			asked = append(asked, topic)
			return topic != "secret"
		}
	})
	ann := w.comes("ann")
	for _, f := range []string{"$share/", "$share/g", "$share/g/", "$share/+/a", "$share//a", "$share/g/#/a"} {
		if err := ann.subscribe1(Subscription{Filter: f}); !errors.Is(err, ErrInvalidTopic) {
			t.Errorf("subscribe to %q: %v", f, err)
		}
	}
	if err := ann.subscribe1(Subscription{Filter: "$share/g/a", NoLocal: true}); !errors.Is(err, ErrInvalidTopic) {
		t.Errorf("shared without its own messages, [MQTT-3.8.3-4]: %v", err)
	}
	if err := ann.subscribe1(Subscription{Filter: "$share/g/secret"}); !errors.Is(err, ErrNotAuthorized) {
		t.Errorf("subscribe to what is secret: %v", err)
	}
	ann.subscribes("$share/g/a/#", "$SHARE/g/a")
	if got := strings.Join(asked, " "); got != "secret a/# $SHARE/g/a" {
		t.Errorf("asked about %q", got)
	}
	if s := w.Stats(); s.Shared != 1 || s.Subscriptions != 2 {
		t.Errorf("%+v", s)
	}
}

func TestShareGetsNothingRetained(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	bob.says(1, "!a=old")
	ann := w.comes("ann").subscribes("$share/g/#")
	ann.subscribe1(Subscription{Filter: "$share/g/#", QoS: 1, RetainAsPublished: true})
	ann.gets()
	bob.says(1, "!a=new")
	ann.gets("!a=new/1")
}

// TestBusyMemberIsPassedOver: who does not acknowledge gets no more than its
// window while another can take it, and its turn again when it can.
func TestBusyMemberIsPassedOver(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxInflight = 3 })
	taken := map[*person]int{}
	bob, stuck, ann := w.comes("bob"), w.comes("stuck").subscribes("$share/g/t"), w.comes("ann").subscribes("$share/g/t")
	for i := range 10 {
		bob.says(1, fmt.Sprint("t=", i))
		for _, d := range ann.pulls() {
			ann.Ack(d.ID)
		}
	}
	flying := stuck.pulls()
	if len(flying) != 3 {
		t.Fatalf("stuck gets %d, want 3", len(flying))
	}
	stuck.Ack(flying[0].ID)
	for i := 10; i < 14; i++ {
		bob.says(1, fmt.Sprint("t=", i))
		for _, d := range ann.pulls() {
			ann.Ack(d.ID)
		}
	}
	if got := len(stuck.pulls()); got != 1 {
		t.Errorf("with room for one it gets %d", got)
	}
	tom := w.comes("tom").subscribes("$share/g/t")
	for i := range 20 { // those who are not busy, equally
		bob.says(1, fmt.Sprint("t=", i))
		for _, p := range []*person{ann, tom} {
			for _, d := range p.pulls() {
				taken[p]++
				p.Ack(d.ID)
			}
		}
	}
	if taken[ann] != 10 || taken[tom] != 10 {
		t.Errorf("of 20 they take %v", taken)
	}
	tom.leaves(Clean)
	// If all are busy, they take turns as well.
	for i := range 12 {
		bob.says(1, fmt.Sprint("t=more ", i))
	}
	if n := stuck.info(); n < 4 || n > 6 {
		t.Errorf("%d of 12 wait for one of two who are busy", n)
	}
}

func (p *person) info() (waiting int) {
	i, _ := p.w.Client(p.id)
	return i.Waiting
}

func TestAbsentMemberKeepsWhatNobodyTakes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob := w.comes("bob")
	zero, kept := w.comes("zero").subscribes("$share/g/t:0"), w.comes("kept").subscribes("$share/g/t")
	zero.leaves(Lost)
	kept.leaves(Lost)
	for i := range 4 {
		bob.says(QoS(i%3), fmt.Sprint("t=", i))
	}
	w.restarts()
	bob.opensAgain(SessionOptions{Expiry: Forever})
	w.comes("zero").gets("t=1", "t=2") // what waits elsewhere goes to who comes
	w.comes("kept").gets()
}

// TestMemberComesForWhatWaits: attached or new, before it hears anything else.
func TestMemberComesForWhatWaits(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("$share/g/t", "own")
	ann.leaves(Lost)
	for _, m := range []string{"t=1", "own=2", "t=3"} {
		bob.says(1, m)
	}
	tom := w.comes("tom")
	tom.subscribe1(Subscription{Filter: "$share/g/t", QoS: 1, ID: 7})
	if tom.mails.Load() != 1 {
		t.Errorf("told of mail %d times", tom.mails.Load())
	}
	tom.leaves(Lost) // what it did not take waits on
	eve := w.comes("eve").subscribes("$share/g/t")
	bob.says(1, "t=4")
	eve.gets("t=1/1", "t=3/1", "t=4/1")
	w.comes("ann").gets("own=2/1")
	w.restarts()
	w.comes("ann").gets()
	w.comes("tom").gets()
	w.comes("eve").gets()
}

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
