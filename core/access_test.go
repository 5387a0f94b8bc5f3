package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dormouse/core/store"
)

// rules is an Authorize that forbids what begins with one of some words: "ann
// subscribe secret", who does what, "on" an occasion if that is said. The zero
// rules allow everything.
type rules struct{ forbidden []string }

func (r *rules) options(o *Options) { o.Authorize = r.authorize }

func (r *rules) authorize(who Identity, a Access) bool {
	line := who.ClientID + " " + a.Do.String() + " " + a.Topic
	return !slices.ContainsFunc(r.forbidden, func(f string) bool {
		f, occasion, some := strings.Cut(f, " on ")
		return strings.HasPrefix(line, f) && (!some || occasion == occasions[a.At])
	})
}

var occasions = [...]string{"request", "delivery", "replay", "will", "resume", "reload"}

// TestHostile18Revoked: from Recheck on nothing more comes by a subscription that
// is forbidden by now: not what is published, waits, is retained or was to come
// again. It is ended, also for the store and in a share, and a canary with the
// same filters has everything.
func TestHostile18Revoked(t *testing.T) {
	for _, tt := range []struct{ filter, on string }{
		{"secret/#", ""}, {"secret/a", ""}, {"$share/g/secret/#", ""},
		{"secret/#", " on reload"}, {"secret/a", " on reload"}, {"$share/g/secret/#", " on reload"}, // deliveries are not asked about
	} {
		filter := tt.filter
		t.Run(filter+tt.on, func(t *testing.T) {
			var r rules
			disk := store.NewMemory()
			w := newWorld(t, r.options, func(o *Options) { o.Store = disk })
			bob := w.comes("bob")
			ann := w.comes("ann").subscribes(filter, "open")
			canary := w.comes("canary").subscribes("secret/#:1", "open:1")
			bob.says(1, "secret/a=in flight")
			if got := ann.pulls(); len(got) != 1 {
				t.Fatalf("ann gets %v", got)
			}
			bob.says(1, "secret/a=waits")
			bob.says(1, "open=waits")
			bob.says(1, "!secret/a=retained")

			r.forbidden = []string{"ann subscribe secret" + tt.on, "ann subscribe secret/# on request", "ann subscribe secret/a on request", "ann subscribe secret on resume"}
			w.Recheck()
			bob.says(1, "secret/a=new")
			bob.says(1, "open=new")
			ann.gets("open=waits/1", "open=new/1")
			canary.gets("secret/a=in flight/1", "secret/a=waits/1", "open=waits/1", "secret/a=retained/1", "secret/a=new/1", "open=new/1")
			if c, _ := w.Client("ann"); len(c.Subscriptions) != 1 {
				t.Errorf("ann still has %v", c.Subscriptions)
			}
			if err := ann.subscribe1(Subscription{Filter: filter}); !errors.Is(err, ErrNotAuthorized) {
				t.Errorf("subscribing again: %v", err)
			}

			ann.opensAgain(SessionOptions{Expiry: Forever})
			ann.gets() // what was in flight is not said again

			w.Broker = New(w.o)
			if err := w.Restore(); err != nil {
				t.Fatal(err)
			}
			if c, _ := w.Client("ann"); len(c.Subscriptions) != 1 {
				t.Errorf("after a restart ann has %v", c.Subscriptions)
			}
		})
	}
}

// TestRevokedWithinAFilter: a filter that is still allowed brings only what is:
// nothing forbidden that waits, comes or is retained, nor again after resuming.
func TestRevokedWithinAFilter(t *testing.T) {
	r := rules{[]string{"ann subscribe secret"}}
	w := newWorld(t, r.options)
	bob := w.comes("bob")
	bob.says(1, "!secret/a=retained")
	bob.says(1, "!open/a=retained")
	ann := w.comes("ann").subscribes("#")
	ann.gets("!open/a=retained/1")
	bob.says(1, "secret/a=new")
	bob.says(0, "secret/a=new")
	bob.says(2, "secret/a=new")
	bob.says(1, "open/a=new")
	bob.says(2, "open/a=one")
	bob.says(2, "secret/a=behind it")
	bob.says(2, "open/a=two")
	ann.gets("open/a=new/1", "open/a=one/2", "open/a=two/2")

	r.forbidden = nil
	bob.says(1, "secret/a=in flight")
	bob.says(2, "secret/a=in flight")
	ann.pulls()
	bob.says(1, "secret/a=waits")
	r.forbidden = []string{"ann subscribe secret"}
	ann.opensAgain(SessionOptions{Expiry: Forever})
	ann.gets()
	if n := w.Stats().Dropped.Unauthorized; n != 7 {
		t.Errorf("%d are counted as forbidden, want 7", n)
	}
	if c, _ := w.Client("ann"); c.Inflight+c.Waiting != 0 {
		t.Errorf("ann is owed %d and %d", c.Inflight, c.Waiting)
	}
}

// TestRecheckLeavesAlone what is with the client already: its acknowledgement
// is of no other message, and nothing is said again.
func TestRecheckLeavesAlone(t *testing.T) {
	var r rules
	w := newWorld(t, r.options)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("secret:1", "open:1")
	bob.says(1, "secret=1")
	bob.says(1, "open=1")
	got := ann.pulls()
	r.forbidden = []string{"ann subscribe secret"}
	w.Recheck()
	bob.says(1, "open=2")
	more := ann.pulls()
	if len(got) != 2 || len(more) != 1 || more[0].ID == got[0].ID || more[0].DUP {
		t.Fatalf("ann gets %v, then %v", got, more)
	}
	for _, d := range append(got, more...) {
		if !ann.Ack(d.ID) {
			t.Errorf("%s=%s is not acknowledged", d.Topic, d.Payload)
		}
	}
}

// TestHostile19RetainedByARevoked: what was retained by one who may not any
// more is not replayed, unless the rules say that it stays: also after a restart,
// when nobody is there to ask. Rules know the publisher as he was.
func TestHostile19RetainedByARevoked(t *testing.T) {
	alice := Identity{ClientID: "alice", User: "al", Roles: "night day", Edge: "test", Listener: "sn", Remote: "192.0.2.7:5"}
	var forbid, seen []Identity
	disk := store.NewMemory()
	w := newWorld(t, func(o *Options) {
		o.Store = disk
		o.Authorize = func(who Identity, a Access) bool {
			if a.At == OnReplay {
				seen = append(seen, who)
				return !slices.Contains(forbid, who)
			}
			return true
		}
	})
	w.Publish(alice, message(1, "!a=alice"), func(error) {})
	w.comes("bob").says(1, "!b=bob")
	w.Publish(Identity{}, message(1, "!c=nobody"), func(error) {})
	for i, restart := range []bool{false, true} {
		if restart {
			w.Broker = New(w.o)
			if err := w.Restore(); err != nil {
				t.Fatal(err)
			}
		}
		forbid = nil
		w.opens("all", SessionOptions{CleanStart: true}).subscribes("#:0").gets("!a=alice", "!b=bob", "!c=nobody")
		if !slices.Contains(seen, alice) {
			t.Errorf("%d: asked about %+v, want %+v among them", i, seen, alice)
		}
		forbid = []Identity{alice}
		w.opens("all", SessionOptions{CleanStart: true}).subscribes("#:0").gets("!b=bob", "!c=nobody")
	}
	w.waits(w.o.SysInterval)
	forbid = []Identity{{}}
	sys := w.opens("sys", SessionOptions{}).subscribes("$SYS/broker/version:0")
	sys.gets("!$SYS/broker/version=dormouse")
}

// TestRetainedByOneGoesAhead: what is retained and is asked about out of turn,
// since something newer of its topic comes, is asked about all the same.
func TestRetainedByOneGoesAhead(t *testing.T) {
	var r rules
	w := newWorld(t, r.options, func(o *Options) { o.Retained.ReplayAtOnce = 1 })
	bob := w.comes("bob")
	for _, topic := range []string{"a", "b", "c"} {
		bob.says(1, "!"+topic+"=old")
	}
	r.forbidden = []string{"bob publish c on replay"}
	ann := w.comes("ann").subscribes("#:0")
	bob.says(0, "c=new")
	for _, d := range ann.pulls() {
		if d.Topic == "c" && string(d.Payload) == "old" {
			t.Error("what bob may not publish any more goes ahead of his news")
		}
	}
}

// TestHostile15WillIsAskedAboutTwice: a will that its author may not publish when
// he is lost is not, also if that was before a restart.
func TestHostile15WillIsAskedAboutTwice(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := rules{[]string{"ann publish will on request"}}
		disk := store.NewMemory()
		w := newWorld(t, r.options, func(o *Options) { o.Store = disk })
		canary := w.comes("canary").subscribes("will:1")
		ann := &person{w: w, id: "ann"}
		o := SessionOptions{Will: &Will{Message: message(1, "will=x")}}
		if ann.opensAgain(o); !errors.Is(ann.err, ErrNotAuthorized) {
			t.Errorf("with a will that is forbidden: %v", ann.err)
		}
		r.forbidden = []string{"ann publish will on will"}
		if ann.opensAgain(o); ann.err != nil {
			t.Fatal(ann.err)
		}
		if restart {
			w.Broker = New(w.o)
			if err := w.Restore(); err != nil {
				t.Fatal(err)
			}
			w.waits(1e9)
			canary = w.comes("canary")
		} else {
			ann.leaves(Lost)
		}
		canary.gets()
	}
}

// TestWillsAuthorIsKept: rules are asked about who left the will, as he was, also
// after a restart.
func TestWillsAuthorIsKept(t *testing.T) {
	alice := Identity{ClientID: "alice", User: "al", Roles: "r", Edge: "test", Listener: "l", Remote: "192.0.2.7:5"}
	var seen []Identity
	disk := store.NewMemory()
	w := newWorld(t, func(o *Options) {
		o.Store = disk
		o.Authorize = func(who Identity, a Access) bool {
			if a.At == OnWill {
				seen = append(seen, who)
			}
			return true
		}
	})
	w.Open(alice, SessionOptions{Will: &Will{Message: message(1, "will=x")}}, &person{}, func(*Session, bool, error) {})
	w.Broker = New(w.o)
	if err := w.Restore(); err != nil {
		t.Fatal(err)
	}
	w.waits(1e9)
	if !slices.Equal(seen, []Identity{alice}) {
		t.Errorf("asked about %+v, want %+v", seen, alice)
	}
}

// TestGrantedQoS: who asks for more than he may have is granted less, and who has
// more than he may have by now has less from then on.
func TestGrantedQoS(t *testing.T) {
	most := QoS(2)
	disk := store.NewMemory()
	w := newWorld(t, func(o *Options) {
		o.Store = disk
		o.Authorize = func(_ Identity, a Access) bool { return a.Do == ActPublish || a.QoS <= most }
	})
	bob := w.comes("bob")
	ann := w.comes("ann").subscribes("a")
	bob.says(2, "a=1")
	most = 1
	w.Recheck()
	bob.says(2, "a=2")
	ann.gets("a=1/2", "a=2/1")
	var granted QoS
	ann.Subscribe(Subscription{Filter: "b", QoS: 2}, func(q QoS, err error) { granted = q })
	if granted != 1 {
		t.Errorf("granted %d, want 1", granted)
	}
	w.Broker = New(w.o)
	if err := w.Restore(); err != nil {
		t.Fatal(err)
	}
	for _, s := range func() []Subscription { c, _ := w.Client("ann"); return c.Subscriptions }() {
		if s.QoS != 1 {
			t.Errorf("after a restart %s is at QoS %d, want 1", s.Filter, s.QoS)
		}
	}
}

// TestClientIDsThatMayNotBe: nobody opens or resumes a session under a name that
// he may not have, and who has one is not disturbed.
func TestClientIDsThatMayNotBe(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Named = func(who Identity) bool { return who.ClientID == who.User }
	})
	alice := w.as("alice", "alice", SessionOptions{Expiry: Forever})
	for _, o := range []SessionOptions{{}, {CleanStart: true}, {Expiry: Forever}} {
		if p := w.as("mallory", "alice", o); !errors.Is(p.err, ErrClientID) {
			t.Errorf("%+v: %v", o, p.err)
		}
	}
	if alice.kicked.Load() != 0 || w.Stats().Dropped.Misnamed != 3 {
		t.Errorf("alice is kicked for reason %d; %d are counted, want 3", alice.kicked.Load(), w.Stats().Dropped.Misnamed)
	}
}

// TestRecheckedNames: who may not be called so any more is kicked, as lost, and
// does not come back; nobody else is disturbed.
func TestRecheckedNames(t *testing.T) {
	forbidden := ""
	w := newWorld(t, func(o *Options) { o.Named = func(who Identity) bool { return who.ClientID != forbidden } })
	bob := w.comes("bob").subscribes("will:1")
	eve := w.opens("eve", SessionOptions{Expiry: Forever, Will: &Will{Message: message(1, "will=eve")}})
	w.Recheck()
	if eve.kicked.Load() != 0 {
		t.Errorf("eve is kicked for reason %d though she may be called so", eve.kicked.Load())
	}
	forbidden = "eve"
	w.Recheck()
	bob.gets("will=eve/1")
	if KickReason(eve.kicked.Load()) != Kicked || bob.kicked.Load() != 0 {
		t.Errorf("eve is kicked for reason %d and bob for %d", eve.kicked.Load(), bob.kicked.Load())
	}
	if eve.opensAgain(SessionOptions{Expiry: Forever}); !errors.Is(eve.err, ErrClientID) {
		t.Errorf("eve comes back: %v", eve.err)
	}
}

// TestAuthorIsKept: who retained a message is read as he was, and what was not
// written so is nobody's.
func TestAuthorIsKept(t *testing.T) {
	full := Identity{"c", "u", "r1 r2", "mqttsn", "l\x00", strings.Repeat("9", 300)}
	for _, id := range []Identity{full, {ClientID: "c"}, {ClientID: "c", Remote: "x"}} {
		if got := authorOf("c", id.author()); got != id {
			t.Errorf("%+v is read as %+v", id, got)
		}
	}
	whole := full.author()
	for n := range len(whole) {
		if got := authorOf("c", whole[:n]); got != (Identity{ClientID: "c"}) {
			t.Errorf("the first %d octets are read as %+v", n, got)
		}
	}
}

// TestRecheckWhileAllGoesOn: whoever subscribes while rules change has, once
// Recheck has returned, no more than they allow.
func TestRecheckWhileAllGoesOn(t *testing.T) {
	var forbidden atomic.Bool
	w := newWorld(t, func(o *Options) {
		o.Authorize = func(_ Identity, a Access) bool { return a.Do == ActPublish || !forbidden.Load() }
	})
	people := []*person{w.comes("ann"), w.comes("bob"), w.comes("cat")}
	for round := range 100 {
		forbidden.Store(false)
		var all sync.WaitGroup
		for i, p := range people {
			all.Go(func() {
				filter := []string{"a", "a/#", "$share/g/a"}[(i+round)%3]
				for n := range 20 {
					p.subscribe1(Subscription{Filter: filter, QoS: 1})
					p.says(1, fmt.Sprintf("a=%d", n))
					for d, ok := p.Next(); ok; d, ok = p.Next() {
						p.Ack(d.ID)
					}
				}
			})
		}
		forbidden.Store(true)
		w.Recheck()
		w.comes("dan").says(1, "a=forbidden")
		all.Wait()
		for _, p := range people {
			if got := p.pulls(); len(got) > 0 {
				t.Fatalf("%s gets %s", p, show(got[0]))
			}
			if c, _ := w.Client(p.id); len(c.Subscriptions) > 0 || c.Waiting > 0 {
				t.Fatalf("%s has %+v", p, c)
			}
		}
	}
}

// TestOperatorsSeeAllThatIsRetained, whoever may publish it by now.
func TestOperatorsSeeAllThatIsRetained(t *testing.T) {
	var r rules
	w := newWorld(t, r.options)
	w.comes("bob").says(1, "!a=1")
	r.forbidden = []string{"bob publish"}
	all, err := w.Retained("#")
	if err != nil {
		t.Fatal(err)
	}
	for m := range all {
		if m.Topic == "a" {
			return
		}
	}
	t.Error("what bob retained is not shown")
}

// TestResumeUnderANameThatMayNotBe: what is left of a session is not for a client
// id that may not be any more.
func TestResumeUnderANameThatMayNotBe(t *testing.T) {
	may := true
	w := newWorld(t, func(o *Options) {
		o.Store = store.NewMemory()
		o.Named = func(Identity) bool { return may }
	})
	p := w.opens("p", SessionOptions{Sensor: true, Expiry: Forever})
	p.SaveEdge([]byte("here"), func(error) {})
	w.restarts()
	if may = false; p.resumes(Forever) {
		t.Error("it is resumed")
	}
	if may = true; !p.resumes(Forever) {
		t.Error("it is not resumed once it may be")
	}
}

// TestSharesAreAskedAboutAsSuch: rules that look into a share are told that it is
// one, when it is asked for and when it is resumed.
func TestSharesAreAskedAboutAsSuch(t *testing.T) {
	var shared []bool
	w := newWorld(t, func(o *Options) {
		o.Authorize = func(_ Identity, a Access) bool {
			shared = append(shared, a.Shared)
			return true
		}
	})
	ann := w.comes("ann").subscribes("$share/g/a", "a")
	ann.opensAgain(SessionOptions{Expiry: Forever})
	if want := []bool{true, false, false, true}; !slices.Equal(shared, want) {
		t.Errorf("asked about a share and one that is none, the last first again: %v, want %v", shared, want)
	}
}
