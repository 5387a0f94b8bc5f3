package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRetainedMessageMeetsLateSubscribers(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	for _, m := range []string{"!a=old", "!a=new", "!b=x", "!b=", "!$SYS/x=no", "c=not retained"} {
		bob.says(1, m)
	}
	w.comes("ann").subscribes("#:2").gets("!a=new/1")
	w.comes("eve").subscribes("a:0").gets("!a=new")
	w.comes("tom").subscribes("b", "c", "a/+").gets()
	if s := w.Stats(); s.Retained != 1 || s.RetainedBytes != 4 {
		t.Errorf("%d retained of %d octets, want 1 of 4", s.Retained, s.RetainedBytes)
	}
}

// TestRetainFlag is MQTT 5 §3.3.1.3: set on what was retained before, and on
// a live message only for those who asked to see it.
func TestRetainFlag(t *testing.T) {
	w := newWorld(t)
	bob, ann, eve := w.comes("bob"), w.comes("ann").subscribes("#"), w.comes("eve")
	eve.subscribe1(Subscription{Filter: "#", QoS: 1, RetainAsPublished: true})
	bob.says(1, "!a=1")
	bob.says(1, "a=2")
	ann.gets("a=1/1", "a=2/1")
	eve.gets("!a=1/1", "a=2/1")
	w.comes("tom").subscribes("#").gets("!a=1/1")
}

func TestRetainHandling(t *testing.T) {
	w := newWorld(t)
	w.comes("bob").says(1, "!a=1")
	for handling, want := range [][2]string{{"!a=1/1", "!a=1/1"}, {"!a=1/1", ""}, {"", ""}} {
		ann := w.comes(fmt.Sprint("ann", handling))
		for _, want := range want {
			ann.subscribe1(Subscription{Filter: "a", QoS: 1, RetainHandling: uint8(handling)})
			ann.gets(strings.Fields(want)...)
		}
	}
}

func TestNoLocal(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann")
	ann.says(1, "!a=mine")
	w.comes("bob").says(1, "!b=his")
	ann.subscribe1(Subscription{Filter: "#", QoS: 1, NoLocal: true})
	ann.gets("!b=his/1")
	ann.says(1, "a=mine")
	ann.gets()
}

// TestOverlappingFilters: one copy, the highest QoS, every identifier.
func TestOverlappingFilters(t *testing.T) {
	w := newWorld(t)
	ann, eve := w.comes("ann"), w.comes("eve").subscribes("a/#:0", "+/b:1")
	for i, f := range []string{"a/b", "a/+", "#", "other"} {
		ann.subscribe1(Subscription{Filter: f, QoS: QoS(i), ID: uint32(10 * i)})
	}
	w.comes("bob").says(2, "a/b=1")
	got := ann.pulls()
	if len(got) != 1 || got[0].QoS != 2 {
		t.Fatalf("%v", got)
	}
	ids := slices.Sorted(slices.Values(got[0].SubscriptionIDs))
	if !slices.Equal(ids, []uint32{10, 20}) {
		t.Errorf("identifiers %v, want 10 and 20", ids)
	}
	eve.gets("a/b=1/1")
}

func TestSubscriptionsAreReplacedAndRemoved(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxSubscriptions = 2 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("a:2", "b:1", "a:0")
	bob.says(2, "a=1")
	ann.gets("a=1")
	if err := ann.subscribe1(Subscription{Filter: "c"}); !errors.Is(err, ErrQuota) {
		t.Errorf("the third of two: %v", err)
	}
	for _, want := range []bool{true, false} {
		ann.Unsubscribe("a", func(existed bool, err error) {
			if existed != want || err != nil {
				t.Errorf("Unsubscribe: %v, %v, want %v", existed, err, want)
			}
		})
	}
	bob.says(2, "a=2")
	bob.says(2, "b=3")
	ann.gets("b=3/1")
	for f, want := range map[string]error{"a/#/b": ErrInvalidTopic, "": ErrInvalidTopic, "$share/g/#/b": ErrInvalidTopic, "$share//b": ErrInvalidTopic} {
		if err := ann.subscribe1(Subscription{Filter: f}); !errors.Is(err, want) {
			t.Errorf("subscribe to %q: %v, want %v", f, err, want)
		}
	}
}

func TestSubscribeIsAuthorized(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Authorize = func(who Identity, a Access) bool {
			return who.ClientID == "root" || a.Do == ActPublish || a.Topic != "#"
		}
	})
	if err := w.comes("ann").subscribe1(Subscription{Filter: "#"}); !errors.Is(err, ErrNotAuthorized) {
		t.Errorf("ann: %v", err)
	}
	if err := w.comes("root").subscribe1(Subscription{Filter: "#"}); err != nil {
		t.Errorf("root: %v", err)
	}
}

// TestReplayOutgrowsTheQueue, hostile row 61: far more is retained than a queue holds, and all
// of it comes, paced by acknowledgements, while new messages are not lost.
func TestReplayOutgrowsTheQueue(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Messages, o.MaxInflight = 10, 3 })
	bob := w.comes("bob")
	const topics = 500
	for i := range topics {
		bob.says(1, fmt.Sprintf("!t/%d=old", i))
	}
	ann := w.comes("ann").subscribes("t/+:1")
	got := map[string]int{}
	for n := 0; ; n++ {
		d, ok := ann.Next()
		if !ok {
			break
		}
		got[show(d)]++
		ann.Ack(d.ID)
		if n%2 == 0 && n < 200 {
			bob.says(1, fmt.Sprintf("!t/%d=new", 300+n)) // replaces one that may be still to come
			bob.says(1, fmt.Sprintf("!t/%d=", 301+n))    // clears another
		}
	}
	for i := range topics {
		changed := 300 <= i && i < 500
		old, fresh, cleared := got[fmt.Sprintf("!t/%d=old/1", i)], got[fmt.Sprintf("t/%d=new/1", i)], got[fmt.Sprintf("t/%d=/1", i)]
		if !changed && (old != 1 || fresh+cleared != 0) || changed && (old > 1 || fresh+cleared != 1) {
			t.Errorf("t/%d: %d old, %d new, %d cleared", i, old, fresh, cleared)
		}
	}
	if d := w.Stats().Dropped; d.Overflow != 0 {
		t.Errorf("%d dropped", d.Overflow)
	}
}

// TestReplayPassesOverWhatDoesNotMatch walks far without finding anything, a
// stride at a time, so that nobody else waits for it.
func TestReplayPassesOverWhatDoesNotMatch(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	for i := range 3 * stride {
		bob.says(0, fmt.Sprintf("!%d/x=1", i))
	}
	bob.says(0, "!last/y=1")
	ann := w.comes("ann").subscribes("+/y:1")
	var got []Delivery
	calls := 0
	for ; ann.mails.Swap(0) > 0; calls++ {
		got = append(got, ann.pulls()...)
	}
	if len(got) != 1 || show(got[0]) != "!last/y=1" {
		t.Errorf("got %v", got)
	}
	if calls < 3 {
		t.Errorf("%d calls walked %d topics", calls, 3*stride)
	}
}

// TestReplayPassesOverWhatWasReplaced: what is newer than the subscription
// comes live, however much of it there is.
func TestReplayPassesOverWhatWasReplaced(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	for i := range 3 * stride {
		bob.says(0, fmt.Sprintf("!t/%d=old", i))
	}
	ann := w.comes("ann").subscribes("t/#:1")
	ann.leaves(Lost)
	for i := range 3*stride - 1 {
		bob.says(0, fmt.Sprintf("!t/%d=new", i))
	}
	ann.opensAgain(SessionOptions{Expiry: Forever})
	var got []string
	for ann.mails.Swap(0) > 0 {
		for _, d := range ann.pulls() {
			got = append(got, show(d))
		}
	}
	if len(got) != 1 || got[0] != fmt.Sprintf("!t/%d=old", 3*stride-1) {
		t.Errorf("got %d: %.100q", len(got), got)
	}
}

func TestReplayOutlivesAttachmentAndSubscription(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxInflight = 1 })
	bob := w.comes("bob")
	for i := range 4 {
		bob.says(1, fmt.Sprint("!t/", i, "=x"))
	}
	ann := w.comes("ann").subscribes("t/#")
	first, _ := ann.Next()
	ann.leaves(Lost)
	ann = w.comes("ann")
	ann.pulls()
	ann.Ack(first.ID)
	ann.gets("!t/1=x/1", "!t/2=x/1", "!t/3=x/1")

	ann.subscribes("t/#")
	ann.Unsubscribe("t/#", func(bool, error) {})
	ann.gets()
}

// TestHostile60BoundsOnRetained: beyond the bound a publish is refused
// as a whole, and clearing makes room.
func TestHostile60BoundsOnRetained(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Retained.Messages, o.Retained.Bytes = 2, 20 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	for _, tt := range []struct {
		says string
		want error
	}{
		{"!a=123456789", nil},                   // 10 octets
		{"!b=123456789", nil},                   // 20
		{"!c=1", ErrQuota},                      // a third
		{"!a=1234567890", ErrQuota},             // one octet more
		{"!a=1", nil},                           // less
		{"!b=", nil},                            // cleared
		{"!c=123456789", nil},                   // room again
		{"c=" + strings.Repeat("x", 1000), nil}, // not retained
	} {
		if err := bob.says(1, tt.says); !errors.Is(err, tt.want) {
			t.Errorf("%.20s: %v, want %v", tt.says, err, tt.want)
		}
	}
	if n := len(ann.pulls()); n != 6 {
		t.Errorf("%d messages came, want the 6 that were taken", n)
	}
	if s := w.Stats(); s.Retained != 2 || s.RetainedBytes != 12 || s.Dropped.Quota != 2 {
		t.Errorf("%+v", s)
	}
}

func TestSysIsThereToSubscribeTo(t *testing.T) {
	w := newWorld(t)
	w.AddSys(func(yield func(name, value string)) { yield("mqttsn/clients/asleep", "3") })
	bob := w.comes("bob")
	bob.says(1, "a=1")
	w.waits(10 * time.Second)
	ann := w.comes("ann").subscribes("$SYS/#:0", "#")
	got := map[string]string{}
	for _, d := range ann.pulls() {
		if !d.Retain {
			t.Errorf("%s came as live", show(d))
		}
		got[strings.TrimPrefix(d.Topic, "$SYS/broker/")] = string(d.Payload)
	}
	for name, want := range map[string]string{
		"clients/connected":         "1",
		"publish/messages/received": "1",
		"mqttsn/clients/asleep":     "3",
		"uptime":                    "1 seconds",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	w.waits(10 * time.Second)
	live := ann.pulls()
	if !slices.ContainsFunc(live, func(d Delivery) bool { return show(d) == "$SYS/broker/clients/connected=2" }) {
		t.Errorf("after ten seconds: %v", live)
	}
	if s := w.Stats(); s.Retained != 0 {
		t.Errorf("$SYS counts as %d retained messages", s.Retained)
	}
}

// TestBoundOnOnesRetained: one client cannot take the whole room. A topic is
// its last publisher's.
func TestBoundOnOnesRetained(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Retained.PerPublisher = 2 })
	bob, ann := w.comes("bob"), w.comes("ann")
	for _, tt := range []struct {
		who  *person
		says string
		want error
	}{
		{bob, "!a=1", nil},
		{bob, "!b=1", nil},
		{bob, "!c=1", ErrQuota}, // a third
		{bob, "!a=2", nil},      // one's own is replaced
		{ann, "!c=1", nil},
		{bob, "!c=2", ErrQuota}, // another's would be a third
		{ann, "!a=3", nil},      // bob has one now, ann two
		{ann, "!d=1", ErrQuota},
		{bob, "!d=1", nil},
		{bob, "!a=", nil}, // ann has one
		{ann, "!e=1", nil},
		{bob, "f=1", nil}, // not retained
	} {
		if err := tt.who.says(1, tt.says); !errors.Is(err, tt.want) {
			t.Errorf("%s says %s: %v, want %v", tt.who, tt.says, err, tt.want)
		}
	}
	for i := range 3 {
		w.Publish(Identity{}, message(0, fmt.Sprintf("!nobody/%d=1", i)), func(err error) {
			if err != nil {
				t.Errorf("a message of nobody's: %v", err)
			}
		})
	}
	if s := w.Stats(); s.Retained != 7 || s.Dropped.Share != 3 || s.Dropped.Quota != 0 {
		t.Errorf("%+v", s)
	}
	for _, topic := range []string{"b", "d"} {
		bob.says(1, "!"+topic+"=")
	}
	if n := len(w.retained.shares); n != 1 {
		t.Errorf("%d clients are counted, only ann has anything", n)
	}
}

// TestSysIsForThoseWhoAsk by its name: no wildcard at the start matches it, for
// what is retained or for what comes.
func TestSysIsForThoseWhoAsk(t *testing.T) {
	w := newWorld(t)
	w.waits(10 * time.Second)
	wild := w.comes("wild").subscribes("#", "+/broker/uptime", "+/#", "+/+/+")
	asks := w.comes("asks").subscribes("$SYS/broker/uptime:0", "$SYS/+/version:0")
	asks.gets("!$SYS/broker/uptime=1 seconds", "!$SYS/broker/version=dormouse")
	w.waits(10 * time.Second)
	asks.gets("$SYS/broker/uptime=11 seconds")
	wild.gets()
}
