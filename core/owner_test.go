package core

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"dormouse/core/store"
)

// as opens a session as user.
func (w *world) as(user, id string, o SessionOptions) *person {
	w.t.Helper()
	p := &person{w: w, id: id}
	w.Open(Identity{ClientID: id, User: user, Edge: "test"}, o, p, func(s *Session, present bool, err error) {
		p.Session, p.present, p.err = s, present, err
	})
	return p
}

// TestHostile16 and 17: while a session lasts, nobody else gets at it, by
// resuming it or by starting anew, whether its user is there or not, and also
// after a restart. Its user finds everything as it was.
func TestHostile16And17AnothersSession(t *testing.T) {
	bound := func(o *Options) { o.BindUsers = true }
	kept := SessionOptions{Expiry: Forever}
	for _, owner := range []string{"alice", ""} {
		for _, intruder := range []string{"mallory", "alice", ""} {
			if intruder == owner {
				continue
			}
			for _, away := range []bool{false, true} {
				t.Run(fmt.Sprintf("%q from %q, away %v", owner, intruder, away), func(t *testing.T) {
					disk := store.NewMemory()
					w := newWorld(t, bound, func(o *Options) { o.Store = disk })
					w.as(owner, "device", kept).subscribes("a")
					if away {
						w.Broker.Close()
						w = newWorld(t, bound, func(o *Options) { o.Store = disk })
						if err := w.Restore(); err != nil {
							t.Fatal(err)
						}
					}
					w.comes("publisher").says(1, "a=for the owner")
					for _, o := range []SessionOptions{kept, {CleanStart: true}} {
						if p := w.as(intruder, "device", o); !errors.Is(p.err, ErrNotAuthorized) {
							t.Errorf("opened with %+v: %v, want not authorized", o, p.err)
						}
					}
					if n := w.Stats().Dropped.Foreign; n != 2 {
						t.Errorf("%d are counted, want 2", n)
					}
					p := w.as(owner, "device", kept)
					if p.err != nil || !p.present {
						t.Fatalf("its user gets %v, present %v", p.err, p.present)
					}
					p.gets("a=for the owner/1")
				})
			}
		}
	}
}

// TestSessionThatIsOver is anybody's.
func TestSessionThatIsOver(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.BindUsers = true })
	w.as("alice", "a", SessionOptions{}).leaves(Clean)
	w.as("alice", "b", SessionOptions{Expiry: time.Minute}).leaves(Clean)
	w.now.Add(int64(time.Minute)) // and no tick yet
	for _, id := range []string{"a", "b"} {
		if p := w.as("bob", id, SessionOptions{}); p.err != nil {
			t.Errorf("%s: %v", id, p.err)
		}
		if p := w.as("alice", id, SessionOptions{}); !errors.Is(p.err, ErrNotAuthorized) {
			t.Errorf("%s is bob's now; alice gets %v", id, p.err)
		}
	}
}

// TestNamesThatNobodyChecks bind nothing.
func TestNamesThatNobodyChecks(t *testing.T) {
	w := newWorld(t)
	w.as("alice", "device", SessionOptions{Expiry: Forever})
	if p := w.as("bob", "device", SessionOptions{Expiry: Forever}); p.err != nil || !p.present {
		t.Errorf("bob gets %v, present %v", p.err, p.present)
	}
}
