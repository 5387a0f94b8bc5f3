// Package storetest holds every store.Store to the same promises.
package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/core/store"
)

// Run tests a kind of store. fresh returns what opens a new and empty one: to
// be called again after Close, when it must find what was there.
func Run(t *testing.T, fresh func(t *testing.T) (open func() store.Store)) {
	t.Run("remembers", func(t *testing.T) { remembers(t, fresh(t)) })
	t.Run("is the model", func(t *testing.T) {
		for seed := range uint64(200) {
			isTheModel(t, fresh(t), seed)
		}
	})
	t.Run("answers in order", func(t *testing.T) { answersInOrder(t, fresh(t)) })
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

// remembers is one story with each kind of fact in it.
func remembers(t *testing.T, open func() store.Store) {
	ends := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	will := &store.Will{Message: *message("will", "gone"), Delay: time.Minute, Lifetime: time.Hour}
	format := byte(1)
	rich := message("!keep", "new")
	rich.Publisher, rich.Expires = "ann", ends
	rich.Properties = &store.Properties{
		PayloadFormat: &format, ContentType: "text", ResponseTopic: "re", CorrelationData: []byte("x"),
		User: []store.UserProperty{{Key: "k", Value: "v"}, {Key: "k", Value: "w"}},
	}
	s := open()
	for _, facts := range [][]store.Fact{
		{&store.Session{ClientID: "ann", User: "anna", Expiry: time.Hour}},
		{&store.Session{ClientID: "ann", Expiry: time.Hour, Ends: ends, Will: will, KeepWill: true, Edge: "ids"}},
		{&store.Session{ClientID: "bob"}, &store.Session{ClientID: "eve"}},
		{&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "a", QoS: 1}}},
		{&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1, ID: 9}}},
		{&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "b"}}},
		{&store.Unsubscribed{ClientID: "ann", Filter: "b"}},
		{&store.Accepted{ClientID: "bob", ID: 1}, &store.Published{Seq: 1, Message: message("!keep", "old"), Receivers: to("ann", "eve")}},
		{&store.Accepted{ClientID: "bob", ID: 2}, &store.Published{Seq: 2, Message: rich, Receivers: to("ann", "nobody")}},
		{&store.Released{ClientID: "bob", ID: 1}},
		{&store.Published{Seq: 3, Message: message("!clear", "x"), Receivers: to("ann")}},
		{&store.Published{Seq: 4, Message: message("!clear", ""), Receivers: to()}},
		{&store.Published{Seq: 5, Message: message("gone", "x"), Receivers: to("ann", "eve")}},
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
		{&store.Published{Seq: 9, Message: message("!moved", "x"), Receivers: to("bob $share/g/#")}},
		{&store.Unretained{Topic: "moved"}},
		{&store.Taken{Receiver: store.Receiver{ClientID: "bob", Share: "$share/g/#", QoS: 1}, Seq: 9, ID: 90}},
		{owed("ann $share/g/#", 9, message("!moved", "x")), &store.Settled{ClientID: "bob", ID: 90}},
		{owed("ann $share/g/#", 10, message("!unheard", "x"))},
		{&store.Unretained{Topic: "expired"}},
		{&store.Ended{ClientID: "eve"}},
	} {
		if err := s.Write(facts...); err != nil {
			t.Fatalf("Write(%v): %v", shown(facts), err)
		}
	}
	want := []store.Fact{
		&store.Session{ClientID: "ann", Expiry: time.Hour, Ends: ends, Will: will, KeepWill: true, Edge: "ids"},
		&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1, ID: 9}},
		&store.Session{ClientID: "bob"},
		&store.Accepted{ClientID: "bob", ID: 2},
		&store.Published{Seq: 2, Message: rich, Receivers: to("ann")},
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
	if got := reopened(t, s, open); got != shown(want) {
		t.Errorf("after reopening:\n%s\nwant:\n%s", got, shown(want))
	}
}

// reopened closes s and returns what another sees.
func reopened(t *testing.T, s store.Store, open func() store.Store) string {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	seen := loaded(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return seen
}

func loaded(t *testing.T, s store.Store) string {
	t.Helper()
	var facts []store.Fact
	err := s.Load(func(f store.Fact) error {
		facts = append(facts, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return shown(facts)
}

// shown writes facts a line each, sessions in order, so that stores may be
// compared that order them differently where Load leaves it open.
func shown(facts []store.Fact) string {
	blocks, block := []string{""}, 0
	for _, f := range facts {
		line := fmt.Sprintf("%T %+v\n", f, f)
		switch f := f.(type) {
		case *store.Session:
			g := *f
			g.Will = nil
			line = fmt.Sprintf("session %+v will %+v\n", g, f.Will)
			blocks = append(blocks, "")
			block = len(blocks) - 1
		case *store.Published:
			m, props := *f.Message, ""
			if p := m.Properties; p != nil {
				props = fmt.Sprintf("%d %q %q %q %v", *p.PayloadFormat, p.ContentType, p.ResponseTopic, p.CorrelationData, p.User)
			}
			m.Properties = nil
			line = fmt.Sprintf("published %d %+v %s to %v\n", f.Seq, m, props, slices.Collect(f.Receivers))
			block = 0
		case *store.Unretained, *store.Taken, *store.Received:
			block = 0
		}
		blocks[block] += line
	}
	slices.Sort(blocks[1:])
	return strings.Join(append(blocks[1:], blocks[0]), "")
}

// isTheModel writes facts at random, such as core would, and compares with a
// store.Memory.
func isTheModel(t *testing.T, open func() store.Store, seed uint64) {
	s, model := open(), store.NewMemory()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	seq := uint64(0)
	flying := map[store.Received]bool{} // an identifier is not taken twice
	messages := map[uint64]*store.Message{}

	for range 100 {
		client, topic, id := pick("ann", "bob", "eve"), pick("a", "!a", "!b"), uint16(1+r.IntN(4))
		share := pick("", "$share/g/a")
		in := store.Received{ClientID: client, ID: id}
		facts := []store.Fact{
			&store.Session{ClientID: client, Edge: topic},
			&store.Subscribed{ClientID: client, Subscription: store.Subscription{Filter: topic, QoS: store.QoS(r.IntN(3))}},
			&store.Unsubscribed{ClientID: client, Filter: topic},
			&store.Accepted{ClientID: client, ID: id},
			&store.Released{ClientID: client, ID: id},
			&store.Received{ClientID: client, ID: id},
			&store.Settled{ClientID: client, ID: id},
			&store.Dropped{ClientID: client, Share: share, Seq: r.Uint64N(seq + 1)},
			&store.Unretained{Topic: "a"},
			&store.Ended{ClientID: client},
		}
		var f store.Fact
		switch n := r.IntN(20); {
		case n < len(facts):
			f = facts[n]
		case n < 15 || seq == 0:
			seq++
			receivers := []string{"ann", "bob", "eve", "eve $share/g/a"}
			r.Shuffle(4, func(i, j int) { receivers[i], receivers[j] = receivers[j], receivers[i] })
			messages[seq] = message(topic, pick("", "x"))
			f = &store.Published{Seq: seq, Message: messages[seq], Receivers: to(receivers[:r.IntN(5)]...)}
		case n < 17:
			old := 1 + r.Uint64N(seq)
			f = owed(client+" $share/g/a", old, messages[old])
		case flying[in]:
			continue
		default:
			flying[in] = true
			f = &store.Taken{Receiver: store.Receiver{ClientID: client, Share: share, QoS: 1}, Seq: 1 + r.Uint64N(seq), ID: id}
		}
		switch f.(type) {
		case *store.Settled:
			delete(flying, in)
		case *store.Ended:
			maps.DeleteFunc(flying, func(in store.Received, _ bool) bool { return in.ClientID == client })
		}
		for _, s := range []store.Store{s, model} {
			if err := s.Write(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := loaded(t, model)
	if got := reopened(t, s, open); got != want {
		t.Fatalf("seed %d, after reopening:\n%s\nwant:\n%s", seed, got, want)
	}
}

// answersInOrder: each Sync is answered once, in turn, and all of them before
// Close returns.
func answersInOrder(t *testing.T, open func() store.Store) {
	s := open()
	var answers []int
	for i := range 100 {
		if err := s.Write(&store.Session{ClientID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		s.Sync(func(err error) {
			if err != nil {
				t.Error(err)
			}
			answers = append(answers, i)
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(answers) != 100 || !slices.IsSorted(answers) {
		t.Errorf("answered %v", answers)
	}
}
