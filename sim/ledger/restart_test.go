package ledger

import (
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestNameGivenUpBeforeARestart: a gateway that remembers also remembers that
// REGISTER was in vain, and owes no command under that name.
func TestNameGivenUpBeforeARestart(t *testing.T) {
	for _, inVain := range []bool{false, true} {
		s := newScript(t)
		s.connected(false)
		for range spent {
			if inVain {
				s.down(&mqttsn.Register{ID: 4}).waits(time.Second)
			}
		}
		s.b.Restarted(s.now)
		s.command(1)
		s.waits(time.Minute)
		if got := s.b.Counts().Downlink.Missing == 0; got != inVain {
			t.Errorf("in vain: %v, and is excused: %v", inVain, got)
		}
	}
}
