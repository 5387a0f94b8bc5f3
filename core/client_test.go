package core

import (
	"testing"
	"time"
)

// TestClientComesAndGoes: an operator sees since when a client is here, how it
// went, and when its session ends.
func TestClientComesAndGoes(t *testing.T) {
	w := newWorld(t)
	w.waits(time.Minute)
	began := time.Unix(0, w.now.Load())
	p := w.opens("p", SessionOptions{Expiry: time.Hour})
	w.waits(time.Minute)
	if c, _ := w.Client("p"); !c.Connected || !c.Since.Equal(began) || c.Expiry != time.Hour || c.Lost || !c.Ends.IsZero() {
		t.Errorf("a client that came a minute ago is seen as %+v", c)
	}
	for _, tt := range []struct {
		how  Ending
		lost bool
	}{{Lost, true}, {Clean, false}, {Lost, true}, {Shutdown, false}} {
		p.Detach(tt.how, func(error) {})
		ends := time.Unix(0, w.now.Load()).Add(time.Hour)
		if c, _ := w.Client("p"); c.Connected || c.Lost != tt.lost || !c.Ends.Equal(ends) || !c.Since.IsZero() {
			t.Errorf("a client that went by %d is seen as %+v, want its end at %v", tt.how, c, ends)
		}
		w.waits(time.Minute)
		p.opensAgain(SessionOptions{Expiry: time.Hour})
	}
	p.Detach(Lost, func(error) {})
	p.opensAgain(SessionOptions{})
	if c, _ := w.Client("p"); c.Lost {
		t.Errorf("a client that has come back is seen as %+v", c)
	}
}
