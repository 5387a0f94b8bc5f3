package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core"
)

// TestStrain: core is told while an edge is late, and while the store has left a
// question without an answer for too long; and the log, once for each change.
func TestStrain(t *testing.T) {
	b := core.New(core.DefaultOptions())
	defer b.Close()
	var log bytes.Buffer
	var waiting []func(error)
	late, told := false, false
	n := &strain{
		broker: b, late: func() bool { return late }, log: zerolog.New(&log), tell: func(behind bool) { told = behind },
		follow: func(then func(error)) { waiting = append(waiting, then) },
	}
	now := time.Unix(1, 0)
	looks := func(after time.Duration, want core.Strain) {
		t.Helper()
		now = now.Add(after)
		n.look(now)
		if got := b.Strain(); got != want || told != (want == core.Behind) {
			t.Errorf("at %v it is %v, and the gateways are told %t; want %v", now, got, told, want)
		}
	}
	answers := func() {
		for _, then := range waiting {
			then(nil)
		}
		waiting = nil
	}
	looks(0, core.NoStrain)
	late = true
	looks(strainLook, core.Late)
	looks(strainLook, core.Late)
	late = false
	looks(strainLook, core.NoStrain)
	looks(behindAfter, core.Behind)
	if len(waiting) != 1 {
		t.Errorf("%d questions wait for the store", len(waiting))
	}
	answers()
	looks(strainLook, core.Behind) // that took long
	looks(strainLook, core.Behind)
	late = true
	answers()
	looks(behindAfter*3/4, core.Behind) // not much better yet
	looks(strainLook, core.Behind)
	answers()
	looks(strainLook, core.Late)
	late = false
	answers()
	looks(strainLook, core.NoStrain)
	if got := strings.Count(log.String(), `"event":"strain"`); got != 5 {
		t.Errorf("the log says\n%s", &log)
	}
}
