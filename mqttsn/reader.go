package mqttsn

import (
	"encoding/binary"
	"time"
)

// A reader consumes a packet body front to back. The first failure sticks:
// later reads return zero values, so a decode function reads straight down
// the specification's table and never returns early.
type reader struct {
	b   []byte
	err error  // first failure
	at  string // field of the first failure
}

func (r *reader) fail(field string, err error) {
	if r.err == nil {
		r.err, r.at = err, field
	}
	r.b = nil
}

// take returns the next n octets, or nil if there are fewer. It aliases the
// datagram.
func (r *reader) take(n int, field string) []byte {
	if len(r.b) < n {
		r.fail(field, ErrTruncated)
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) uint8(field string) uint8 {
	if p := r.take(1, field); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uint16(field string) uint16 {
	if p := r.take(2, field); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

// seconds reads a duration of two octets.
func (r *reader) seconds(field string) time.Duration {
	return time.Duration(r.uint16(field)) * time.Second
}

// name reads n octets that may not be none.
func (r *reader) name(n int, field string) []byte {
	if n <= 0 {
		r.fail(field, ErrTruncated)
		return nil
	}
	return r.take(n, field)
}

// rest returns what is left, or nil if nothing is. It aliases the datagram.
func (r *reader) rest() []byte {
	if len(r.b) == 0 {
		return nil
	}
	return r.take(len(r.b), "")
}
