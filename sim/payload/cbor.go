package payload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
)

// The major types that our messages in CBOR begin with, RFC 8949 §3.1.
const (
	majorArray = 4
	majorMap   = 5
)

// message is what stands in a message in CBOR. Noise comes last, and the check
// over all that is before it is its last four octets.
type message struct {
	Device   uint32  `cbor:"1,keyasint"`
	Stream   uint8   `cbor:"2,keyasint"`
	Sequence uint32  `cbor:"3,keyasint"`
	At       float64 `cbor:"4,keyasint"` // seconds
	Value    any     `cbor:"5,keyasint"` // a float32, or a float64
	Noise    []byte  `cbor:"6,keyasint"`
}

// record is one of SenML, with the labels of RFC 8428 §6.
type record struct {
	BaseName string  `cbor:"-2,keyasint,omitempty"`
	BaseTime float64 `cbor:"-3,keyasint,omitempty"`
	Name     string  `cbor:"0,keyasint"`
	Unit     string  `cbor:"1,keyasint,omitempty"`
	Value    any     `cbor:"2,keyasint,omitempty"`
	Data     []byte  `cbor:"8,keyasint,omitempty"`
}

const checkSize = 4

var (
	cborEnc = must(cbor.EncOptions{}.UserBufferEncMode())
	cborDec = must(cbor.DecOptions{
		DupMapKey:   cbor.DupMapKeyEnforcedAPF,
		IndefLength: cbor.IndefLengthForbidden,
		TagsMd:      cbor.TagsForbidden,
	}.DecMode())
)

// must is for options that are known to be good.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("payload: %v", err))
	}
	return v
}

// appendCBOR says r in as many octets as c asks for.
func (c Config) appendCBOR(b []byte, r Reading) []byte {
	start := len(b)
	n, value := checkSize, any(single(r.Value))
	if c.Size != 0 {
		rest := len(c.encode(nil, r, value, checkSize)) - 1 - checkSize
		var ok bool
		if n, ok = stringOf(c.Size - rest); !ok {
			// No string takes just so many octets. In double precision the
			// value is four octets longer.
			value = float64(single(r.Value))
			n, _ = stringOf(c.Size - rest - 4)
		}
	}
	b = c.encode(b, r, value, max(n, checkSize))
	body := len(b) - checkSize
	binary.BigEndian.PutUint32(b[body:], check(b[start:body]))
	return b
}

// encode appends r with a string of noise at the end.
func (c Config) encode(b []byte, r Reading, value any, noise int) []byte {
	n := appendNoise(make([]byte, 0, noise), r.Tag, noise)
	var m any
	if c.Format == CBOR {
		m = message{r.Tag.Device, r.Tag.Stream, r.Tag.Sequence, r.At.Seconds(), value, n}
	} else {
		m = []record{
			{BaseName: string(appendURN(nil, r.Tag)), BaseTime: (epoch + r.At).Seconds(),
				Name: "seq", Unit: "count", Value: r.Tag.Sequence},
			{Name: "temperature", Unit: "Cel", Value: value},
			{Name: "noise", Data: n},
		}
	}
	buf := bytes.NewBuffer(b)
	must(m, cborEnc.MarshalToBuffer(m, buf))
	return buf.Bytes()
}

// stringOf returns the length of the string of octets that takes n octets with
// its head of 1, 2 or 3, RFC 8949 §3. There is none for n = 25 and 258.
func stringOf(n int) (length int, ok bool) {
	switch {
	case n <= 1+23:
		return n - 1, true
	case n <= 2+math.MaxUint8:
		return n - 2, n != 25
	}
	return n - 3, n != 3+math.MaxUint8
}

func parseCBOR(b []byte) (Tag, bool) {
	body := len(b) - checkSize
	if body < 0 || binary.BigEndian.Uint32(b[body:]) != check(b[:body]) {
		return Tag{}, false
	}
	if b[0]>>5 == majorMap {
		var m message
		if cborDec.Unmarshal(b, &m) != nil {
			return Tag{}, false
		}
		return Tag{m.Device, m.Stream, m.Sequence}, true
	}
	var m []record
	if cborDec.Unmarshal(b, &m) != nil || len(m) != 3 {
		return Tag{}, false
	}
	t, ok := parseURN(m[0].BaseName)
	seq, isUint := m[0].Value.(uint64)
	if !ok || !isUint || seq > math.MaxUint32 {
		return Tag{}, false
	}
	t.Sequence = uint32(seq)
	return t, true
}
