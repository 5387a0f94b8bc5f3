package index

import (
	"hash/maphash"
	"slices"
)

// A Set holds things by their names, which they know themselves and do not
// change while they are in it. It takes 19 to 31 octets for each. Use [NewSet].
type Set[T any] struct {
	name  func(*T) string
	index Index
	all   []*T
}

// NewSet returns an empty Set of things that have a name.
func NewSet[T any](name func(*T) string) *Set[T] { return &Set[T]{name: name} }

var seed = maphash.MakeSeed()

// Hash condenses a key.
func Hash(key string) uint32 { return uint32(maphash.String(seed, key)) }

// Len is how many there are.
func (s *Set[T]) Len() int { return len(s.all) }

// Find returns the one with that name, or nil.
func (s *Set[T]) Find(name string) *T {
	if slot := s.slot(Hash(name), name); slot >= 0 {
		return s.all[slot]
	}
	return nil
}

// slot is where in all the one with that name is, or -1.
func (s *Set[T]) slot(hash uint32, name string) int32 {
	for slot := range s.index.At(hash) {
		if s.name(s.all[slot]) == name {
			return slot
		}
	}
	return -1
}

// Put adds x, in place of any that has its name.
func (s *Set[T]) Put(x *T) {
	name := s.name(x)
	hash := Hash(name)
	if slot := s.slot(hash, name); slot >= 0 {
		s.all[slot] = x
		return
	}
	s.index.Add(hash, int32(len(s.all)))
	s.all = append(s.all, x)
}

// Drop removes the one with that name, if there is one. The last takes its
// slot.
func (s *Set[T]) Drop(name string) {
	hash := Hash(name)
	slot := s.slot(hash, name)
	if slot < 0 {
		return
	}
	s.index.Drop(hash, slot)
	last := int32(len(s.all) - 1)
	if slot != last {
		s.all[slot] = s.all[last]
		s.index.Move(Hash(s.name(s.all[slot])), last, slot)
	}
	s.all[last] = nil
	s.all = s.all[:last]
}

// All yields each, in no particular order. Those it has yielded may be dropped
// meanwhile.
func (s *Set[T]) All(yield func(*T) bool) {
	for _, x := range slices.Backward(s.all) {
		if !yield(x) {
			return
		}
	}
}
