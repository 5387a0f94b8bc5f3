package core

import (
	"errors"
	"testing"
)

// TestStrain: while more comes in than the machine can do, nobody new is let
// in and who has a session may come again; while the store is behind, QoS 0 is
// dropped, too, without waiting for it. Each is counted.
func TestStrain(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	comes := func(id string) error {
		p := &person{w: w, id: id}
		p.opensAgain(SessionOptions{Expiry: Forever})
		return p.err
	}
	for _, tt := range []struct {
		Strain
		atQoS0, fresh error
		gets          []string
	}{
		{NoStrain, nil, nil, []string{"a=0", "a=1/1", "a=2/2"}},
		{Late, nil, ErrBusy, []string{"a=0", "a=1/1", "a=2/2"}},
		{Behind, ErrQuota, ErrBusy, []string{"a=1/1", "a=2/2"}},
		{NoStrain, nil, nil, []string{"a=0", "a=1/1", "a=2/2"}},
	} {
		w.SetStrain(tt.Strain)
		for qos, want := range []error{tt.atQoS0, nil, nil} {
			if err := bob.says(QoS(qos), "a="+string(rune('0'+qos))); !errors.Is(err, want) {
				t.Errorf("%v: QoS %d: %v, want %v", tt.Strain, qos, err, want)
			}
		}
		id := "new " + tt.Strain.String()
		if err := comes(id); !errors.Is(err, tt.fresh) {
			t.Errorf("%v: a new client: %v, want %v", tt.Strain, err, tt.fresh)
		}
		if w.Knows(id) != (tt.fresh == nil) {
			t.Errorf("%v: the new client is known: %t", tt.Strain, w.Knows(id))
		}
		if err := comes("bob"); err != nil {
			t.Errorf("%v: bob comes again: %v", tt.Strain, err)
		}
		bob.opensAgain(SessionOptions{Expiry: Forever})
		ann.gets(tt.gets...)
	}
	if d := w.Stats().Dropped; d.Strained != 2 || d.Behind != 1 || d.Total() != 1 {
		t.Errorf("%+v", d)
	}
}

// TestStoreBehind: what is dropped because the store is behind is answered
// though the store answers nobody, and leaves nothing there to be answered.
func TestStoreBehind(t *testing.T) {
	w, s := slowWorld(t)
	bob := &person{w: w, id: "bob"}
	bob.opensAgain(SessionOptions{Expiry: Forever})
	s.answers(nil)
	w.SetStrain(Behind)
	answered := false
	bob.Publish(message(0, "a=1"), 0, func(err error) { answered = errors.Is(err, ErrQuota) })
	if !answered || len(s.waiting) > 0 {
		t.Errorf("answered: %t; %d wait for the store", answered, len(s.waiting))
	}
}
