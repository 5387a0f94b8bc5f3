package sim

import (
	"testing"
	"time"
)

// A World is a world for tests from outside.
type World struct{ *world }

func NewWorld(t testing.TB, p *Plan) World { return World{newWorld(t, p)} }

func (w World) Until(d time.Duration) { w.until(d) }

// Close ends the run and says how it went.
func (w World) Close() *Stats {
	w.f.Close(w.now)
	var s Stats
	w.f.Stats(&s)
	return &s
}
