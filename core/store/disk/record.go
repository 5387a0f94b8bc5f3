package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"dormouse/core/store"
)

// recordVersion begins each value. A store with a higher one is newer than us.
const recordVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Why a record cannot be read.
var (
	errShort    = errors.New("record is too short")
	errChecksum = errors.New("checksum does not match")
	errVersion  = errors.New("record is of another version")
	errValue    = errors.New("value not allowed")
	errLong     = errors.New("record goes on after its end")
	errKey      = errors.New("no such kind of key")
	errMissing  = errors.New("it is missing, but what is there needs it")
	errOrphan   = errors.New("nobody holds the message")
	errQuit     = errors.New("nobody reads on") // never shown
)

// A DamageError is a record that cannot be read, or what contradicts another.
type DamageError struct {
	Record string // such as "message 7"
	Err    error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("the store is damaged: %s: %v", e.Record, e.Err)
}
func (e *DamageError) Unwrap() error { return e.Err }

func damaged(key []byte, err error) error { return &DamageError{keyName(key), err} }

// seal makes a record of what body appends, for the place named by key:
//
//	Version(1) Body Checksum(4, CRC-32C of the key and all that is before)
func seal(dst, key []byte, body func([]byte) []byte) []byte {
	start := len(dst)
	dst = body(append(dst, recordVersion))
	return binary.LittleEndian.AppendUint32(dst, checksum(key, dst[start:]))
}

func checksum(key, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b)
}

// A reader reads the body of a record from the front. It remembers the first
// failure and gives zeros from then on.
type reader struct {
	b   []byte
	err error
}

// unseal is a reader of the body of the record at key.
func unseal(key, value []byte) reader {
	n := len(value) - 4
	switch {
	case n < 1:
		return reader{err: errShort}
	case binary.LittleEndian.Uint32(value[n:]) != checksum(key, value[:n]):
		return reader{err: errChecksum}
	case value[0] != recordVersion:
		return reader{err: fmt.Errorf("%w: %d, not %d", errVersion, value[0], recordVersion)}
	}
	return reader{b: value[1:n]}
}

// end is the verdict on the record at key, once all of it is read.
func (r *reader) end(key []byte) error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errLong
	}
	if r.err != nil {
		return damaged(key, r.err)
	}
	return nil
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) octet() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

// flags is an octet in which only some bits may be set.
func (r *reader) flags(allowed byte) byte {
	f := r.octet()
	if f&^allowed != 0 {
		r.fail(errValue)
		return 0
	}
	return f
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uint()
	if v > 1<<32-1 {
		r.fail(errValue)
	}
	return uint32(v)
}

func (r *reader) qos(v byte) store.QoS {
	if v > 2 {
		r.fail(errValue)
		return 0
	}
	return store.QoS(v)
}

// octets is a length and so many octets, which are still the record's.
func (r *reader) octets() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) string() string { return string(r.octets()) }

func (r *reader) time() time.Time {
	seconds, nanos := r.int(), r.uint()
	if nanos >= uint64(time.Second) {
		r.fail(errValue)
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

func appendOctets[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendTime(dst []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(dst, t.Unix()), uint64(t.Nanosecond()))
}

// bit is b if that is so.
func bit(is bool, b byte) byte {
	if is {
		return b
	}
	return 0
}

// Flags of a Message; the two lowest bits are its QoS.
const (
	messageQoS        = 3
	messageRetain     = 4
	messageExpires    = 8
	messageProperties = 16
	messageTaken      = 32
)

// appendMessage appends a Message:
//
//	Flags(1) Topic Payload Publisher [Expires] [Properties] [Taken]
func appendMessage(dst []byte, m *store.Message) []byte {
	dst = append(dst, byte(m.QoS)|bit(m.Retain, messageRetain)|
		bit(!m.Expires.IsZero(), messageExpires)|bit(m.Properties != nil, messageProperties)|
		bit(m.Taken != 0, messageTaken))
	dst = appendOctets(dst, m.Topic)
	dst = appendOctets(dst, m.Payload)
	dst = appendOctets(dst, m.Publisher)
	if !m.Expires.IsZero() {
		dst = appendTime(dst, m.Expires)
	}
	if m.Properties != nil {
		dst = appendProperties(dst, m.Properties)
	}
	if m.Taken != 0 {
		dst = binary.AppendVarint(dst, m.Taken)
	}
	return dst
}

func (r *reader) message() (m store.Message) {
	f := r.flags(messageQoS | messageRetain | messageExpires | messageProperties | messageTaken)
	m.QoS, m.Retain = r.qos(f&messageQoS), f&messageRetain != 0
	m.Topic = r.string()
	m.Payload = slices.Clone(r.octets())
	m.Publisher = r.string()
	if f&messageExpires != 0 {
		m.Expires = r.time()
	}
	if f&messageProperties != 0 {
		m.Properties = r.properties()
	}
	if f&messageTaken != 0 {
		m.Taken = r.int()
	}
	return m
}

// Flags of Properties: which of those are there that may be there and empty.
const (
	propertiesFormat      = 1
	propertiesCorrelation = 2
)

// appendProperties appends Properties:
//
//	Flags(1) [Payload Format(1)] Content Type, Response Topic, [Correlation Data], number of User Properties, each Key, Value
func appendProperties(dst []byte, p *store.Properties) []byte {
	dst = append(dst, bit(p.PayloadFormat != nil, propertiesFormat)|bit(p.CorrelationData != nil, propertiesCorrelation))
	if p.PayloadFormat != nil {
		dst = append(dst, *p.PayloadFormat)
	}
	dst = appendOctets(dst, p.ContentType)
	dst = appendOctets(dst, p.ResponseTopic)
	if p.CorrelationData != nil {
		dst = appendOctets(dst, p.CorrelationData)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.User)))
	for _, u := range p.User {
		dst = appendOctets(dst, u.Key)
		dst = appendOctets(dst, u.Value)
	}
	return dst
}

func (r *reader) properties() *store.Properties {
	p := new(store.Properties)
	f := r.flags(propertiesFormat | propertiesCorrelation)
	if f&propertiesFormat != 0 {
		b := r.octet()
		p.PayloadFormat = &b
	}
	p.ContentType, p.ResponseTopic = r.string(), r.string()
	if f&propertiesCorrelation != 0 {
		p.CorrelationData = append([]byte{}, r.octets()...)
	}
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		p.User = append(p.User, store.UserProperty{Key: r.string(), Value: r.string()})
	}
	return p
}
