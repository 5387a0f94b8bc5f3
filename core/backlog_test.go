package core

import (
	"testing"
	"time"

	"dormouse/core/store"
)

// TestWaitingForSensors: what waits is for a sensor as long as its client was
// one when it was last here, also over a restart.
func TestWaitingForSensors(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	want := func(when string, n int) {
		t.Helper()
		if s := w.Stats(); s.ForSensors != n {
			t.Errorf("%s: %d of %d messages wait for sensors, want %d", when, s.ForSensors, s.Waiting, n)
		}
	}
	sensor := SessionOptions{Sensor: true, Expiry: time.Hour}
	sleeper := w.opens("sleeper", sensor).subscribes("a")
	sleeper.SaveEdge([]byte("asleep"), func(error) {})
	w.opens("away", keep).subscribes("a").Detach(Clean, func(error) {})
	says := func(what string) { w.opens("q", SessionOptions{}).says(1, what) }
	says("a=1")
	says("a=2")
	want("with two messages for a sensor and another client", 2)
	w.restarts()
	want("after a restart", 2)
	w.opens("sleeper", keep)
	want("with the sensor's session taken over", 0)
	says("a=3")
	want("with one more for that", 0)
	sleeper = w.opens("sleeper", sensor)
	want("with the sensor there again", 3)
	sleeper.Next()
	want("with one on its way", 2)
	w.opens("sleeper", SessionOptions{Sensor: true, CleanStart: true})
	want("with its session at an end", 0)
}
