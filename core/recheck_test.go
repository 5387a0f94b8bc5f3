package core

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dormouse/core/store"
)

// fromAfar opens the session of p again, from where $SYS may not be read.
func (p *person) fromAfar() {
	p.w.t.Helper()
	who := Identity{ClientID: p.id, Edge: "test", Remote: "afar"}
	p.w.Open(who, SessionOptions{Expiry: Forever}, p, func(s *Session, present bool, err error) {
		p.Session, p.present, p.err = s, present, err
	})
	if p.err != nil {
		p.w.t.Fatal(p.err)
	}
}

func onlyNearby(o *Options) {
	o.Authorize = func(who Identity, a Access) bool {
		return a.Do == ActPublish || who.Remote != "afar" || !strings.HasPrefix(a.Topic, "$SYS")
	}
}

// TestResumedFromElsewhere: whoever resumes a session has no more of it than
// it may have where it comes from now, whether the last connection was over or
// is taken over: not what would come, nor what waits or is in flight. All else
// is as it was, also after a restart.
func TestResumedFromElsewhere(t *testing.T) {
	const state = "$SYS/broker/connection/plant/state" // the one of QoS 1
	for _, over := range []bool{false, true} {
		for _, filter := range []string{"$SYS/#", state, "$share/g/$SYS/#"} {
			t.Run(fmt.Sprintf("%s, over %v", filter, over), func(t *testing.T) {
				disk := store.NewMemory()
				w := newWorld(t, onlyNearby, func(o *Options) { o.Store = disk })
				plant, ann := w.comes("plant"), w.comes("ann").subscribes("a", filter, "b:1")
				plant.says(1, state+"=in flight")
				plant.says(1, "a=in flight")
				ann.pulls()
				if over {
					ann.leaves(Lost)
				}
				plant.says(1, state+"=waits")
				plant.says(1, "b=waits")

				ann.fromAfar()
				plant.says(1, state+"=new")
				plant.says(1, "b=new")
				ann.gets("a=in flight/1 again", "b=waits/1", "b=new/1")
				if c, _ := w.Client("ann"); !ann.present || len(c.Subscriptions) != 2 || c.Inflight+c.Waiting != 0 {
					t.Errorf("resumed as %+v, want two subscriptions", c)
				}
				if n := w.Stats().Subscriptions; n != 2 {
					t.Errorf("%d subscriptions are counted, want 2", n)
				}

				ann.opensAgain(SessionOptions{Expiry: Forever})
				plant.says(1, state+"=newer")
				ann.gets() // it has to subscribe again

				w.Broker = New(w.o)
				if err := w.Restore(); err != nil {
					t.Fatal(err)
				}
				ann.opensAgain(SessionOptions{Expiry: Forever})
				if c, _ := w.Client("ann"); len(c.Subscriptions) != 2 {
					t.Errorf("after a restart there are %v", c.Subscriptions)
				}
				ann.gets()
			})
		}
	}
}

// TestResumedByAnotherMember: what a member of a group may not have any more
// goes to one who may.
func TestResumedByAnotherMember(t *testing.T) {
	const state = "$SYS/broker/connection/plant/state"
	w := newWorld(t, onlyNearby)
	plant, ann := w.comes("plant"), w.comes("ann").subscribes("$share/g/$SYS/#")
	plant.says(1, state+"=1")
	bob := w.comes("bob").subscribes("$share/g/$SYS/#")
	ann.fromAfar()
	ann.gets()
	bob.gets(state + "=1/1")
}

// TestResumeFromNearby: who resumes a session and may have all of it has it.
func TestResumeFromNearby(t *testing.T) {
	w := newWorld(t, onlyNearby)
	w.comes("ann").subscribes("$SYS/#", "a")
	ann := w.comes("ann")
	w.comes("plant").says(0, "$SYS/broker/connection/plant/state=1")
	ann.gets("$SYS/broker/connection/plant/state=1")
}

// TestRecheckWhileOpening: who was asked about by the rules of before a recheck, and
// is attached after it, does not keep a name that may not be any more.
func TestRecheckWhileOpening(t *testing.T) {
	var w *world
	var forbidden atomic.Bool
	var once sync.Once
	rechecked := make(chan struct{})
	w = newWorld(t, func(o *Options) {
		o.Named = func(who Identity) bool {
			may := who.ClientID != "eve" || !forbidden.Load()
			if who.ClientID == "eve" {
				once.Do(func() {
					forbidden.Store(true)
					go func() { w.Recheck(); close(rechecked) }()
					select { // it may wait for us
					case <-rechecked:
					case <-time.After(100 * time.Millisecond):
					}
				})
			}
			return may
		}
	})
	eve := w.opens("eve", SessionOptions{Expiry: Forever})
	<-rechecked
	if eve.err == nil && KickReason(eve.kicked.Load()) != Kicked {
		t.Error("eve stays")
	}
}
