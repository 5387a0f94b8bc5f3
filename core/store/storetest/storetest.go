// Package storetest holds every store.Store to the same promises.
package storetest

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dormouse/core/store"
)

// A Kind is one empty store of the kind under test.
type Kind struct {
	// Open opens it: again after Close, when it must find what was there, and
	// after Crash.
	Open func() store.Store

	// Crash has the power go while s is open, and ends s. Nil if there is none
	// to go.
	Crash func(s store.Store)

	// Fill has s, which is open, be without room, or have some again. Nil if
	// there always is.
	Fill func(s store.Store, full bool)
}

// Run tests a kind of store, of which fresh makes one.
func Run(t *testing.T, fresh func() Kind) {
	t.Run("remembers", func(t *testing.T) { remembers(t, fresh().Open) })
	t.Run("lets go once", func(t *testing.T) { letsGoOnce(t, fresh) })
	t.Run("is the model", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			m := newMachine(t, fresh(), func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "of") })
			defer m.close()
			t.Repeat(m.actions())
		})
	})
	t.Run("answers in order", func(t *testing.T) { answersInOrder(t, fresh().Open) })
	t.Run("answers each its own", func(t *testing.T) { answersEachItsOwn(t, fresh().Open) })
	t.Run("answers from an answer", func(t *testing.T) { answersFromAnAnswer(t, fresh().Open) })
}

// Crashes has the power go at a random instant, for each seed.
func Crashes(t *testing.T, seeds int, fresh func() Kind) {
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newMachine(t, fresh(), r.IntN)
		for range 10 + r.IntN(30) {
			m.writes()
			if r.IntN(3) == 0 {
				m.asks()
			}
		}
		m.crashes()
		m.writes()
		m.reopens()
		m.close()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func message(topic, payload string) *store.Message {
	topic, retain := strings.CutPrefix(topic, "!")
	return &store.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain}
}

// to is receivers written "id" or "id $share/...".
func to(ids ...string) func(func(store.Receiver) bool) {
	return func(yield func(store.Receiver) bool) {
		for _, id := range ids {
			id, share, _ := strings.Cut(id, " ")
			if !yield(store.Receiver{ClientID: id, Share: share, QoS: 1, SubscriptionIDs: []uint32{7}}) {
				return
			}
		}
	}
}

// owed has a message wait for one more, written as for to.
func owed(id string, seq uint64, m *store.Message) *store.Owed {
	f := &store.Owed{Seq: seq, Message: m}
	to(id)(func(r store.Receiver) bool { f.Receiver = r; return true })
	return f
}

// letsGoOnce has what was received be settled, or its session end: that lets
// nothing go of a message that others hold. It may be written at once or not.
func letsGoOnce(t *testing.T, fresh func() Kind) {
	for _, await := range []bool{false, true} {
		open := fresh().Open
		s := open()
		for _, f := range []store.Fact{
			&store.Session{ClientID: "ann"},
			&store.Session{ClientID: "bob"},
			&store.Published{Seq: 1, Message: message("!a", "x"), Receivers: to("ann", "bob")},
			&store.Taken{Receiver: store.Receiver{ClientID: "ann", QoS: 2}, Seq: 1, ID: 1},
			&store.Taken{Receiver: store.Receiver{ClientID: "bob", QoS: 2}, Seq: 1, ID: 1},
			&store.Received{ClientID: "ann", ID: 1},
			&store.Received{ClientID: "ann", ID: 1},
			&store.Received{ClientID: "bob", ID: 1},
			&store.Settled{ClientID: "ann", ID: 1},
			&store.Ended{ClientID: "bob"},
		} {
			if err := s.Write(f); err != nil {
				t.Fatal(err)
			}
			if await {
				answer := make(chan error, 1)
				s.Sync(func(err error) { answer <- err })
				if err := <-answer; err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open()
		want := shown([]store.Fact{
			&store.Session{ClientID: "ann"},
			&store.Published{Seq: 1, Message: message("!a", "x"), Receivers: to()},
		})
		if got := loaded(t, s); got != want {
			t.Errorf("each awaited: %v: there is\n%s\nwant\n%s", await, got, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// remembers is one story with each kind of fact in it.
func remembers(t *testing.T, open func() store.Store) {
	ends := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	will := &store.Will{Message: *message("will", "gone"), Delay: time.Minute, Lifetime: time.Hour}
	format := byte(1)
	rich := message("!keep", "new")
	rich.Publisher, rich.Expires, rich.Taken = "ann", ends, ends.Unix()
	rich.Properties = &store.Properties{
		PayloadFormat: &format, ContentType: "text", ResponseTopic: "re", CorrelationData: []byte("x"),
		User: []store.UserProperty{{Key: "k", Value: "v"}, {Key: "k", Value: "w"}},
	}
	s := open()
	for _, facts := range [][]store.Fact{
		{&store.Began{}},
		{&store.Noted{Name: "sns b", Value: []byte("old")}, &store.Noted{Name: "sns a", Value: []byte("x")}},
		{&store.Noted{Name: "sns b", Value: []byte("new"), Granted: true}, &store.Noted{Name: "sns c", Value: []byte("x")}},
		{&store.Noted{Name: "sns a"}, &store.Noted{Name: "sns d"}},
		{&store.Session{ClientID: "ann", User: "anna", Expiry: time.Hour}},
		{&store.Session{ClientID: "ann", Expiry: time.Hour, Ends: ends, Will: will, KeepWill: true, WillDue: ends, Author: "anna", Edge: "ids"}},
		{&store.Session{ClientID: "bob"}, &store.Session{ClientID: "eve"}},
		{&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "a", QoS: 1}}},
		{&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1, ID: 9}}},
		{&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "b"}}},
		{&store.Unsubscribed{ClientID: "ann", Filter: "b"}},
		{&store.Accepted{ClientID: "bob", ID: 1}, &store.Published{Seq: 1, Message: message("!keep", "old"), Receivers: to("ann", "eve")}},
		{&store.Accepted{ClientID: "bob", ID: 2}, &store.Published{Seq: 2, Message: rich, Receivers: to("ann", "nobody"), Author: "anna"}},
		{&store.Released{ClientID: "bob", ID: 1}},
		{&store.Published{Seq: 3, Message: message("!clear", "x"), Receivers: to("ann")}},
		{&store.Published{Seq: 4, Message: message("!clear", ""), Receivers: to()}},
		{&store.Published{Seq: 5, Message: message("gone", "x"), Receivers: to("ann", "eve"), Author: "anna"}},
		{&store.Published{Seq: 6, Message: message("!expired", "x"), Receivers: to()}},
		{&store.Published{Seq: 7, Message: message("q2", "x"), Receivers: to("bob")}},
		{&store.Taken{Receiver: store.Receiver{ClientID: "ann", QoS: 2}, Seq: 3, ID: 30}},
		{&store.Taken{Receiver: store.Receiver{ClientID: "ann", QoS: 1}, Seq: 5, ID: 50}},
		{&store.Taken{Receiver: store.Receiver{ClientID: "bob", QoS: 1, Retain: true}, Seq: 2, ID: 20}}, // a replay
		{&store.Taken{Receiver: store.Receiver{ClientID: "bob", QoS: 2}, Seq: 7, ID: 70}},
		{&store.Received{ClientID: "bob", ID: 70}},
		{&store.Settled{ClientID: "ann", ID: 50}},
		{&store.Settled{ClientID: "ann", ID: 51}}, // nothing
		{&store.Dropped{ClientID: "ann", Seq: 1}},
		{&store.Published{Seq: 8, Message: message("both", "x"), Receivers: to("ann", "ann $share/g/#", "bob $share/h/#")}},
		{&store.Dropped{ClientID: "ann", Seq: 8}},
		{&store.Dropped{ClientID: "ann", Share: "$share/none/#", Seq: 8}}, // nothing
		{owed("bob $share/g/#", 8, message("both", "x")), &store.Dropped{ClientID: "ann", Share: "$share/g/#", Seq: 8}},
		{owed("nobody $share/g/#", 8, message("both", "x"))}, // nothing
		{&store.Published{Seq: 9, Message: message("!moved", "x"), Receivers: to("bob $share/g/#"), Author: "anna"}},
		{&store.Unretained{Topic: "moved"}},
		{&store.Taken{Receiver: store.Receiver{ClientID: "bob", Share: "$share/g/#", QoS: 1}, Seq: 9, ID: 90}},
		{owed("ann $share/g/#", 9, message("!moved", "x")), &store.Settled{ClientID: "bob", ID: 90}},
		{owed("ann $share/g/#", 10, message("!unheard", "x"))},
		{&store.Unretained{Topic: "expired"}},
		{&store.Ended{ClientID: "eve"}},
		{&store.Began{Run: 1 << 40}},
	} {
		if err := s.Write(facts...); err != nil {
			t.Fatalf("Write(%v): %v", shown(facts), err)
		}
	}
	want := []store.Fact{
		&store.Began{Run: 1 << 40},
		&store.Noted{Name: "sns b", Value: []byte("new")},
		&store.Noted{Name: "sns c", Value: []byte("x")},
		&store.Session{ClientID: "ann", Expiry: time.Hour, Ends: ends, Will: will, KeepWill: true, WillDue: ends, Author: "anna", Edge: "ids"},
		&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1, ID: 9}},
		&store.Session{ClientID: "bob"},
		&store.Accepted{ClientID: "bob", ID: 2},
		&store.Published{Seq: 2, Message: rich, Receivers: to("ann"), Author: "anna"},
		&store.Published{Seq: 3, Message: message("!clear", "x"), Receivers: to()},
		&store.Published{Seq: 8, Message: message("both", "x"), Receivers: to("bob $share/g/#", "bob $share/h/#")},
		&store.Published{Seq: 9, Message: message("!moved", "x"), Receivers: to("ann $share/g/#")},
		&store.Published{Seq: 10, Message: message("!unheard", "x"), Receivers: to("ann $share/g/#")},
		&store.Unretained{Topic: "clear"},
		&store.Unretained{Topic: "moved"},
		&store.Unretained{Topic: "unheard"},
		&store.Taken{Receiver: store.Receiver{ClientID: "ann", QoS: 2}, Seq: 3, ID: 30},
		&store.Taken{Receiver: store.Receiver{ClientID: "bob", QoS: 1, Retain: true}, Seq: 2, ID: 20},
		&store.Taken{Receiver: store.Receiver{ClientID: "bob", QoS: 2}, Seq: 7, ID: 70},
		&store.Received{ClientID: "bob", ID: 70},
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	if got := loaded(t, s); got != shown(want) {
		t.Errorf("after reopening:\n%s\nwant:\n%s", got, shown(want))
	}
}
