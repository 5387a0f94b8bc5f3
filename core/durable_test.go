package core

import (
	"errors"
	"fmt"
	"testing"

	"dormouse/core/store"
)

// A slow store answers when it is told to, and refuses when it is full.
type slow struct {
	store.Volatile
	waiting []func(error)
	follows int // Follows that ever came
	full    bool
}

var errFull = errors.New("disk full")

func (s *slow) Sync(then func(error))   { s.waiting = append(s.waiting, then) }
func (s *slow) Follow(then func(error)) { s.follows++; s.Sync(then) }

func (s *slow) Write(...store.Fact) error {
	if s.full {
		return errFull
	}
	return nil
}

// answers lets all that waits, and what that asks for, be durable, or not.
func (s *slow) answers(err error) {
	for len(s.waiting) > 0 {
		then := s.waiting[0]
		s.waiting = s.waiting[1:]
		then(err)
	}
}

func slowWorld(t *testing.T) (*world, *slow) {
	s := new(slow)
	return newWorld(t, func(o *Options) { o.Store = s }), s
}

// TestNothingShowsBeforeItIsAnswered is the port's third rule, and the order
// of answers its second.
func TestNothingShowsBeforeItIsAnswered(t *testing.T) {
	w, s := slowWorld(t)
	var log []string
	p := &person{w: w, id: "p"}
	p.opensAgain(SessionOptions{Expiry: Forever})
	if p.Session != nil {
		t.Fatal("open was answered before it was durable")
	}
	s.answers(nil)

	note := func(what string) func(error) {
		return func(err error) {
			d, ok := p.Next()
			if ok {
				what += " after " + show(d)
			}
			if err != nil {
				what += " failed"
			}
			log = append(log, what)
		}
	}
	sub := func(filter string) {
		done := note("sub " + filter)
		p.Subscribe(Subscription{Filter: filter, QoS: 1}, func(_ QoS, err error) { done(err) })
	}
	p.Publish(message(1, "!a=1"), 0, note("pub a"))
	sub("#")
	p.Publish(message(1, "b/#=invalid"), 0, note("pub invalid"))
	p.Publish(message(1, "b=2"), 0, note("pub b"))
	sub("c/#/d")
	p.SaveEdge([]byte("x"), note("save"))
	if len(log) != 0 {
		t.Fatalf("answered at once: %q", log)
	}
	p.gets()
	s.answers(nil)
	p.gets()
	want := []string{"pub a", "sub #", "pub invalid after !a=1/1 failed", "pub b", "sub c/#/d after b=2/1 failed", "save"}
	if len(log) != len(want) {
		t.Fatalf("%q", log)
	}
	for i := range want {
		if log[i] != want[i] {
			t.Errorf("answer %d is %q, want %q", i, log[i], want[i])
		}
	}
}

// TestQoS0WantsNoSync: nobody is promised anything, be it retained or not.
func TestQoS0WantsNoSync(t *testing.T) {
	w, s := slowWorld(t)
	p := &person{w: w, id: "p"}
	p.opensAgain(SessionOptions{Expiry: Forever})
	s.answers(nil)
	for qos, follows := range []int{2, 0, 0} {
		s.follows = 0
		for id, what := range []string{"a=1", "!a=1"} {
			p.Publish(message(QoS(qos), what), uint16(1+id), func(error) {})
		}
		s.answers(nil)
		if s.follows != follows {
			t.Errorf("at QoS %d %d of 2 ask for no sync, want %d", qos, s.follows, follows)
		}
	}
}

// TestQoS2GoesByDurableSteps: a client that has a message of QoS 2, or has heard
// of PUBREL for it, must find the same packet identifier after a restart.
func TestQoS2GoesByDurableSteps(t *testing.T) {
	w, s := slowWorld(t)
	p := &person{w: w, id: "p"}
	p.opensAgain(SessionOptions{Expiry: Forever})
	s.answers(nil)
	p.Subscribe(Subscription{Filter: "#", QoS: 2}, func(QoS, error) {})
	s.answers(nil)
	p.Publish(message(2, "a=1"), 1, func(error) {})
	s.answers(nil)
	p.gets()
	if told := p.mails.Load(); len(s.waiting) != 1 {
		t.Fatalf("%d wait for the store, want the packet identifier", len(s.waiting))
	} else if s.answers(nil); p.mails.Load() != told+1 {
		t.Error("nobody was told that there is a message")
	}
	d, ok := p.Next()
	if !ok || d.DUP || d.ID == 0 || string(d.Payload) != "1" {
		t.Fatalf("delivered %+v, %v", d, ok)
	}
	said := false
	p.Received(d.ID, func(attached bool) { said = attached })
	if said {
		t.Error("PUBREL may go before PUBREC is stored")
	}
	s.answers(nil)
	if !said {
		t.Error("PUBREL never goes")
	}
}

// TestQoS2SharesAWrite: the packet identifiers of all that waits at QoS 2 are
// stored together, as far as the window goes; a sensor's one by one.
func TestQoS2SharesAWrite(t *testing.T) {
	for _, tt := range []struct {
		sensor bool
		want   [][]string // by write
	}{
		{false, [][]string{{"a=1/2", "a=2/2", "a=3/2"}, {"a=4/2"}}},
		{true, [][]string{{"a=1/2"}, {"a=2/2"}, {"a=3/2"}, {"a=4/2"}}},
	} {
		s := new(slow)
		w := newWorld(t, func(o *Options) { o.Store, o.MaxInflight = s, 3 })
		p := &person{w: w, id: "p"}
		p.opensAgain(SessionOptions{Expiry: Forever, Sensor: tt.sensor})
		s.answers(nil)
		p.Subscribe(Subscription{Filter: "#", QoS: 2}, func(QoS, error) {})
		s.answers(nil)
		for i := range uint16(4) {
			p.Publish(message(2, fmt.Sprint("a=", i+1)), i+1, func(error) {})
		}
		s.answers(nil)
		for _, want := range tt.want {
			p.gets()
			if n := len(s.waiting); n != 1 {
				t.Fatalf("sensor %v: before %q %d wait for the store", tt.sensor, want, n)
			}
			s.answers(nil)
			p.gets(want...)
		}
	}
}

// TestFullStoreRefusesAndChangesNothing: what was refused has not happened,
// and may be tried again.
func TestFullStoreRefusesAndChangesNothing(t *testing.T) {
	w, s := slowWorld(t)
	old := &person{w: w, id: "p"}
	old.opensAgain(SessionOptions{Expiry: Forever})
	s.answers(nil)
	p := old
	p.SaveEdge([]byte("x"), func(error) {})
	p.Subscribe(Subscription{Filter: "#", QoS: 2}, func(QoS, error) {})
	s.answers(nil)
	p.Publish(message(1, "before=x"), 0, func(error) {})
	s.answers(nil)
	d, _ := p.Next()

	s.full = true
	refusals := 0
	refused := func(err error) {
		if !errors.Is(err, errFull) {
			t.Errorf("answered %v", err)
		}
		refusals++
	}
	p.Publish(message(2, "!a=1"), 1, refused)
	p.Publish(message(2, "!a=1"), 1, refused) // not a repeat: the first was not taken
	p.Subscribe(Subscription{Filter: "b"}, func(_ QoS, err error) { refused(err) })
	p.Unsubscribe("#", func(_ bool, err error) { refused(err) })
	p.SetWill(willing("x"), refused)
	p.SaveEdge([]byte("y"), refused)
	next := &person{w: w, id: "p"}
	next.opensAgain(SessionOptions{Expiry: Forever})
	p.Publish(message(0, "a=still here"), 0, func(err error) {
		if err != nil {
			t.Errorf("QoS 0 goes on, but: %v", err)
		}
	})
	s.answers(nil)
	if refusals != 6 || !errors.Is(next.err, errFull) || old.kicked.Load() != 0 {
		t.Errorf("%d of 6 refused, open: %v, kicked %d", refusals, next.err, old.kicked.Load())
	}
	if p.Will() != nil || string(p.EdgeState()) != "x" {
		t.Errorf("will %v, edge state %q", p.Will(), p.EdgeState())
	}
	p.gets("a=still here")
	p.Ack(d.ID) // cannot be refused, so it is counted
	if got := w.Stats(); got.Retained != 0 || got.Subscriptions != 1 || got.StoreRefusals != 1 {
		t.Errorf("%+v", got)
	}
	s.full = false
	p.Publish(message(2, "!a=1"), 1, func(error) {})
	s.answers(nil)
	p.gets() // its packet identifier is not stored yet
	s.answers(nil)
	p.gets("a=1/2")
}

// TestBrokenStoreAcknowledgesNothing: an answer with an error reaches those
// who asked, and no message goes out on the strength of it.
func TestBrokenStoreAcknowledgesNothing(t *testing.T) {
	w, s := slowWorld(t)
	p := &person{w: w, id: "p"}
	p.opensAgain(SessionOptions{Expiry: Forever})
	w.Publish(Identity{}, message(0, "a=1"), func(error) {})
	s.answers(nil)
	p.subscribe1(Subscription{Filter: "#"})
	s.answers(nil)
	broken := errors.New("fsync failed")
	var got []error
	note := func(err error) { got = append(got, err) }
	p.Publish(message(1, "a=1"), 0, note)
	p.Unsubscribe("x", func(_ bool, err error) { note(err) })
	p.Subscribe(Subscription{Filter: "#"}, func(_ QoS, err error) { note(err) })
	q := &person{w: w, id: "q"}
	q.opensAgain(SessionOptions{})
	s.answers(broken)
	for _, err := range append(got, q.err) {
		if !errors.Is(err, broken) {
			t.Errorf("answered %v", err)
		}
	}
	if len(got) != 3 || q.Session != nil {
		t.Errorf("%d of 3 answered", len(got))
	}
	p.gets()
}

// TestWrittenAhead: of what comes in where the edge has written that it heard it,
// nobody sees anything before that is durable, not even a message of QoS 0; of all
// else at QoS 0 nothing is promised, and nothing waits.
func TestWrittenAhead(t *testing.T) {
	for listener, ahead := range map[string]bool{"written": true, "other": false} {
		s := new(slow)
		w := newWorld(t, func(o *Options) {
			o.Store = s
			o.WritesAhead = func(listener string) bool { return listener == "written" }
		})
		from := Identity{ClientID: "p", Listener: listener}
		var p *Session
		w.Open(from, SessionOptions{}, &person{}, func(s *Session, _ bool, _ error) { p = s })
		s.answers(nil)
		s.follows = 0
		w.Publish(from, Message{Topic: "t"}, func(error) {})
		p.Publish(Message{Topic: "t"}, 0, func(error) {})
		if want := 2; s.follows != want && !ahead || s.follows != 0 && ahead {
			t.Errorf("%s: %d of %d messages follow, and the others have the store sync", listener, s.follows, want)
		}
	}
}
