package payload

import (
	"encoding/binary"

	"dormouse/sim/chance"
)

// unit maps a word to a number from -1 to 1.
func unit(x uint64) float64 { return float64(x>>11)/(1<<52) - 1 }

// noise is the first word of the noise of a message; the next ones follow
// golden by golden. Messages with different tags have different noise.
func (t Tag) noise() uint64 {
	return chance.Mix(chance.Mix(uint64(t.Device)<<8|uint64(t.Stream)) ^ uint64(t.Sequence))
}

// appendNoise appends n octets of noise, none if n is not above 0.
func appendNoise(b []byte, t Tag, n int) []byte {
	key := t.noise()
	for ; n >= 8; n -= 8 {
		b = binary.LittleEndian.AppendUint64(b, chance.Mix(key))
		key += chance.Golden
	}
	if n > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], chance.Mix(key))
		b = append(b, last[:n]...)
	}
	return b
}

// letters need no escape in JSON.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// appendLetters appends noise of n letters.
func appendLetters(b []byte, t Tag, n int) []byte {
	key := t.noise()
	for n > 0 {
		for x, i := chance.Mix(key), 0; i < 10 && n > 0; i++ {
			b = append(b, letters[x&63])
			x >>= 6
			n--
		}
		key += chance.Golden
	}
	return b
}
