package drive

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dies has the gateway of r end after so long.
func (r *rig) dies(after time.Duration) {
	time.AfterFunc(after, func() {
		r.net.mu.Lock()
		r.net.dead = true
		r.net.mu.Unlock()
	})
}

// TestGatewayGone: a run whose gateway falls silent ends then, with what there
// is.
func TestGatewayGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		r.dies(9500 * time.Millisecond)
		out, err := r.run(t.Context())
		if !errors.Is(err, ErrGatewayGone) || !strings.Contains(err.Error(), "127.0.0.1:1884") {
			t.Fatalf("got %v", err)
		}
		if out == nil || out.Cut == nil || out.Ran < 29*time.Second || out.Ran > 31*time.Second || out.Final.Silent < 20*time.Second {
			t.Errorf("outcome %+v; want one of 30s", out)
		}
		r.want(t, 0, "cut", 1)
	})
}

// TestSilentAtTheEnd: a run that is over before its patience is says how long
// nothing was heard.
func TestSilentAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(15 * time.Second)
		r.dies(5500 * time.Millisecond)
		out, err := r.run(t.Context())
		if err != nil || out.Final.Silent < 8*time.Second || out.Final.Silent > 10*time.Second {
			t.Errorf("silent for %v, %v; want 9s", out.Final.Silent, err)
		}
	})
}
