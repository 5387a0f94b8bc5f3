package bridge

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/core"
	"dormouse/core/store"
	"dormouse/mqttsn/session"
)

// A seat writes down what it is told.
type seat struct {
	mu      sync.Mutex
	answers []session.Answer
	mails   int
	kicks   []session.Reason
}

func (s *seat) Answer(a session.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, a)
}

func (s *seat) Mail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails++
}

func (s *seat) Kick(why session.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kicks = append(s.kicks, why)
}

// answered takes out the one answer that there must be.
func (s *seat) answered(t *testing.T) session.Answer {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) != 1 {
		t.Fatalf("it was answered by %+v, want one answer", s.answers)
	}
	a := s.answers[0]
	s.answers = nil
	return a
}

func open(t *testing.T, b *Bridge, id string, r session.Request, s *seat) session.Link {
	t.Helper()
	r.Kind, r.Tag = session.AskOpen, 1
	l := b.Open(session.Client{ID: id}, &r, s)
	if a := s.answered(t); a.Result != session.Done || a.Kind != session.AskOpen || a.Tag != 1 {
		t.Fatalf("Open is answered by %+v", a)
	}
	return l
}

// ask carries out a request that has an answer.
func ask(t *testing.T, l session.Link, s *seat, r session.Request) session.Answer {
	t.Helper()
	r.Tag = 77
	l.Ask(&r)
	a := s.answered(t)
	if a.Kind != r.Kind || a.Tag != 77 {
		t.Fatalf("%+v is answered by %+v", r, a)
	}
	return a
}

// next returns the payloads of what is in the queue.
func next(l session.Link) string {
	var got []string
	for {
		d, ok := l.Next()
		if !ok {
			return strings.Join(got, " ")
		}
		got = append(got, string(d.Payload))
		if d.ID != 0 {
			l.Ask(&session.Request{Kind: session.AskAck, ID: d.ID})
		}
	}
}

func publish(l session.Link, topic, payload string) {
	l.Ask(&session.Request{Kind: session.AskPublish, Topic: topic, Payload: []byte(payload)})
}

// TestMessage: what one sensor publishes another receives, and neither shares
// memory with the datagram.
func TestMessage(t *testing.T) {
	b := New(core.New(core.DefaultOptions()), DefaultConfig())
	from, to := new(seat), new(seat)
	publisher := open(t, b, "publisher", session.Request{CleanSession: true}, from)
	subscriber := open(t, b, "subscriber", session.Request{CleanSession: true}, to)
	if a := ask(t, subscriber, to, session.Request{Kind: session.AskSubscribe, Topic: "a/+", QoS: 1}); a.QoS != 1 || a.Result != session.Done {
		t.Errorf("SUBSCRIBE is answered by %+v", a)
	}
	if d, ok := subscriber.Next(); ok {
		t.Errorf("out of nothing came %+v", d)
	}
	datagram := []byte("21.5")
	a := ask(t, publisher, from, session.Request{Kind: session.AskPublish, Topic: "a/b", Payload: datagram, QoS: 2, ID: 9, Retain: true})
	if a.Result != session.Done {
		t.Errorf("PUBLISH is answered by %+v", a)
	}
	copy(datagram, "XXXX")
	if to.mails != 1 {
		t.Errorf("it was told of mail %d times, want once", to.mails)
	}
	d, ok := subscriber.Next()
	if !ok || d.Topic != "a/b" || string(d.Payload) != "21.5" || d.QoS != 1 || d.ID == 0 || d.Retain || d.DUP {
		t.Errorf("it received %+v, %v", d, ok)
	}
	if a := ask(t, publisher, from, session.Request{Kind: session.AskRelease, ID: 9}); a.Result != session.Done {
		t.Errorf("PUBREL is answered by %+v", a)
	}
	late, lateLink := new(seat), session.Link(nil)
	lateLink = open(t, b, "late", session.Request{CleanSession: true}, late)
	ask(t, lateLink, late, session.Request{Kind: session.AskSubscribe, Topic: "#", QoS: 1})
	if d, ok := lateLink.Next(); !ok || !d.Retain || string(d.Payload) != "21.5" {
		t.Errorf("the retained message is %+v, %v", d, ok)
	}
}

// TestKeptSession: topic ids, messages in flight and the will are there again,
// from another address, too.
func TestKeptSession(t *testing.T) {
	b := New(core.New(core.DefaultOptions()), DefaultConfig())
	before := new(seat)
	l := open(t, b, "a", session.Request{Will: &session.Will{Topic: "will", Payload: []byte("w"), QoS: 1}}, before)
	ask(t, l, before, session.Request{Kind: session.AskSubscribe, Topic: "cmd", QoS: 2})
	ask(t, l, before, session.Request{Kind: session.AskSave, State: []byte("state")})
	publish(l, "cmd", "lost at QoS 0 if nobody is there")
	next(l)
	ask(t, l, before, session.Request{Kind: session.AskPublish, Topic: "cmd", Payload: []byte("x"), QoS: 2, ID: 1})
	first, _ := l.Next()
	ask(t, l, before, session.Request{Kind: session.AskReceived, ID: first.ID})

	after := new(seat)
	l2 := b.Open(session.Client{ID: "a"}, &session.Request{Kind: session.AskOpen, KeepWill: true}, after)
	a := after.answered(t)
	if !a.Present || string(a.State) != "state" || a.Will == nil || a.Will.Topic != "will" || string(a.Will.Payload) != "w" || a.Will.QoS != 1 {
		t.Errorf("it is opened again with %+v and the will %+v", a, a.Will)
	}
	if len(before.kicks) != 1 || before.kicks[0] != session.TakenOver {
		t.Errorf("the seat before was kicked with %v", before.kicks)
	}
	if d, ok := l2.Next(); !ok || !d.Released || d.ID != first.ID || d.QoS != 2 {
		t.Errorf("in flight is %+v, %v", d, ok)
	}
	if a := ask(t, l, before, session.Request{Kind: session.AskSubscribe, Topic: "b"}); a.Result != session.Busy {
		t.Errorf("at its old place it is answered by %+v", a)
	}
}

// TestCleanSessionGoesOn: a client that connects without CleanSession while it
// is connected or asleep has the subscriptions, the mail and the will of the
// clean session that it is in; one that has left, or was lost, has nothing.
func TestCleanSessionGoesOn(t *testing.T) {
	for _, how := range []session.Ending{0, session.Clean, session.Lost} {
		b := New(core.New(core.DefaultOptions()), DefaultConfig())
		s := new(seat)
		l := open(t, b, "a", session.Request{CleanSession: true, Will: &session.Will{Topic: "will"}}, s)
		ask(t, l, s, session.Request{Kind: session.AskSubscribe, Topic: "cmd", QoS: 1})
		ask(t, l, s, session.Request{Kind: session.AskPublish, Topic: "cmd", Payload: []byte("x"), QoS: 1})
		if how != 0 {
			ask(t, l, s, session.Request{Kind: session.AskDetach, Ending: how})
		}
		l = b.Open(session.Client{ID: "a"}, &session.Request{Kind: session.AskOpen, KeepWill: true}, s)
		a := s.answered(t)
		publish(l, "cmd", "y")
		if got := next(l); how == 0 && (!a.Present || a.Will == nil || got != "x y") || how != 0 && (a.Present || got != "") {
			t.Errorf("left by %d: present %v, will %v, received %q", how, a.Present, a.Will, got)
		}
		ask(t, l, s, session.Request{Kind: session.AskDetach, Ending: session.Clean})
		b.Open(session.Client{ID: "a"}, &session.Request{Kind: session.AskOpen}, s)
		if a := s.answered(t); !a.Present {
			t.Errorf("left by %d: the session without CleanSession was not kept", how)
		}
	}
}

// TestOpenAgain: a client that connects again from where it is is not kicked,
// and the link that it had does nothing any more.
func TestOpenAgain(t *testing.T) {
	b := New(core.New(core.DefaultOptions()), DefaultConfig())
	s := new(seat)
	old := open(t, b, "a", session.Request{}, s)
	ask(t, old, s, session.Request{Kind: session.AskSubscribe, Topic: "cmd", QoS: 1})
	l := open(t, b, "a", session.Request{KeepWill: true}, s)
	if len(s.kicks) > 0 {
		t.Errorf("it was kicked with %v", s.kicks)
	}
	old.Ask(&session.Request{Kind: session.AskDetach, Ending: session.Clean})
	s.answered(t)
	publish(l, "cmd", "x")
	if got := next(old); got != "" {
		t.Errorf("the old link yields %q", got)
	}
	if got := next(l); got != "x" {
		t.Errorf("the new link yields %q, want x", got)
	}
}

// TestWill: it comes when the client is lost, not when it leaves; it is the
// session's, stays with it, and goes when it is deleted.
func TestWill(t *testing.T) {
	for _, tt := range []struct {
		ending session.Ending
		change *session.Request // of the will, before
		again  *session.Request // how it is opened then, and lost
		want   string
	}{
		{ending: session.Lost, want: "w"},
		{ending: session.Clean, want: ""},
		{ending: session.Shutdown, want: ""},
		{ending: session.Lost, change: &session.Request{Kind: session.AskSetWill}, want: ""},
		{ending: session.Lost, change: &session.Request{Kind: session.AskSetWill, Will: &session.Will{Topic: "will", Payload: []byte("v")}}, want: "v"},
		{ending: session.Clean, again: &session.Request{KeepWill: true}, want: "w"},
		{ending: session.Lost, again: &session.Request{KeepWill: true}, want: "w w"},
		{ending: session.Clean, again: &session.Request{}, want: ""}, // deleted in the will dialogue
		{ending: session.Clean, again: &session.Request{CleanSession: true}, want: ""},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			b := New(core.New(core.DefaultOptions()), DefaultConfig())
			listener, s := new(seat), new(seat)
			ears := open(t, b, "ears", session.Request{CleanSession: true}, listener)
			ask(t, ears, listener, session.Request{Kind: session.AskSubscribe, Topic: "will", QoS: 1})
			l := open(t, b, "a", session.Request{Will: &session.Will{Topic: "will", Payload: []byte("w"), QoS: 1}}, s)
			if tt.change != nil {
				ask(t, l, s, *tt.change)
			}
			ask(t, l, s, session.Request{Kind: session.AskDetach, Ending: tt.ending})
			if tt.again != nil {
				l = open(t, b, "a", *tt.again, s)
				ask(t, l, s, session.Request{Kind: session.AskDetach, Ending: session.Lost})
			}
			if got := next(ears); got != tt.want {
				t.Errorf("the will came as %q, want %q", got, tt.want)
			}
		})
	}
}

// TestExpiry: a kept session is kept for so long, and a clean one not at all.
func TestExpiry(t *testing.T) {
	for _, clean := range []bool{true, false} {
		now := time.Unix(1e9, 0)
		o := core.DefaultOptions()
		o.Now = func() time.Time { return now }
		c := core.New(o)
		b := New(c, Config{SessionExpiry: time.Hour})
		for _, away := range []time.Duration{59 * time.Minute, 61 * time.Minute} {
			s := new(seat)
			l := open(t, b, "a", session.Request{CleanSession: clean}, s)
			ask(t, l, s, session.Request{Kind: session.AskDetach, Ending: session.Clean})
			now = now.Add(away)
			c.Tick(now)
			b.Open(session.Client{ID: "a"}, &session.Request{Kind: session.AskOpen, CleanSession: clean}, s)
			if a := s.answered(t); a.Present != (!clean && away < time.Hour) {
				t.Errorf("clean %v, away for %v: it was present: %v", clean, away, a.Present)
			}
		}
	}
}

// TestRefusals are told in the session's words.
func TestRefusals(t *testing.T) {
	o := core.DefaultOptions()
	o.MaxSubscriptions = 1
	o.Authorize = func(_ core.Identity, a core.Access) bool { return a.Topic != "secret" }
	b := New(core.New(o), DefaultConfig())
	s := new(seat)
	l := open(t, b, "a", session.Request{CleanSession: true}, s)
	for _, tt := range []struct {
		r    session.Request
		want session.Result
	}{
		{session.Request{Kind: session.AskPublish, Topic: "secret", QoS: 1}, session.NotAuthorized},
		{session.Request{Kind: session.AskPublish, Topic: "$SYS/x", QoS: 1}, session.NotAuthorized},
		{session.Request{Kind: session.AskPublish, Topic: "a/#", QoS: 1}, session.Refused},
		{session.Request{Kind: session.AskSubscribe, Topic: "secret"}, session.NotAuthorized},
		{session.Request{Kind: session.AskSubscribe, Topic: "a/#/b"}, session.Refused},
		{session.Request{Kind: session.AskSubscribe, Topic: "a"}, session.Done},
		{session.Request{Kind: session.AskSubscribe, Topic: "b"}, session.Busy},
		{session.Request{Kind: session.AskSetWill, Will: &session.Will{Topic: "secret"}}, session.NotAuthorized},
		{session.Request{Kind: session.AskUnsubscribe, Topic: "never"}, session.Done},
	} {
		if a := ask(t, l, s, tt.r); a.Result != tt.want {
			t.Errorf("%+v is answered by %d, want %d", tt.r, a.Result, tt.want)
		}
	}
	thief := new(seat)
	b.Open(session.Client{ID: "a"}, &session.Request{Kind: session.AskOpen, Will: &session.Will{Topic: "secret"}}, thief)
	if a := thief.answered(t); a.Result != session.NotAuthorized {
		t.Errorf("a forbidden will is answered by %+v", a)
	}
	if len(s.kicks) > 0 {
		t.Error("who was refused has taken the client over")
	}
}

// TestKicks: the broker's reasons are the session's.
func TestKicks(t *testing.T) {
	c := core.New(core.DefaultOptions())
	b := New(c, DefaultConfig())
	for _, tt := range []struct {
		want session.Reason
		kick func()
	}{
		{session.TakenOver, func() { open(t, b, "a", session.Request{}, new(seat)) }},
		{session.Kicked, func() { c.Kick("a", false) }},
		{session.ShuttingDown, func() { c.Close() }},
	} {
		s := new(seat)
		open(t, b, "a", session.Request{}, s)
		tt.kick()
		if len(s.kicks) != 1 || s.kicks[0] != tt.want {
			t.Errorf("it was kicked with %v, want %v", s.kicks, tt.want)
		}
	}
}

// A slowStore answers when it is told to.
type slowStore struct {
	store.Volatile
	mu      sync.Mutex
	waiting []func(error)
}

func (s *slowStore) Sync(then func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, then)
}

func (s *slowStore) Follow(then func(error)) { s.Sync(then) }

func (s *slowStore) answer(err error) {
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, then := range waiting {
		then(err)
	}
}

// TestBeforeItIsOpen: what is asked before the broker has answered the Open is
// carried out after it, or refused with it.
func TestBeforeItIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(slowStore)
		o := core.DefaultOptions()
		o.Store = disk
		c := core.New(o)
		b := New(c, DefaultConfig())
		for _, failure := range []error{nil, errors.New("disk full")} {
			s := new(seat)
			l := b.Open(session.Client{ID: fmt.Sprint("client ", failure)}, &session.Request{Kind: session.AskOpen, CleanSession: true}, s)
			l.Ask(&session.Request{Kind: session.AskDetach, Ending: session.Lost, Tag: 5})
			if _, ok := l.Next(); ok || len(s.answers) > 0 {
				t.Fatalf("too early: %+v", s.answers)
			}
			disk.answer(failure)
			synctest.Wait()
			disk.answer(nil)
			synctest.Wait()
			if len(s.answers) != 2 || s.answers[0].Kind != session.AskOpen || s.answers[1].Kind != session.AskDetach || s.answers[1].Tag != 5 {
				t.Fatalf("it was answered by %+v", s.answers)
			}
			for _, a := range s.answers {
				if (a.Result == session.Done) != (failure == nil) {
					t.Errorf("after %v it was answered by %+v", failure, a)
				}
			}
			if n := c.Stats().Connected; failure == nil && n != 0 {
				t.Errorf("%d clients are left connected", n)
			}
		}
	})
}
