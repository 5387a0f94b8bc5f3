package mqttsn

import (
	"encoding/binary"
	"math"
)

// A layout is how one version writes one type of packet.
type layout struct {
	octet  byte // the type on the wire
	typ    Type
	new    func() Packet
	decode func(*reader, Packet)
	append func(writer, Packet) writer
}

// lay makes a layout out of a pair of functions that know their packet's type.
func lay[P interface {
	*S
	Packet
}, S any](octet byte, decode func(*reader, P), encode func(writer, P) writer) layout {
	return layout{
		octet: octet,
		typ:   P(nil).Type(),
		new:   func() Packet { return P(new(S)) },
		decode: func(r *reader, p Packet) {
			*p.(P) = *new(S)
			decode(r, p.(P))
		},
		append: func(w writer, p Packet) writer { return encode(w, p.(P)) },
	}
}

// A dialect is everything that the codec knows of one version.
type dialect struct {
	byOctet  [256]*layout
	byType   [NumTypes]*layout
	envelope envelope
}

func newDialect(e envelope, layouts ...layout) *dialect {
	d := &dialect{envelope: e}
	for i := range layouts {
		l := &layouts[i]
		d.byOctet[l.octet], d.byType[l.typ] = l, l
	}
	return d
}

var dialects = [...]*dialect{V12: v12}

// dialectOf returns nil for a version that is none.
func dialectOf(v Version) *dialect {
	if int(v) < len(dialects) {
		return dialects[v]
	}
	return nil
}

// A Decoder decodes without allocating: it holds one packet of each type it
// has met and hands out the same one again. The zero Decoder is ready to use.
// It is not safe for concurrent use.
type Decoder struct {
	packets [NumTypes]Packet
	r       reader // here, because an indirect call would move it to the heap
}

// Decode parses one datagram as a packet of version v. The packet is valid
// until the next call, and its slices alias b; one that would be empty is nil.
// The error, if any, is a *PacketError.
func (d *Decoder) Decode(v Version, b []byte) (Packet, error) {
	dialect := dialectOf(v)
	if dialect == nil {
		return nil, &PacketError{Version: v, Err: ErrVersion}
	}
	octet, body, err := header(b)
	if err != nil {
		return nil, &PacketError{Version: v, Err: err}
	}
	l := dialect.byOctet[octet]
	if l == nil {
		return nil, &PacketError{Version: v, Err: ErrType}
	}
	p := d.packets[l.typ]
	if p == nil {
		p = l.new()
		d.packets[l.typ] = p
	}
	d.r = reader{b: body}
	l.decode(&d.r, p)
	if len(d.r.b) != 0 {
		d.r.fail("", ErrLength) // more than this type has room for
	}
	if d.r.err != nil {
		return nil, &PacketError{Version: v, Type: l.typ, Field: d.r.at, Err: d.r.err}
	}
	return p, nil
}

// Decode parses one datagram as a packet of version v. The packet's slices
// alias b; one that would be empty is nil. The error, if any, is a *PacketError.
func Decode(v Version, b []byte) (Packet, error) { return new(Decoder).Decode(v, b) }

// Append appends the datagram for p in version v to dst, in the shortest form.
// On error dst is returned unchanged and the error is a *PacketError.
func Append(dst []byte, v Version, p Packet) ([]byte, error) {
	dialect := dialectOf(v)
	if dialect == nil || dialect.byType[p.Type()] == nil {
		return dst, &PacketError{Version: v, Type: p.Type(), Err: ErrVersion}
	}
	l := dialect.byType[p.Type()]
	w := l.append(writer{b: append(dst, 0, l.octet)}, p)
	if w.err != nil {
		w.err.Version, w.err.Type = v, l.typ
		return dst, w.err
	}
	b, ok := setLength(w.b, len(dst))
	if !ok {
		return dst, &PacketError{Version: v, Type: l.typ, Field: "Length", Err: ErrValue}
	}
	return b, nil
}

// The two forms of header: Length(1) MsgType(1), and 0x01 Length(2) MsgType(1).
const (
	shortHeader = 2
	longHeader  = 4
	longMark    = 1
)

// header splits a datagram into its type octet and body. Both forms of header
// are accepted for every length, and Length must be that of the whole
// datagram, 1.2 §5.2.1.
func header(b []byte) (octet byte, body []byte, err error) {
	size := shortHeader
	if len(b) > 0 && b[0] == longMark {
		size = longHeader
	}
	if len(b) < size {
		return 0, nil, ErrTruncated
	}
	length := int(b[0])
	if size == longHeader {
		length = int(binary.BigEndian.Uint16(b[1:]))
		if length == 255 && len(b) == 257 {
			length = 257 // Paho's C library counts as if this header were short
		}
	}
	if length != len(b) {
		return 0, nil, ErrLength
	}
	return b[size-1], b[size:], nil
}

// setLength completes the packet that begins at b[start:] with a short header,
// lengthening the header if it must. It reports whether the packet is one that
// a header can tell the length of.
func setLength(b []byte, start int) ([]byte, bool) {
	n := len(b) - start
	if n <= math.MaxUint8 {
		b[start] = byte(n)
		return b, true
	}
	n += longHeader - shortHeader
	if n > math.MaxUint16 {
		return nil, false
	}
	b = append(b, 0, 0)
	copy(b[start+3:], b[start+1:])
	b[start] = longMark
	binary.BigEndian.PutUint16(b[start+1:], uint16(n))
	return b, true
}
