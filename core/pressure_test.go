package core

import (
	"errors"
	"testing"
)

// TestPressure, hostile.md D.3: short of memory the broker takes less, keeps
// what it has, counts each refusal, and takes all again later.
func TestPressure(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	comes := func(id string) error {
		p := &person{w: w, id: id}
		p.opensAgain(SessionOptions{Expiry: Forever})
		return p.err
	}
	for _, tt := range []struct {
		Pressure
		publish [3]error // by QoS
		fresh   error    // for a new client
		gets    []string
	}{
		{NoPressure, [3]error{}, nil, []string{"a=0", "a=1/1", "a=2/2"}},
		{Soft, [3]error{ErrQuota, nil, nil}, ErrBusy, []string{"a=1/1", "a=2/2"}},
		{Hard, [3]error{ErrQuota, ErrQuota, ErrQuota}, ErrBusy, nil},
		{NoPressure, [3]error{}, nil, []string{"a=0", "a=1/1", "a=2/2"}},
	} {
		w.SetPressure(tt.Pressure)
		for qos, want := range tt.publish {
			says := "a=" + string(rune('0'+qos))
			if err := bob.says(QoS(qos), says); !errors.Is(err, want) {
				t.Errorf("%v: QoS %d: %v, want %v", tt.Pressure, qos, err, want)
			}
		}
		if err := comes("new " + tt.Pressure.String()); tt.fresh != nil && !errors.Is(err, tt.fresh) || tt.fresh == nil && err != nil {
			t.Errorf("%v: a new client: %v, want %v", tt.Pressure, err, tt.fresh)
		}
		if err := comes("bob"); err != nil { // who has a session may come again
			t.Errorf("%v: bob comes again: %v", tt.Pressure, err)
		}
		bob.opensAgain(SessionOptions{Expiry: Forever})
		ann.gets(tt.gets...)
	}
	if d := w.Stats().Dropped; d.Shed != 2 || d.Refused != 2 || d.Busy != 2 {
		t.Errorf("%+v", d)
	}
}

// TestPressureLetsExchangesEnd: what was accepted before is answered and
// delivered, and a will is published, however short memory is.
func TestPressureLetsExchangesEnd(t *testing.T) {
	w := newWorld(t)
	bob := w.opens("bob", SessionOptions{Expiry: Forever, Will: &Will{Message: message(0, "w=gone")}})
	ann := w.comes("ann").subscribes("#")
	publish := func(want error) {
		t.Helper()
		bob.Publish(message(2, "a=1"), 7, func(err error) {
			if !errors.Is(err, want) {
				t.Errorf("answered %v, want %v", err, want)
			}
		})
	}
	publish(nil)
	w.SetPressure(Hard)
	publish(nil) // again, for its PUBREC was lost
	bob.Release(7, func(error) {})
	publish(ErrQuota) // a new one
	w.SetPressure(NoPressure)
	publish(nil) // the identifier of the one refused is free
	w.SetPressure(Hard)
	bob.leaves(Lost)
	ann.gets("a=1/2", "a=1/2", "w=gone")
}

// TestPressureOnStrangers: a sender without a session is heard no more than
// any other.
func TestPressureOnStrangers(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann").subscribes("#")
	w.SetPressure(Soft)
	w.Publish(Identity{ClientID: "x"}, message(0, "a=1"), func(err error) {
		if !errors.Is(err, ErrQuota) {
			t.Errorf("answered %v", err)
		}
	})
	ann.gets()
}
