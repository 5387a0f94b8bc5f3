package disk_test

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// TestNothingIsReadToLetGo: of what waits since before the start, by an
// ordinary subscription or a shared one, nothing is read from the disk when it
// is delivered or dropped.
func TestNothingIsReadToLetGo(t *testing.T) {
	const share = "$share/g/a"
	mem := vfs.NewMem()
	s := open(t, "data", disk.Options{FS: mem})
	facts := []store.Fact{&store.Session{ClientID: "ann"}, &store.Session{ClientID: "bob"}}
	for seq := range uint64(4) {
		to := []store.Receiver{{ClientID: "ann", QoS: 1}, {ClientID: "bob", Share: share, QoS: 1}}
		facts = append(facts, &store.Published{Seq: seq + 1, Message: &store.Message{Topic: "a", Payload: []byte("x"), QoS: 1}, Receivers: slices.Values(to)})
	}
	facts = append(facts, &store.Taken{Receiver: store.Receiver{ClientID: "ann", QoS: 1}, Seq: 1, ID: 1})
	if err := keeps(s, facts...); err != nil {
		t.Fatal(err)
	}
	s.Close()

	s = open(t, "data", disk.Options{FS: mem})
	if err := s.Load(func(store.Fact) error { return nil }); err != nil {
		t.Fatal(err)
	}
	looks := disk.Looks(s)
	err := keeps(s,
		&store.Settled{ClientID: "ann", ID: 1},
		&store.Taken{Receiver: store.Receiver{ClientID: "ann", QoS: 1}, Seq: 2, ID: 2},
		&store.Dropped{ClientID: "ann", Seq: 3},
		&store.Dropped{ClientID: "bob", Share: share, Seq: 3},
		&store.Taken{Receiver: store.Receiver{ClientID: "bob", Share: share, QoS: 1}, Seq: 4, ID: 1},
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := keeps(s, &store.Settled{ClientID: "ann", ID: 2}, &store.Settled{ClientID: "bob", ID: 1}); err != nil {
		t.Fatal(err)
	}
	if n := disk.Looks(s) - looks; n > 0 {
		t.Errorf("the disk was read %d times", n)
	}
	s.Close()
}

// TestAcknowledgedAtOnce: what is acknowledged before it is written that it is
// in flight costs no more than what never was.
func TestAcknowledgedAtOnce(t *testing.T) {
	s := open(t, "data", disk.Options{FS: vfs.NewMem()})
	defer s.Close()
	ann := store.Receiver{ClientID: "ann", QoS: 1}
	facts := []store.Fact{&store.Session{ClientID: "ann"}}
	for seq := range uint64(3) {
		facts = append(facts, &store.Published{Seq: seq + 1, Message: &store.Message{Topic: "a", QoS: 1}, Receivers: slices.Values([]store.Receiver{ann})})
	}
	logged := func(facts ...store.Fact) uint64 {
		before := disk.Logged(s)
		if err := keeps(s, facts...); err != nil {
			t.Fatal(err)
		}
		return disk.Logged(s) - before
	}
	logged(facts...)
	dropped := logged(&store.Dropped{ClientID: "ann", Seq: 1})
	atOnce := logged(&store.Taken{Receiver: ann, Seq: 2, ID: 1}, &store.Settled{ClientID: "ann", ID: 1})
	if atOnce != dropped {
		t.Errorf("to take and settle is %d octets of log, to drop %d", atOnce, dropped)
	}
	if taken := logged(&store.Taken{Receiver: ann, Seq: 3, ID: 1}); taken == 0 {
		t.Error("what stays in flight is not written")
	}
}

// TestDebtsEnd: what was acknowledged or dropped, or whose session has ended, is
// not remembered.
func TestDebtsEnd(t *testing.T) {
	const share = "$share/g/a"
	s := open(t, "data", disk.Options{FS: vfs.NewMem()})
	facts := []store.Fact{&store.Session{ClientID: "ann"}, &store.Session{ClientID: "bob"}}
	for seq := range uint64(3) {
		to := []store.Receiver{
			{ClientID: "ann", QoS: 1}, {ClientID: "ann", Share: share, QoS: 1},
			{ClientID: "bob", QoS: 1}, {ClientID: "bob", Share: share, QoS: 1},
		}
		facts = append(facts, &store.Published{Seq: seq + 1, Message: &store.Message{Topic: "a", QoS: 1}, Receivers: slices.Values(to)})
	}
	for _, id := range []string{"ann", "bob"} {
		facts = append(facts,
			&store.Taken{Receiver: store.Receiver{ClientID: id, QoS: 1}, Seq: 1, ID: 1},
			&store.Taken{Receiver: store.Receiver{ClientID: id, Share: share, QoS: 1}, Seq: 1, ID: 2},
		)
	}
	facts = append(facts, &store.Settled{ClientID: "ann", ID: 1}, &store.Settled{ClientID: "ann", ID: 2})
	for seq := range uint64(2) {
		facts = append(facts, &store.Dropped{ClientID: "ann", Seq: seq + 2}, &store.Dropped{ClientID: "ann", Share: share, Seq: seq + 2})
	}
	if err := keeps(s, append(facts, &store.Ended{ClientID: "bob"})...); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := disk.Owed(s); n > 0 {
		t.Errorf("%d are still remembered", n)
	}
}
