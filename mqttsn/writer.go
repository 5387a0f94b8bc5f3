package mqttsn

import (
	"encoding/binary"
	"math"
	"time"
)

// A writer appends a packet body field by field, the mirror of [reader]. It is
// passed by value, so that Append need not put one on the heap, and has four
// words, so that it travels in registers.
type writer struct {
	b   []byte
	err *PacketError // names the first field whose value cannot be written
}

func (w writer) fail(field string) writer {
	if w.err == nil {
		w.err = &PacketError{Field: field, Err: ErrValue}
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
		return w.fail(field)
	}
	return w.octets(p)
}

// seconds writes a duration in two octets.
func (w writer) seconds(d time.Duration, field string) writer {
	s := d / time.Second
	if s < 0 || s > math.MaxUint16 || d%time.Second != 0 {
		return w.fail(field)
	}
	return w.uint16(uint16(s))
}
