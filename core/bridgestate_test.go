package core

import (
	"errors"
	"testing"
)

// TestBridgeState: Mosquitto, bridged to us, has the one topic below $SYS that
// bears its name, and what it retains there counts as its own.
func TestBridgeState(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Retained.PerPublisher = 1 })
	ann := w.comes("ann").subscribes("#", "$SYS/broker/connection/#")
	const state = "$SYS/broker/connection/plant/state"
	w.comes("plant")
	bridge := w.opens("plant", SessionOptions{Will: &Will{Message: message(1, "!"+state+"=0")}})
	bridge.says(1, "!"+state+"=1")
	ann.gets(state + "=1/1")
	w.comes("late").subscribes("$SYS/broker/connection/#").gets("!" + state + "=1/1")
	if err := bridge.says(1, "!a=1"); !errors.Is(err, ErrQuota) {
		t.Errorf("a second retained message of one who may have one: %v, want ErrQuota", err)
	}
	bridge.leaves(Lost)
	ann.gets(state + "=0/1")

	for _, who := range []string{"bob", "plan", "plant/state"} {
		if err := w.comes(who).says(1, "!"+state+"=forged"); !errors.Is(err, ErrNotAuthorized) {
			t.Errorf("%s says that plant is connected: %v, want ErrNotAuthorized", who, err)
		}
	}
	w.Publish(Identity{}, message(1, "$SYS/broker/connection//state=x"), func(err error) {
		if !errors.Is(err, ErrNotAuthorized) {
			t.Errorf("nobody says so: %v, want ErrNotAuthorized", err)
		}
	})
}
