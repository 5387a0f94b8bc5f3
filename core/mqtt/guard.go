package mqtt

import (
	"encoding/binary"
	"io"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A guard stands before mochi's decoder. It lets a packet through only when
// all of it has come, so that nobody gets memory by announcing octets, and
// only if its outline is sound: a type that a client may send, in its place;
// lengths in as few octets as they need, within the packet and its limit;
// options for every filter of a SUBSCRIBE. It speaks of packets by
// packets.Code, the reason for a DISCONNECT.
type guard struct {
	from    io.Reader
	connect int // longest CONNECT, fixed header included
	limit   int // longest packet of any other type

	// version is the protocol level that CONNECT asked for; zero before.
	version byte

	// reason is the reason code of an MQTT 5 DISCONNECT, which mochi overlooks
	// if nothing follows it.
	reason byte

	buf    []byte // buf[at:] is not checked yet
	at     int
	passed []byte // of buf: checked, and still to be read
}

const (
	bufferMin  = 512     // octets for most clients' packets
	bufferKeep = 4 << 10 // a larger buffer does not outlive its packet
)

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

// fill reads what there is, behind what is not checked yet.
func (g *guard) fill() error {
	rest := len(g.buf) - g.at
	switch {
	case rest == 0 && cap(g.buf) > bufferKeep:
		g.buf = nil
	case g.at > 0:
		g.buf = g.buf[:copy(g.buf, g.buf[g.at:])]
	}
	if rest == cap(g.buf) {
		g.buf = append(make([]byte, 0, max(2*rest, bufferMin)), g.buf...)
	}
	g.at = 0
	n, err := g.from.Read(g.buf[rest:cap(g.buf)])
	g.buf = g.buf[:rest+n]
	if n > 0 {
		return nil
	}
	return err
}

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
	head, body := packet[0], packet[1+n:]
	kind := head >> 4
	if kind == packets.Connect {
		name := field(body, 0)
		if name >= len(body) {
			return packets.ErrMalformedProtocolVersion
		}
		g.version = body[name]
	}
	end, err := g.afterProperties(head, body)
	if err != nil {
		return err
	}
	switch {
	case kind == packets.Subscribe:
		return g.checkFilters(body[end:])
	case kind == packets.Disconnect && g.version == 5 && len(body) > 0:
		g.reason = body[0]
	}
	return nil
}

// afterProperties returns where the payload begins, or the properties would
// if there were any.
func (g *guard) afterProperties(head byte, body []byte) (int, error) {
	at, optional := 0, false
	switch head >> 4 {
	case packets.Connect:
		at = field(body, 0) + 4 // Protocol Level, Connect Flags, Keep Alive
	case packets.Publish:
		at = field(body, 0)
		if head&0x06 != 0 {
			at += 2 // Packet Identifier
		}
	case packets.Subscribe, packets.Unsubscribe:
		at = 2
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		at, optional = 3, true
	case packets.Disconnect:
		at, optional = 1, true
	case packets.Pingreq:
		if len(body) > 0 {
			return 0, packets.ErrMalformedPacket
		}
		return 0, nil
	}
	switch {
	case optional && (g.version != 5 || at >= len(body)):
		return len(body), nil
	case at > len(body):
		return 0, packets.ErrMalformedPacket
	case g.version != 5:
		return at, nil
	}
	size, n, err := length(body[at:])
	if n == 0 || err != nil || at+n+size > len(body) {
		return 0, packets.ErrMalformedProperties
	}
	return at + n + size, nil
}

// checkFilters checks the payload of a SUBSCRIBE: filters, each with options.
func (g *guard) checkFilters(b []byte) error {
	for len(b) > 0 {
		n := field(b, 0)
		if n >= len(b) {
			return packets.ErrMalformedPacket
		}
		if g.version == 5 && (b[n]&0xc0 != 0 || b[n]&0x30 == 0x30) { // reserved bits, Retain Handling 3
			return packets.ErrProtocolViolation // [MQTT-3.8.3-5]
		}
		b = b[n+1:]
	}
	return nil
}

// field returns where the field ends that begins at at with its length in two
// octets: beyond b if that is not all there.
func field(b []byte, at int) int {
	if len(b) < at+2 {
		return len(b) + 1
	}
	return at + 2 + int(binary.BigEndian.Uint16(b[at:]))
}
