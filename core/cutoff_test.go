package core

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"dormouse/core/store"
)

// A journal is a store that can go back to how it was after each Write: what is
// left if the process ends there.
type journal struct {
	*store.Memory
	writes [][]store.Fact
}

func journalWorld(t *testing.T) (*world, *journal) {
	j := &journal{Memory: store.NewMemory()}
	w := newWorld(t, func(o *Options) { o.Store = j })
	w.restarts()
	return w, j
}

func (j *journal) Write(facts ...store.Fact) error {
	facts = slices.Clone(facts)
	for i, f := range facts {
		if p, ok := f.(*store.Published); ok {
			again := *p
			again.Receivers = slices.Values(slices.Collect(p.Receivers))
			facts[i] = &again
		}
	}
	j.writes = append(j.writes, facts)
	return j.Memory.Write(facts...)
}

// cutOff calls then with a world for each number of Writes, from the first to the
// last, after which the process may end: restarted with what is left.
func (j *journal) cutOff(w *world, first, last int, then func(writes int, left *world)) {
	for n := first; n <= last; n++ {
		left := &journal{Memory: store.NewMemory()}
		for _, facts := range j.writes[:n] {
			left.Memory.Write(facts...)
		}
		again := newWorld(w.t, func(o *Options) {
			now := o.Now
			*o = w.o
			o.Now, o.Store = now, left
		})
		again.now.Store(w.now.Load())
		again.restarts()
		then(n, again)
	}
}

// TestAWillIsPublishedOnceWhereverItIsCutOff: a client is lost, and the process
// ends after any of the Writes that this takes.
func TestAWillIsPublishedOnceWhereverItIsCutOff(t *testing.T) {
	const delay = time.Minute
	hour := SessionOptions{Expiry: time.Hour, Will: willing("x")}
	clean := SessionOptions{Will: willing("x")}
	delayed := SessionOptions{Expiry: time.Hour, Will: &Will{Message: message(1, "will=x"), Delay: delay}}
	lost := func(w *world, p *person) { p.leaves(Lost) }
	for _, tt := range []struct {
		name string
		o    SessionOptions
		does func(w *world, p *person)
	}{
		{"lost", hour, lost},
		{"lost, clean", clean, lost},
		{"lost, retained", SessionOptions{Will: &Will{Message: message(1, "!will=x")}}, lost},
		{"kicked", hour, func(w *world, p *person) { w.Kick("p", false) }},
		{"purged", hour, func(w *world, p *person) { w.Kick("p", true) }},
		{"purged before the delay", delayed, func(w *world, p *person) { w.Kick("p", true) }},
		{"taken over", hour, func(w *world, p *person) { w.opens("p", keep) }},
		{"taken over by one with another will", hour, func(w *world, p *person) {
			w.opens("p", SessionOptions{Expiry: time.Hour, Will: &Will{Message: message(1, "other=y")}})
		}},
		{"taken over by a clean start", hour, func(w *world, p *person) {
			w.opens("p", SessionOptions{Expiry: time.Hour, CleanStart: true})
		}},
		{"taken over for good", clean, func(w *world, p *person) { w.opens("p", SessionOptions{}) }},
		{"back with a clean start before the delay", delayed, func(w *world, p *person) {
			p.leaves(Lost)
			w.opens("p", SessionOptions{CleanStart: true})
		}},
		{"delay over", delayed, func(w *world, p *person) { p.leaves(Lost); w.waits(delay) }},
		{"session over before the delay", SessionOptions{Expiry: delay / 2, Will: delayed.Will}, func(w *world, p *person) {
			p.leaves(Lost)
			w.waits(delay)
		}},
		{"sensor", SessionOptions{Expiry: time.Hour, Sensor: true, Will: willing("x")}, lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, j := journalWorld(t)
			w.opens("ann", keep).subscribes("will").leaves(Clean)
			p := w.opens("p", tt.o)
			if tt.o.Sensor {
				p.SaveEdge([]byte("here"), func(error) {})
			}
			from := len(j.writes)
			tt.does(w, p)
			to := len(j.writes)
			w.opens("ann", keep).gets("will=x/1")
			j.cutOff(w, from, to, func(n int, left *world) {
				if p := (&person{w: left, id: "p"}); tt.o.Sensor && p.resumes(time.Hour) {
					p.leaves(Lost) // to it nothing had happened
				}
				left.waits(2 * delay)
				if got := left.opens("ann", keep).pulls(); len(got) != 1 {
					t.Errorf("cut off after write %d of %d to %d, the will comes %d times", n, from, to, len(got))
				}
			})
		})
	}
}

// full refuses what takes more room than there was.
func full(f store.Fact) error {
	granted := false
	switch f := f.(type) {
	case *store.Published:
		granted = f.Granted
	case *store.Session:
		granted = f.Granted
	case *store.Subscribed, *store.Accepted:
	default:
		granted = true
	}
	if granted {
		return nil
	}
	return store.ErrFull
}

// TestFullStoreLetsGo: of a session whose client leaves, or is lost, sleeps or has
// another will as large, the store is told though it is full, and so are those
// who are to have the will that it had room for.
func TestFullStoreLetsGo(t *testing.T) {
	w, m := meddledWorld(t)
	hour := SessionOptions{Expiry: time.Hour, Will: willing("x")}
	w.opens("ann", keep).subscribes("will").leaves(Clean)
	gone, lost, there := w.opens("gone", hour), w.opens("lost", hour), w.opens("there", hour)
	there.SaveEdge([]byte("active"), func(error) {})
	m.before = full
	gone.leaves(Clean)
	lost.leaves(Lost)
	saved := errors.New("not answered")
	there.SaveEdge([]byte("asleep"), func(err error) { saved = err })
	if saved != nil {
		t.Errorf("an edge's state that takes no more room: %v", saved)
	}
	there.SaveEdge([]byte("asleep, and more"), func(err error) { saved = err })
	there.SetWill(willing("long"), func(err error) { saved = cmp.Or(err, saved) })
	if !errors.Is(saved, ErrFull) || string(there.EdgeState()) != "asleep" {
		t.Errorf("what takes more room: %v, and the state is %q", saved, there.EdgeState())
	}
	there.opensAgain(hour)
	if there.err != nil {
		t.Errorf("who comes back to what is stored: %v", there.err)
	}
	there.SetWill(willing("y"), func(err error) { saved = err })
	if saved != nil {
		t.Errorf("a will as large: %v", saved)
	}
	w.restarts()
	w.waits(time.Second)
	w.opens("ann", keep).gets("will=x/1", "will=y/1")
}

// TestLateAcknowledgementIsOfWhatWasSent: what a client says to a message that
// it had before a restart, or before it began anew, is not said to another,
// whatever the store had of the first.
func TestLateAcknowledgementIsOfWhatWasSent(t *testing.T) {
	w, j := journalWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("a:1")
	bob.says(1, "a=1")
	bob.says(1, "a=2")
	from := len(j.writes)
	first, _ := ann.Next()
	ann.Ack(first.ID)
	for run := range 3 {
		j.cutOff(w, from, len(j.writes), func(n int, left *world) {
			ann := left.comes("ann")
			for {
				d, ok := ann.Next()
				if !ok {
					break
				}
				if d.ID == first.ID && string(d.Payload) != "1" {
					t.Errorf("run %d, cut off after write %d: identifier %d is that of %q, and was that of %q",
						run+1, n, d.ID, d.Payload, first.Payload)
				}
			}
		})
		w.restarts()
	}
	w.comes("bob").says(1, "a=3")
	ann = w.comes("ann")
	before := ann.pulls()
	ann.opensAgain(SessionOptions{Expiry: Forever, CleanStart: true})
	ann.subscribes("a:1")
	w.comes("bob").says(1, "a=4")
	for _, d := range before {
		ann.Ack(d.ID)
	}
	ann.leaves(Lost)
	if again := w.comes("ann").pulls(); len(before) != 2 || len(again) != 1 || string(again[0].Payload) != "4" {
		t.Errorf("of the message after a clean start there is left %v; before it: %v", again, before)
	}
}
