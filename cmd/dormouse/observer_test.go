package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ownServerOf starts a server of the test's, and an observer beside it.
func ownServerOf(t *testing.T, sets ...string) (*ownServer, *observer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), failAfter)
	defer cancel()
	own, err := startOwnServer(ctx, settings{Set: sets}, false, nil, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	own.forgets = true // what was heard before a restart is not heard again
	t.Cleanup(func() {
		if err := own.stop(); err != nil {
			t.Error(err)
		}
	})
	o, err := newObserver(t.Context(), (&site{}).besides(own))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return own, o
}

// heardAll waits until n messages were heard.
func heardAll(t *testing.T, n *atomic.Int64, want int64) {
	t.Helper()
	for late := time.Now().Add(failAfter); n.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%d of %d messages were heard", n.Load(), want)
		}
	}
}

// TestObserver: an observer publishes more than can be under way at a time and
// hears all of it, once and in order; and again after the server was killed.
func TestObserver(t *testing.T) {
	own, o := ownServerOf(t)
	var mu sync.Mutex
	var heard []string
	var n, acknowledged atomic.Int64
	o.Hear(func(topic string, payload []byte, qos byte, retained bool) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprint(topic, string(payload), qos, retained))
		n.Add(1)
	})
	if err := o.Subscribe("a/#", 2); err != nil {
		t.Fatal(err)
	}
	const messages = 3000
	publish := func() {
		var want []string
		for i := range messages {
			payload := []byte(fmt.Sprint("-", i, "-"))
			o.Publish("a/b", payload, 1, false, func(err error) {
				if err != nil {
					t.Error(err)
				}
				acknowledged.Add(1)
			})
			want = append(want, fmt.Sprint("a/b", string(payload), 1, false))
			clear(payload) // it is ours again
		}
		heardAll(t, &n, messages)
		heardAll(t, &acknowledged, messages)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(heard, want) {
			t.Errorf("%d messages were heard, in other words or another order than the %d published", len(heard), messages)
		}
		heard = nil
		n.Store(0)
		acknowledged.Store(0)
	}
	publish()

	ctx, cancel := context.WithTimeout(t.Context(), failAfter)
	defer cancel()
	before, at := o.times(), own.mqtt
	if err := own.restart(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := o.returned(ctx, before); err != nil {
		t.Fatal(err)
	}
	if own.mqtt != at {
		t.Errorf("after a restart the server is at %v, not at %v", own.mqtt, at)
	}
	publish()
}

// TestObserverAlone: an observer whose server is gone for good says so of each
// message, and can be closed.
func TestObserverAlone(t *testing.T) {
	t.Parallel()
	own, _ := ownServerOf(t)
	o, err := newObserver(t.Context(), (&site{}).besides(own))
	if err != nil {
		t.Fatal(err)
	}
	own.kill()
	const messages = flyingMost + 1 // the last has no room
	answers := make(chan error, messages)
	for range messages {
		o.Publish("a/b", []byte("x"), 1, false, func(err error) { answers <- err })
	}
	closed := make(chan struct{})
	go func() {
		o.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(failAfter):
		t.Fatal("it cannot be closed")
	}
	for range messages {
		if err := <-answers; err == nil {
			t.Error("a message is published, with nobody there")
		}
	}
}
