package disk

import (
	"strconv"
	"testing"
)

// TestRecents: who is asked for again and again is known for as long, however
// many others come, of whom no more than so many are.
func TestRecents(t *testing.T) {
	var r recents
	r.set("often", 0)
	for i := range uint64(10 * maxRecent) {
		at := r.find("often")
		if at == nil || *at != i {
			t.Fatalf("after %d others: %v", i, at)
		}
		r.set("often", i+1)
		r.set(strconv.FormatUint(i, 10), i)
		if n := len(r.young) + len(r.old); n > 2*maxRecent {
			t.Fatalf("%d topics after %d", n, i)
		}
	}
	r.forget("often")
	if r.find("often") != nil {
		t.Error("still there")
	}
}
