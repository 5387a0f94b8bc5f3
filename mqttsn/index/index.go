// Package index finds very many things by a key that each of them has itself
// already. A map would keep the key a second time, in memory that the garbage
// collector has to look through.
package index

import "iter"

// An Index leads from the hash of a key to slots: where in a slice of the
// caller's the thing may be that has the key. It is a hash table with linear
// probing, of a power of two places. The zero Index is empty.
//
// It takes 11 to 21 octets for each slot, without a pointer among them, and
// grows without reading the keys again. Beside a map from strings to pointers
// that is a third of the memory and half the time to fill.
type Index struct {
	places []place
	used   int
}

// A place has a slot, and its key's hash. Hashes have to be seeded, so that no
// choice of keys makes many fall together.
type place struct {
	hash uint32
	slot int32 // one more than the slot; 0: nothing is here
}

const smallest = 16 // places

// Len is the number of slots.
func (x *Index) Len() int { return x.used }

// home is where x looks first for what has a hash.
func (x *Index) home(hash uint32) int { return int(hash) & (len(x.places) - 1) }

// after is where x looks after i.
func (x *Index) after(i int) int { return (i + 1) & (len(x.places) - 1) }

// At yields the slots of keys with that hash, which are few: one of them, or
// none, has the key that the caller means.
func (x *Index) At(hash uint32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		if x.used == 0 {
			return
		}
		for i := x.home(hash); x.places[i].slot != 0; i = x.after(i) {
			if p := x.places[i]; p.hash == hash && !yield(p.slot-1) {
				return
			}
		}
	}
}

// Add has the slot be found by hash.
func (x *Index) Add(hash uint32, slot int32) {
	if x.used++; x.used*4 > len(x.places)*3 {
		x.grow()
	}
	x.put(place{hash, slot + 1})
}

// put adds p, for which there must be room.
func (x *Index) put(p place) {
	i := x.home(p.hash)
	for x.places[i].slot != 0 {
		i = x.after(i)
	}
	x.places[i] = p
}

func (x *Index) grow() {
	old := x.places
	x.places = make([]place, max(2*len(old), smallest))
	for _, p := range old {
		if p.slot != 0 {
			x.put(p)
		}
	}
}

// Move has what is found by hash be at another slot. It must be there.
func (x *Index) Move(hash uint32, from, to int32) {
	x.places[x.where(place{hash, from + 1})].slot = to + 1
}

// Drop undoes Add, and moves up what had to go past the place.
func (x *Index) Drop(hash uint32, slot int32) {
	free := x.where(place{hash, slot + 1})
	for i := x.after(free); x.places[i].slot != 0; i = x.after(i) {
		past := func(j int) int { return (i - j) & (len(x.places) - 1) } // how far i is past j
		if past(x.home(x.places[i].hash)) >= past(free) {
			x.places[free], free = x.places[i], i
		}
	}
	x.places[free] = place{}
	x.used--
}

// where is the place of p, which must be there.
func (x *Index) where(p place) int {
	i := x.home(p.hash)
	for x.places[i] != p {
		i = x.after(i)
	}
	return i
}
