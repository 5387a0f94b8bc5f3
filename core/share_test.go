package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

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
		o.Authorize = func(_ Identity, a Access) bool {
			asked = append(asked, a.Topic)
			return a.Topic != "secret"
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
	if got := strings.Join(slices.Compact(asked), " "); got != "secret a/# $SHARE/g/a" {
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
