package disk_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// TestManyAreOverAtOnce: of many messages that are over together nothing is
// left, and of what lies between them nothing is lost: what has another holder,
// what waits by a shared subscription, and what is owed to somebody again in the
// same breath.
func TestManyAreOverAtOnce(t *testing.T) {
	const share, many = "$share/g/a", 60
	mem := vfs.NewMem()
	s := open(t, "data", disk.Options{FS: mem})
	defer func() { s.Close() }()
	message := func(seq uint64) *store.Message {
		return &store.Message{Topic: "a", Payload: fmt.Append(nil, seq), QoS: 1}
	}
	facts := []store.Fact{&store.Session{ClientID: "ann"}, &store.Session{ClientID: "bob"}, &store.Session{ClientID: "cat"}}
	for seq := uint64(1); seq <= many; seq++ {
		to := []store.Receiver{{ClientID: "ann", QoS: 1}}
		switch seq {
		case 20:
			to = append(to, store.Receiver{ClientID: "bob", QoS: 1}, store.Receiver{ClientID: "cat", QoS: 1})
		case 30:
			to = append(to, store.Receiver{ClientID: "ann", Share: share, QoS: 1})
		}
		facts = append(facts, &store.Published{Seq: seq, Message: message(seq), Receivers: slices.Values(to)})
	}
	if err := keeps(s, facts...); err != nil {
		t.Fatal(err)
	}
	left := func() (seqs []uint64) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, "data", disk.Options{FS: mem})
		err := s.Load(func(f store.Fact) error {
			if p, ok := f.(*store.Published); ok && string(p.Message.Payload) == fmt.Sprint(p.Seq) {
				for range p.Receivers {
					seqs = append(seqs, p.Seq)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return seqs
	}

	facts = facts[:0]
	for seq := uint64(40); seq > 0; seq-- { // in any order
		facts = append(facts, &store.Dropped{ClientID: "ann", Seq: seq})
	}
	for _, seq := range []uint64{20, 15} {
		facts = append(facts, &store.Owed{Receiver: store.Receiver{ClientID: "ann", QoS: 1}, Seq: seq, Message: message(seq)})
	}
	if err := keeps(s, facts...); err != nil {
		t.Fatal(err)
	}
	want := []uint64{15, 20, 20, 20, 30}
	for seq := uint64(41); seq <= many; seq++ {
		want = append(want, seq)
	}
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("there are left %v; want %v", got, want)
	}

	facts = []store.Fact{&store.Dropped{ClientID: "ann", Seq: 30, Share: share}}
	for seq := uint64(41); seq <= many-1; seq++ {
		facts = append(facts, &store.Dropped{ClientID: "ann", Seq: seq})
	}
	logged := disk.Logged(s)
	if err := keeps(s, facts...); err != nil {
		t.Fatal(err)
	}
	if n := disk.Logged(s) - logged; n > 19*16 {
		t.Errorf("it took %d octets of log to remove 19 messages", n)
	}
	if got, want := left(), []uint64{15, 20, 20, 20, many}; !slices.Equal(got, want) {
		t.Errorf("there are left %v; want %v", got, want)
	}
}

// TestReadBesideWhatIsOver: what is read after something is over, in the same
// breath, is what was asked for.
func TestReadBesideWhatIsOver(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, "data", disk.Options{FS: mem})
	ann := store.Receiver{ClientID: "ann", QoS: 2}
	facts := []store.Fact{&store.Session{ClientID: "ann"}}
	for seq := range uint64(2) {
		facts = append(facts, &store.Published{Seq: seq + 1, Message: &store.Message{Topic: "a", QoS: 2}, Receivers: slices.Values([]store.Receiver{ann})})
	}
	facts = append(facts, &store.Taken{Receiver: ann, Seq: 2, ID: 7})
	if err := keeps(s, facts...); err != nil {
		t.Fatal(err)
	}
	if err := keeps(s, &store.Dropped{ClientID: "ann", Seq: 1}, &store.Received{ClientID: "ann", ID: 7}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, "data", disk.Options{FS: mem})
	defer s.Close()
	received := false
	err := s.Load(func(f store.Fact) error {
		switch f := f.(type) {
		case *store.Taken:
			if f.Seq != 2 || f.ID != 7 || f.QoS != 2 {
				t.Errorf("in flight is %+v", f)
			}
		case *store.Received:
			received = f.ID == 7
		}
		return nil
	})
	if err != nil || !received {
		t.Errorf("received: %v, %v", received, err)
	}
}

// TestOverIsOverOnce: a session that ends right after a message of its is over
// does not have that over for others, too, and what is over is not taken.
func TestOverIsOverOnce(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, "data", disk.Options{FS: mem})
	ann, bob := store.Receiver{ClientID: "ann", QoS: 1}, store.Receiver{ClientID: "bob", QoS: 1}
	retained := func(seq uint64) store.Fact {
		return &store.Published{Seq: seq, Message: &store.Message{Topic: "r", Payload: []byte("x"), Retain: true}, Receivers: slices.Values([]store.Receiver(nil))}
	}
	err := keeps(s, &store.Session{ClientID: "ann"}, &store.Session{ClientID: "bob"}, retained(1),
		&store.Published{Seq: 2, Message: &store.Message{Topic: "a"}, Receivers: slices.Values([]store.Receiver{ann, bob})})
	if err != nil {
		t.Fatal(err)
	}
	err = keeps(s, retained(3), &store.Taken{Receiver: bob, Seq: 1, ID: 7},
		&store.Dropped{ClientID: "ann", Seq: 2}, &store.Ended{ClientID: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, "data", disk.Options{FS: mem})
	defer s.Close()
	var left []uint64
	err = s.Load(func(f store.Fact) error {
		switch f := f.(type) {
		case *store.Published:
			left = append(left, f.Seq)
		case *store.Taken:
			t.Errorf("in flight is %d", f.Seq)
		}
		return nil
	})
	if err != nil || !slices.Equal(left, []uint64{2, 3}) {
		t.Errorf("there are left %v, %v; want 2 and 3", left, err)
	}
}

// TestReadAmongMuchThatIsOver: while the disk is read, what is over is removed
// one by one, and as a range once it is not. A range would cost each read all
// the ranges before: with 8 messages to a batch that reads, up to 18 ms a batch.
func TestReadAmongMuchThatIsOver(t *testing.T) {
	const many = 16
	s := open(t, "data", disk.Options{FS: vfs.NewMem(), Sync: disk.SyncNever})
	defer s.Close()
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	seq := uint64(0)
	publish := func(m store.Message, to ...store.Receiver) store.Fact {
		seq++
		return &store.Published{Seq: seq, Message: &m, Receivers: slices.Values(to)}
	}
	removed := func() (logged uint64) {
		var facts, over []store.Fact
		for range many {
			facts = append(facts, publish(store.Message{Topic: "a"}, store.Receiver{ClientID: "ann", QoS: 1}))
			over = append(over, &store.Dropped{ClientID: "ann", Seq: seq})
		}
		if err := keeps(s, facts...); err != nil {
			t.Fatal(err)
		}
		before := disk.Logged(s)
		if err := keeps(s, over...); err != nil {
			t.Fatal(err)
		}
		return disk.Logged(s) - before
	}
	const oneByOne = many * (9 + 15) // octets of the keys
	if n := removed(); n >= oneByOne {
		t.Errorf("it took %d octets of log to remove %d messages", n, many)
	}
	if err := keeps(s, publish(store.Message{Topic: "r", Payload: []byte("x"), Retain: true})); err != nil { // which reads
		t.Fatal(err)
	}
	if n := removed(); n < oneByOne {
		t.Errorf("it took %d octets of log to remove %d messages: a range, beside what reads", n, many)
	}
	for range 500 {
		removed()
	}
	if n := removed(); n >= oneByOne {
		t.Errorf("it took %d octets of log to remove %d messages when nothing had been read for long", n, many)
	}
}
