package mqttsn

// An Envelope is what a forwarder puts before a packet of a client that the
// gateway cannot hear itself, 1.2 §5.5.
type Envelope struct {
	Radius uint8  // 0 to 3 hops; only from gateway to forwarder
	Node   []byte // the forwarder's name for the client: 1 to 252 octets, opaque
}

// An envelope is how one version writes an Envelope. The reader goes in and
// out by value, so that Unwrap need not put one on the heap.
type envelope struct {
	begins func(b []byte) bool
	decode func(r reader) (Envelope, reader)
	append func(w writer, e Envelope) writer
}

// Encapsulated reports whether b, a datagram of version v, begins with an
// Envelope, be it well formed or not.
func Encapsulated(v Version, b []byte) bool {
	d := dialectOf(v)
	return d != nil && d.envelope.begins(b)
}

// Unwrap splits an encapsulated datagram into its Envelope and the packet's
// octets inside; both alias b. A forwarder does not forward another's
// envelope. The error, if any, is a *PacketError.
func Unwrap(v Version, b []byte) (e Envelope, inner []byte, err error) {
	d := dialectOf(v)
	if d == nil {
		return Envelope{}, nil, &PacketError{Version: v, Err: ErrVersion}
	}
	if !d.envelope.begins(b) {
		return Envelope{}, nil, &PacketError{Version: v, Err: ErrType}
	}
	e, r := d.envelope.decode(reader{b: b})
	if len(r.b) == 0 {
		r.fail("Message", ErrTruncated)
	}
	if d.envelope.begins(r.b) {
		r.fail("Message", ErrValue)
	}
	if r.err != nil {
		return Envelope{}, nil, &PacketError{Version: v, Field: r.at, Err: r.err}
	}
	return e, r.b, nil
}

// Wrap appends e to dst; the packet's octets are to follow. On error dst is
// returned unchanged and the error is a *PacketError.
func Wrap(dst []byte, v Version, e Envelope) ([]byte, error) {
	d := dialectOf(v)
	if d == nil {
		return dst, &PacketError{Version: v, Err: ErrVersion}
	}
	w := d.envelope.append(writer{b: dst}, e)
	if w.err != nil {
		w.err.Version = v
		return dst, w.err
	}
	return w.b, nil
}
