package wheel

import "math/bits"

// A bitmap remembers which slots of a level are in use, so that Advance need
// not look at those that are not.
type bitmap [slots / 64]uint64

func (b *bitmap) set(i int)   { b[i/64] |= 1 << (i % 64) }
func (b *bitmap) clear(i int) { b[i/64] &^= 1 << (i % 64) }

// next returns the first member at or after i.
func (b *bitmap) next(i int) (int, bool) {
	for word := i / 64; word < len(b); word++ {
		rest := b[word]
		if word == i/64 {
			rest &= ^uint64(0) << (i % 64)
		}
		if rest != 0 {
			return word*64 + bits.TrailingZeros64(rest), true
		}
	}
	return 0, false
}
