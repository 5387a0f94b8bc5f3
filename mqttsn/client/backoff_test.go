package client

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

func TestBackoff(t *testing.T) {
	b := DefaultBackoff()
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	congestion := &RefusedError{mqttsn.TypeConnect, mqttsn.Congestion}
	for _, tt := range []struct {
		err      error
		failures int
		random   float64
		want     time.Duration
	}{
		{ErrNoAnswer, 1, 0, time.Second},
		{ErrNoAnswer, 2, 0, 2 * time.Second},
		{ErrNoAnswer, 4, 0.5, 6 * time.Second},
		{ErrDisconnected, 1, 0.5, 750 * time.Millisecond},
		{ErrNoAnswer, 9, 0, 256 * time.Second},
		{ErrNoAnswer, 10, 0, 5 * time.Minute},
		{ErrNoAnswer, 1 << 30, 0, 5 * time.Minute},
		{&RefusedError{mqttsn.TypeConnect, mqttsn.NotSupported}, 3, 0, 4 * time.Second},
		{congestion, 1, 0, 5 * time.Minute},
		{congestion, 20, 0.4, 330 * time.Second},
		{ErrCongested, 1, 0, 5 * time.Minute},
	} {
		if got := b.After(tt.err, tt.failures, tt.random); got != tt.want {
			t.Errorf("after %v, failure %d, chance %v: %v, want %v", tt.err, tt.failures, tt.random, got, tt.want)
		}
	}
}

func TestBackoffIsChecked(t *testing.T) {
	for _, change := range []func(*Backoff){
		func(b *Backoff) { b.First = 0 },
		func(b *Backoff) { b.First = 2 * time.Hour },
		func(b *Backoff) { b.Most = time.Millisecond },
		func(b *Backoff) { b.Jitter = 1.5 },
		func(b *Backoff) { b.Wait = 0 },
	} {
		b := DefaultBackoff()
		change(&b)
		if b.Validate() == nil {
			t.Errorf("%+v is valid", b)
		}
	}
}
