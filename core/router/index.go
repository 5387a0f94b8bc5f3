package router

import "hash/maphash"

// An index finds the children of a node by their level: a hash table with
// linear probing, of a power of two entries. Beside a map it takes a third of
// the memory and half the time to fill, for it grows without reading the
// levels again: what a start with a million topics below one node is made of.
type index []indexed

// An indexed is the place of a child. Its hash is seeded: no choice of topics
// makes many fall together.
type indexed struct {
	hash uint32
	slot int32 // one more than the child's; 0: nothing is here
}

// few is how many children need no index.
const few = 4

var seed = maphash.MakeSeed()

func indexOf(level string, slot int32) indexed {
	return indexed{uint32(maphash.String(seed, level)), slot + 1}
}

// home is where x looks first for what has a hash.
func (x index) home(hash uint32) int { return int(hash) & (len(x) - 1) }

// after is where x looks after i.
func (x index) after(i int) int { return (i + 1) & (len(x) - 1) }

// put adds e, for which there must be room.
func (x index) put(e indexed) {
	i := x.home(e.hash)
	for x[i].slot != 0 {
		i = x.after(i)
	}
	x[i] = e
}

// grown is x with room for n, which fill three quarters of it at most.
func (x index) grown(n int) index {
	if n*4 <= len(x)*3 {
		return x
	}
	twice := make(index, max(2*len(x), 4*few))
	for _, e := range x {
		if e.slot != 0 {
			twice.put(e)
		}
	}
	return twice
}

// remove takes out e, which must be there, and moves up what had to go past it.
func (x index) remove(e indexed) {
	free := x.home(e.hash)
	for x[free] != e {
		free = x.after(free)
	}
	for i := x.after(free); x[i].slot != 0; i = x.after(i) {
		past := func(j int) int { return (i - j) & (len(x) - 1) } // how far i is past j
		if past(x.home(x[i].hash)) >= past(free) {
			x[free], free = x[i], i
		}
	}
	x[free] = indexed{}
}
