package core

import (
	"sync"
	"testing"
	"time"
)

// A hesitant is a Sink that does something when it has mail.
type hesitant struct {
	*person
	first func()
}

func (h *hesitant) Mail() { h.first() }

// TestNewConnectionOvertakesNothing: a client comes back before the broker has
// handed out the last message of its old connection to all, and publishes.
func TestNewConnectionOvertakesNothing(t *testing.T) {
	w := newWorld(t)
	old, published := w.comes("p"), make(chan struct{})
	hesitate := sync.OnceFunc(func() {
		go func() {
			defer close(published)
			w.comes("p").says(1, "t=new")
		}()
		select {
		case <-published: // it has overtaken
		case <-time.After(50 * time.Millisecond):
		}
	})
	var receivers []*person
	for _, id := range []string{"a", "b"} {
		p := &person{w: w, id: id}
		who := Identity{ClientID: id, Edge: "test"}
		w.Open(who, SessionOptions{Expiry: Forever}, &hesitant{p, hesitate}, func(s *Session, _ bool, err error) {
			p.Session, p.err = s, err
		})
		receivers = append(receivers, p.subscribes("t"))
		p.gets() // and is to be told of mail
	}
	old.says(1, "t=old")
	<-published
	for _, p := range receivers {
		p.gets("t=old/1", "t=new/1")
	}
}
