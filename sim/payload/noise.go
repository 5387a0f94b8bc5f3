package payload

import "encoding/binary"

// golden is 2⁶⁴ divided by the golden ratio, the step of SplitMix64.
const golden = 0x9e3779b97f4a7c15

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit maps a word to a number from -1 to 1.
func unit(x uint64) float64 { return float64(x>>11)/(1<<52) - 1 }

// noise is the first word of the noise of a message; the next ones follow
// golden by golden. Messages with different tags have different noise.
func (t Tag) noise() uint64 {
	return mix(mix(uint64(t.Device)<<8|uint64(t.Stream)) ^ uint64(t.Sequence))
}

// appendNoise appends n octets of noise, none if n is not above 0.
func appendNoise(b []byte, t Tag, n int) []byte {
	key := t.noise()
	for ; n >= 8; n -= 8 {
		b = binary.LittleEndian.AppendUint64(b, mix(key))
		key += golden
	}
	if n > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], mix(key))
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
		for x, i := mix(key), 0; i < 10 && n > 0; i++ {
			b = append(b, letters[x&63])
			x >>= 6
			n--
		}
		key += golden
	}
	return b
}
