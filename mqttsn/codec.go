package mqttsn

// A Decoder decodes without allocating: it holds one packet of each type and
// hands out the same one again. The zero Decoder is ready to use. It is not
// safe for concurrent use.
type Decoder struct{}

// Decode parses one datagram as a packet of version v. The packet is valid
// until the next call, and its slices alias b. The error, if any, is a
// *PacketError.
func (d *Decoder) Decode(v Version, b []byte) (Packet, error) { panic("stub") }

// Decode parses one datagram as a packet of version v. The packet's slices
// alias b. The error, if any, is a *PacketError.
func Decode(v Version, b []byte) (Packet, error) { return new(Decoder).Decode(v, b) }

// Append appends the datagram for p in version v to dst, in the shortest form.
// On error dst is returned unchanged and the error is a *PacketError.
func Append(dst []byte, v Version, p Packet) ([]byte, error) { panic("stub") }

// An Envelope is what a forwarder puts before a packet of a client that the
// gateway cannot hear itself, 1.2 §5.5.
type Envelope struct {
	Radius uint8  // 0 to 3 hops; only from gateway to forwarder
	Node   []byte // the forwarder's name for the client: 1 to 252 octets, opaque
}

// Encapsulated reports whether b, a datagram of version v, begins with an
// Envelope.
func Encapsulated(v Version, b []byte) bool { panic("stub") }

// Unwrap splits an encapsulated datagram into its Envelope and the packet's
// octets inside; both alias b. The error, if any, is a *PacketError.
func Unwrap(v Version, b []byte) (e Envelope, inner []byte, err error) { panic("stub") }

// Wrap appends e to dst; the packet's octets are to follow.
func Wrap(dst []byte, v Version, e Envelope) ([]byte, error) { panic("stub") }
