package core

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"dormouse/core/store"
)

// TestRestart: everything but the connections is as it was.
func TestRestart(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("a/#:1", "gone:1")
	eve := w.opens("eve", SessionOptions{}).subscribes("#")
	ann.Unsubscribe("gone", func(bool, error) {})
	ann.SaveEdge([]byte("ids"), func(error) {})
	for _, m := range []string{"!a/1=x", "a/2=x", "a/3=x"} {
		bob.says(1, m)
	}
	first, _ := ann.Next()
	second, _ := ann.Next()
	ann.Ack(second.ID)
	bob.Publish(message(2, "a/4=x"), 9, func(error) {})
	short := w.opens("short", SessionOptions{Expiry: time.Hour})
	short.SetExpiry(0)
	short.leaves(Clean)
	sensor := w.opens("sensor", SessionOptions{Expiry: Forever, Sensor: true, Will: willing("x")})
	eve.gets("a/1=x/1", "a/2=x/1", "a/3=x/1", "a/4=x/2")

	w.restarts()
	if s := w.Stats(); s.Clients != 3 || s.Connected != 0 || s.Subscriptions != 1 || s.Retained != 1 {
		t.Errorf("restored %+v", s)
	}
	bob, ann = w.comes("bob"), w.comes("ann")
	if string(ann.EdgeState()) != "ids" || !ann.present {
		t.Errorf("edge state %q, present %v", ann.EdgeState(), ann.present)
	}
	bob.Publish(message(2, "a/4=x"), 9, func(error) {}) // a repeat
	bob.says(1, "a/5=x")
	again, _ := ann.Next()
	if again.ID != first.ID || show(again) != "a/1=x/1 again" {
		t.Errorf("%s as %d, first sent as %d", show(again), again.ID, first.ID)
	}
	ann.gets("a/3=x/1", "a/4=x/1", "a/5=x/1")
	w.comes("tom").subscribes("#").gets("!a/1=x/1")
	sensor.opensAgain(SessionOptions{Expiry: Forever, Sensor: true})
	if sensor.Will() == nil {
		t.Error("the sensor's will is gone")
	}
}

// TestRestartAfterASessionBeganToBeKept: what a clean session had when a
// sensor's CONNECT made it one to be kept is as durable as what came later.
func TestRestartAfterASessionBeganToBeKept(t *testing.T) {
	disk := store.NewMemory()
	w := newWorld(t, func(o *Options) { o.Store = disk })
	bob := w.comes("bob")
	ann := w.opens("ann", SessionOptions{Sensor: true}).subscribes("a/#:2", "b:1")
	for _, m := range []string{"a/1=x", "a/2=x", "a/3=x", "b=x"} {
		bob.says(2, m)
	}
	first, _ := ann.Next()
	second, _ := ann.Next()
	ann.Received(first.ID, func(bool) {})
	ann.Publish(message(2, "up=x"), 9, func(error) {})
	ann.opensAgain(SessionOptions{Sensor: true, Expiry: Forever})
	if !ann.present {
		t.Error("the session was not present")
	}

	w.restarts()
	bob = w.comes("bob").subscribes("up")
	ann = w.comes("ann")
	ann.Publish(message(2, "up=x"), 9, func(error) {}) // a repeat
	bob.gets()
	bob.says(1, "b=later")
	again := ann.pulls()
	want := []string{"/2 again rel", "a/2=x/2 again", "a/3=x/2", "b=x/1", "b=later/1"}
	if len(again) != len(want) || again[0].ID != first.ID || again[1].ID != second.ID {
		t.Fatalf("after the restart: %v", again)
	}
	for i, d := range again {
		if show(d) != want[i] {
			t.Errorf("delivery %d is %q, want %q", i, show(d), want[i])
		}
	}
}

// A meddler is a store that makes something happen around a Write.
type meddler struct {
	*store.Memory
	before func(store.Fact) error
	after  func(store.Fact)
}

func meddledWorld(t *testing.T) (*world, *meddler) {
	m := &meddler{Memory: store.NewMemory()}
	m.leaveAlone()
	return newWorld(t, func(o *Options) { o.Store = m }), m
}

func (m *meddler) leaveAlone() {
	m.before, m.after = func(store.Fact) error { return nil }, func(store.Fact) {}
}

func (m *meddler) Write(facts ...store.Fact) error {
	for _, f := range facts {
		if err := m.before(f); err != nil {
			return err
		}
	}
	err := m.Memory.Write(facts...)
	for _, f := range facts {
		m.after(f)
	}
	return err
}

func (w *world) restarts() {
	w.t.Helper()
	w.Broker = New(w.o)
	if err := w.Restore(); err != nil {
		w.t.Fatal(err)
	}
}

// TestRefusedQoS2IsNotTakenAfterATakeover: the client repeats over its new
// connection what the store refused over the old one.
func TestRefusedQoS2IsNotTakenAfterATakeover(t *testing.T) {
	w, m := meddledWorld(t)
	ann, old := w.comes("ann").subscribes("a"), w.comes("bob")
	came := make(chan *person)
	m.before = func(f store.Fact) error {
		if _, ok := f.(*store.Accepted); !ok {
			return nil
		}
		m.leaveAlone()
		go func() { came <- w.comes("bob") }()
		return errFull
	}
	old.Publish(message(2, "a=1"), 1, func(error) {})
	bob := <-came
	bob.Publish(message(2, "a=1"), 1, func(error) {})
	ann.gets("a=1/2")
}

// TestExpiryTakesOnlyWhatHasExpired: a message retained at the moment when the
// one before it expires is there after a restart.
func TestExpiryTakesOnlyWhatHasExpired(t *testing.T) {
	w, m := meddledWorld(t)
	bob := w.comes("bob")
	old := message(1, "!a=old")
	old.Expires = w.o.Now().Add(time.Minute)
	bob.Publish(old, 0, func(error) {})
	said := false
	m.before = func(f store.Fact) error {
		if _, ok := f.(*store.Unretained); ok && w.retained.mu.TryLock() {
			w.retained.mu.Unlock() // somebody else may be faster
			bob.says(1, "!a=new")
			said = true
		}
		return nil
	}
	w.waits(time.Minute)
	if !said {
		bob.says(1, "!a=new")
	}
	m.leaveAlone()
	w.restarts()
	w.comes("ann").subscribes("#").gets("!a=new/1")
}

// TestCleanStartForgetsWhatIsOnItsWay: a message for the old session, written
// as the new one begins, is not the new one's after a restart.
func TestCleanStartForgetsWhatIsOnItsWay(t *testing.T) {
	w, m := meddledWorld(t)
	bob := w.comes("bob")
	w.comes("ann").subscribes("a").leaves(Lost)
	var said sync.WaitGroup
	m.after = func(f store.Fact) {
		if _, ok := f.(*store.Ended); !ok || !w.topics.TryRLock() {
			return
		}
		w.topics.RUnlock() // a publisher may be faster than the clean start
		written := make(chan bool)
		m.after = func(f store.Fact) {
			if _, ok := f.(*store.Published); ok {
				close(written)
			}
		}
		said.Go(func() { bob.says(1, "a=1") })
		<-written
	}
	w.opens("ann", SessionOptions{CleanStart: true, Expiry: Forever})
	said.Wait()
	m.leaveAlone()
	w.restarts()
	w.comes("ann").gets()
}

// TestRacersRetainTheSameAfterARestart: of two who retain and clear
// at once, a restart has the same to be the last as those who were there saw.
func TestRacersRetainTheSameAfterARestart(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store, o.Queue.Messages = store.NewMemory(), 100_000 })
	w.comes("sleeper").subscribes("#").leaves(Lost) // for whom all is kept
	var racers sync.WaitGroup
	for i := range 2 {
		p := w.comes(fmt.Sprint("racer", i))
		racers.Go(func() {
			for n := range 3000 {
				p.says(1, fmt.Sprint("!", n, "=", []string{"", "x"}[i]))
			}
		})
	}
	racers.Wait()
	before := w.Stats().Retained
	w.restarts()
	if after := w.Stats().Retained; after != before {
		t.Errorf("after a restart %d topics have a message, before %d", after, before)
	}
}
