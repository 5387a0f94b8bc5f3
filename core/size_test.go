package core

import (
	"testing"
	"unsafe"
)

// TestSessionIsSmall: there are a million of each, and their sizes are such that
// the allocator wastes nothing of its room.
func TestSessionIsSmall(t *testing.T) {
	if c, s := unsafe.Sizeof(client{}), unsafe.Sizeof(Session{}); c > 112 || s > 80 {
		t.Errorf("a client has %d octets, 112 at most are promised; its attachment has %d of 80", c, s)
	}
}
