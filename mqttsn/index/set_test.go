package index

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type named struct{ name string }

func newSet() *Set[named] { return NewSet(func(n *named) string { return n.name }) }

// TestSetIsAMap compares with a map while things come, are replaced and go, and
// go while they are yielded.
func TestSetIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, model := newSet(), map[string]*named{}
		names := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "name")) })
		drop := func(name string) {
			set.Drop(name)
			delete(model, name)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				for _, name := range rapid.SliceOfN(names, 1, 30).Draw(t, "names") {
					x := &named{name}
					set.Put(x)
					model[name] = x
				}
			},
			"drop": func(t *rapid.T) { drop(names.Draw(t, "who")) },
			"drop while walking": func(t *rapid.T) {
				leaves := rapid.SliceOf(names).Draw(t, "leaves")
				var met []string
				set.All(func(x *named) bool {
					met = append(met, x.name)
					if slices.Contains(leaves, x.name) {
						drop(x.name)
					}
					return true
				})
				if slices.Sort(met); len(slices.Compact(met)) != len(met) || len(met) < len(model) {
					t.Fatalf("%q were yielded, where %d stayed", met, len(model))
				}
			},
			"": func(t *rapid.T) {
				if set.Len() != len(model) {
					t.Fatalf("Len is %d, want %d", set.Len(), len(model))
				}
				for i := range 100 {
					if name := fmt.Sprint(i); set.Find(name) != model[name] {
						t.Fatalf("%q is %v, want %v", name, set.Find(name), model[name])
					}
				}
			},
		})
	})
}

// TestClashes: keys whose hashes are all the same, or lie at the table's end,
// are found, moved and dropped like others.
func TestClashes(t *testing.T) {
	for _, hashes := range [][]uint32{{7}, {15, 31, 14, 0, 1}, {1<<32 - 1, 0}} {
		var x Index
		there := map[int32]uint32{}
		check := func() {
			for slot := range int32(200) {
				hash, ok := there[slot]
				if !ok {
					hash = hashes[int(slot)%len(hashes)]
				}
				if slices.Contains(slices.Collect(x.At(hash)), slot) != ok {
					t.Fatalf("slot %d of hash %d is there: %v, want %v", slot, hash, !ok, ok)
				}
			}
			if x.Len() != len(there) {
				t.Fatalf("Len is %d, want %d", x.Len(), len(there))
			}
		}
		for slot := range int32(100) {
			there[slot] = hashes[int(slot)%len(hashes)]
			x.Add(there[slot], slot)
		}
		check()
		for slot := int32(0); slot < 100; slot += 3 {
			x.Move(there[slot], slot, slot+100)
			there[slot+100] = there[slot]
			delete(there, slot)
		}
		check()
		for slot, hash := range there {
			x.Drop(hash, slot)
			delete(there, slot)
			check()
		}
	}
}

// TestSetIsSmall adds up what a thing costs here at worst, just after the index
// has grown.
func TestSetIsSmall(t *testing.T) {
	const things = 1<<17*3/4 + 1
	all := make([]named, things)
	for i := range all {
		all[i].name = fmt.Sprint(i)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, set := heap(), newSet()
	for i := range all {
		set.Put(&all[i])
	}
	if each := (heap() - before) / things; each > 32 {
		t.Errorf("a thing takes %d octets, 32 at most are promised", each)
	}
	runtime.KeepAlive(set)
	runtime.KeepAlive(all)
}
