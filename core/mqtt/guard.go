package mqtt

import (
	"io"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A guard stands before mochi's decoder. It lets a packet through only when
// all of it has come, so that nobody gets memory by announcing octets, and
// only if its outline is sound: a type that a client may send, in its place;
// lengths in as few octets as they need, within the packet and its limit; all
// parts of it there, and nothing more. It speaks of packets by
// packets.Code, the reason for a DISCONNECT.
type guard struct {
	from    io.Reader
	connect int // longest CONNECT, fixed header included
	limit   int // longest packet of any other type
	users   int // most user properties in one place

	// version is the protocol level that CONNECT asked for; zero before.
	version byte

	// bridge is whether CONNECT says so: it is another broker's.
	bridge bool

	// reason is the reason code of an MQTT 5 DISCONNECT, which mochi overlooks
	// if nothing follows it.
	reason byte

	// objection is what is wrong with a CONNECT that can be read, and so is
	// answered by CONNACK. Its Code is zero if there is nothing.
	objection packets.Code

	// Of the current packet.
	kind    byte
	id      uint16 // of a SUBSCRIBE or UNSUBSCRIBE, as is filters
	filters int

	packets, octets uint64 // read so far, for whoever sets them back

	buf    []byte // buf[at:] is not checked yet
	at     int
	passed []byte // of buf: checked, and still to be read
	filled bool   // buf was, by the last read, and is small
}

const (
	bufferMin  = 512     // octets for most clients' packets
	bufferKeep = 4 << 10 // a larger buffer does not outlive its packet
)

// bridgeBit, in the protocol level of 3.1 or 3.1.1, says that the client is
// another broker: Mosquitto's private extension, see try_private in
// mosquitto.conf(5).
const bridgeBit = 0x80

// Read reads of the current packet. It does not go on to the next one: when
// nothing is left it returns 0, nil.
func (g *guard) Read(p []byte) (int, error) {
	n := copy(p, g.passed)
	g.passed = g.passed[n:]
	return n, nil
}

// next waits for a whole packet and checks it. The one before it must have
// been read. Before it reads from the connection it calls wait.
func (g *guard) next(wait func() error) error {
	waited := false
	for {
		size, err := g.size()
		if err != nil {
			return err
		}
		if b := g.buf[g.at:]; size > 0 && size <= len(b) {
			g.at += size
			g.passed = b[:size]
			g.packets++
			return g.check(b[:size])
		}
		if !waited {
			waited = true
			if err := wait(); err != nil {
				return err
			}
		}
		if err := g.fill(); err != nil {
			return err
		}
	}
}

// left is how many octets are not checked yet.
func (g *guard) left() int { return len(g.buf) - g.at }

// fill reads what there is, behind what is not checked yet.
func (g *guard) fill() error {
	rest := len(g.buf) - g.at
	switch {
	case rest == 0 && cap(g.buf) > bufferKeep:
		g.buf = nil
	case g.at > 0:
		g.buf = g.buf[:copy(g.buf, g.buf[g.at:])]
	}
	switch {
	case rest == cap(g.buf):
		g.grow(max(2*rest, bufferMin))
	case g.filled && g.version != 0:
		g.grow(min(bufferKeep, 2*g.limit)) // there is more where this came from
	}
	g.at = 0
	n, err := g.from.Read(g.buf[rest:cap(g.buf)])
	g.buf = g.buf[:rest+n]
	g.filled = rest+n == cap(g.buf) && cap(g.buf) < bufferKeep
	g.octets += uint64(n)
	if n > 0 {
		return nil
	}
	return err
}

// keep has what is left in a buffer of its own, or none for nothing.
func (g *guard) keep() {
	rest := g.buf[g.at:]
	g.buf, g.at = nil, 0
	if len(rest) > 0 {
		g.buf = append(make([]byte, 0, max(2*len(rest), bufferMin)), rest...)
	}
}

// grow makes room for n octets.
func (g *guard) grow(n int) { g.buf = append(make([]byte, 0, n), g.buf...) }

// size returns the size of the next packet with its fixed header; zero if
// not enough of that has come.
func (g *guard) size() (int, error) {
	b := g.buf[g.at:]
	if len(b) == 0 {
		return 0, nil
	}
	limit := g.limit
	if g.version == 0 {
		limit = g.connect
	}
	if err := g.mayCome(b[0] >> 4); err != nil {
		return 0, err
	}
	remaining, n, err := length(b[1:])
	if n == 0 || err != nil {
		return 0, err
	}
	if 1+n+remaining > limit {
		return 0, packets.ErrPacketTooLarge
	}
	return 1 + n + remaining, nil
}

// mayCome says whether a client may send a packet of type t now: CONNECT
// first and once [MQTT-3.1.0-1] [MQTT-3.1.0-2], and nothing that only servers
// send. AUTH would take an authentication method, of which there is none.
func (g *guard) mayCome(t byte) error {
	switch t {
	case packets.Connect:
		if g.version != 0 {
			return packets.ErrProtocolViolationSecondConnect
		}
		return nil
	case packets.Publish, packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp,
		packets.Subscribe, packets.Unsubscribe, packets.Pingreq, packets.Disconnect:
		if g.version == 0 {
			return packets.ErrProtocolViolationRequireFirstConnect
		}
		return nil
	}
	return packets.ErrProtocolViolation
}

// length reads a variable byte integer, MQTT 5 §1.5.5: its value and how many
// octets it takes, zero if they have not all come.
func length(b []byte) (value, n int, err error) {
	for n = range min(len(b), 4) {
		value |= int(b[n]&0x7f) << (7 * n)
		if b[n]&0x80 != 0 {
			continue
		}
		if b[n] == 0 && n > 0 {
			return 0, 0, packets.ErrMalformedVariableByteInteger // [MQTT-1.5.5-1]
		}
		return value, n + 1, nil
	}
	if len(b) >= 4 {
		return 0, 0, packets.ErrMalformedVariableByteInteger
	}
	return 0, 0, nil
}

// check looks into a whole packet.
func (g *guard) check(packet []byte) error {
	_, n, _ := length(packet[1:])
	head := packet[0]
	o := outline{rest: packet[1+n:]}
	g.kind, g.filters = head>>4, 0
	switch g.kind {
	case packets.Connect:
		g.checkConnect(&o)
	case packets.Publish:
		o.field()
		if head&0x06 != 0 {
			o.skip(2) // Packet Identifier
		}
		g.checkProperties(&o)
		o.rest = nil // the payload
	case packets.Subscribe:
		g.checkRequest(&o)
		for ; len(o.rest) > 0; g.filters++ {
			o.field()
			if options := o.octet(); g.version == 5 && (options&0xc0 != 0 || options&0x30 == 0x30) { // reserved bits, Retain Handling 3
				o.fail(packets.ErrProtocolViolation) // [MQTT-3.8.3-5]
			}
		}
	case packets.Unsubscribe:
		g.checkRequest(&o)
		for ; len(o.rest) > 0; g.filters++ {
			o.field()
		}
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		o.skip(2)
		g.checkReason(&o)
	case packets.Disconnect:
		g.reason = g.checkReason(&o)
	}
	return o.end()
}

func (g *guard) checkConnect(o *outline) {
	o.field()
	if b := o.rest; len(b) > 0 && (b[0] == bridgeBit|3 || b[0] == bridgeBit|4) {
		g.bridge = true
		b[0] &^= bridgeBit // which mochi does not know
	}
	g.version = o.octet()
	if g.version > 5 {
		o.rest = nil // for mochi to refuse: what follows is not ours to know
		return
	}
	flags := o.octet()
	o.skip(2) // Keep Alive
	g.checkProperties(o)
	o.field() // Client Identifier
	if flags&0x04 != 0 {
		g.checkProperties(o)
		o.field() // Will Topic
		o.field() // Will Payload
	}
	if flags&0x80 != 0 {
		o.field() // User Name
	}
	if flags&0x40 != 0 {
		o.field() // Password
	}
}

// checkRequest checks what SUBSCRIBE and UNSUBSCRIBE begin with.
func (g *guard) checkRequest(o *outline) {
	if g.id = uint16(o.number(2)); g.id == 0 {
		o.fail(packets.ErrProtocolViolationNoPacketID) // [MQTT-2.2.1-3]
	}
	g.checkProperties(o)
}

// checkReason checks what MQTT 5 has at the end of an acknowledgement or a
// DISCONNECT, both optional: a reason code, which it returns, and properties.
func (g *guard) checkReason(o *outline) (reason byte) {
	if g.version == 5 && len(o.rest) > 0 {
		reason = o.octet()
		if len(o.rest) > 0 {
			g.checkProperties(o)
		}
	}
	return reason
}

// checkProperties checks the properties that MQTT 5 has here: within their
// section, not too many, and but for those of the user each there once,
// §2.2.2.2.
func (g *guard) checkProperties(o *outline) {
	if g.version != 5 {
		return
	}
	section := outline{rest: o.skip(o.integer())}
	var seen uint64
	users := 0
	for len(section.rest) > 0 {
		id := section.octet()
		once := uint64(1) << id
		switch value := section.property(id); {
		case id == packets.PropUser:
			if users++; users > g.users {
				g.object(&section, errUserProperties)
			}
		case seen&once != 0 || !mayBe(id, value):
			g.object(&section, packets.ErrProtocolViolation)
		}
		seen |= once
	}
	if section.err != nil {
		o.fail(section.err)
	}
}

// mayBe says whether a property may have this value, MQTT 5 §3.1.2.11 and
// §3.3.2.3.2.
func mayBe(id byte, value uint32) bool {
	switch id {
	case packets.PropReceiveMaximum, packets.PropMaximumPacketSize:
		return value > 0
	case packets.PropRequestProblemInfo, packets.PropRequestResponseInfo, packets.PropPayloadFormat:
		return value <= 1
	}
	return true
}

// object refuses the current packet, of whose outline o is what is left: a
// CONNECT by CONNACK, any other by the end of the connection.
func (g *guard) object(o *outline, code packets.Code) {
	if g.kind != packets.Connect {
		o.fail(code)
	} else if g.objection.Code == 0 {
		g.objection = code
	}
}
