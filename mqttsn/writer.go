package mqttsn

import (
	"encoding/binary"
	"math"
	"time"
)

// A writer appends a packet body field by field, the mirror of [reader]. It is
// passed by value, so that Append need not put one on the heap.
type writer struct {
	b   []byte
	err error  // first failure
	at  string // field of the first failure
}

func (w writer) fail(field string, err error) writer {
	if w.err == nil {
		w.err, w.at = err, field
	}
	return w
}

func (w writer) uint8(x uint8) writer {
	w.b = append(w.b, x)
	return w
}

func (w writer) uint16(x uint16) writer {
	w.b = binary.BigEndian.AppendUint16(w.b, x)
	return w
}

func (w writer) octets(p []byte) writer {
	w.b = append(w.b, p...)
	return w
}

// name writes octets that may not be none.
func (w writer) name(p []byte, field string) writer {
	if len(p) == 0 {
		return w.fail(field, ErrValue)
	}
	return w.octets(p)
}

// seconds writes a duration in two octets.
func (w writer) seconds(d time.Duration, field string) writer {
	s := d / time.Second
	if s < 0 || s > math.MaxUint16 || d%time.Second != 0 {
		return w.fail(field, ErrValue)
	}
	return w.uint16(uint16(s))
}
