package core

import "testing"

// TestComing: a message of QoS 2 that Next does not show before the store has
// its packet identifier is announced, so that nobody takes the queue for empty.
func TestComing(t *testing.T) {
	w, s := slowWorld(t)
	p := &person{w: w, id: "p"}
	p.opensAgain(SessionOptions{Expiry: Forever})
	s.answers(nil)
	p.Subscribe(Subscription{Filter: "a", QoS: 2}, func(QoS, error) {})
	s.answers(nil)
	p.gets()
	if p.Coming() {
		t.Error("there is something in an empty queue")
	}
	p.Publish(message(2, "a=1"), 1, func(error) {})
	s.answers(nil)
	if _, ok := p.Next(); ok || !p.Coming() {
		t.Fatalf("shown: %v, coming: %v", ok, p.Coming())
	}
	s.answers(nil)
	p.gets("a=1/2")
	if p.Coming() {
		t.Error("there is something left")
	}
}
