package mqtt

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

const (
	chunk    = 16 << 10 // octets to a write, at least a batch of messages
	outLimit = 64 << 10 // octets of answers that a client may leave unread
	turns    = 8        // parcels that a client gets from others' goroutines at a time
)

// A parcel is what is on its way to one socket.
type parcel struct {
	bytes.Buffer              // answers, then messages; read as the socket takes them
	messages     bytes.Buffer // while they are pulled
	last         bool         // nothing is to follow
	waited       bool         // for the socket, and so left a deadline there

	attempt func(fd uintptr) bool // write, made once
	err     error                 // of write
}

var parcels = sync.Pool{New: func() any {
	p := new(parcel)
	p.attempt = p.write
	return p
}}

// free gives an empty parcel back.
func (p *parcel) free() {
	if p.Cap() > 4*chunk || p.messages.Cap() > 4*chunk {
		return
	}
	p.last, p.waited = false, false
	parcels.Put(p)
}

// write writes what the socket takes at once.
func (p *parcel) write(fd uintptr) bool {
	var n int
	n, p.err = writeNow(fd, p.Bytes())
	p.Next(max(n, 0))
	return true
}

// wake has someone send, if there is something to send and nobody does. It
// follows whatever may give reason to; the caller holds mu.
func (c *conn) wake() {
	if !c.sending && c.due() {
		c.sending = true
		c.server.carrier.add(c)
	}
}

// due reports whether there is something to send. While the client can be
// sent no message of QoS 1 and 2, QoS 0 waits too: the queue has one order.
// The caller holds mu.
func (c *conn) due() bool {
	return c.out.Len() > 0 || c.parting || c.open && c.mail && c.flying < c.window
}

// send sends until nothing is left to be sent, many packets at a time. Only one
// call does so at a time: who finds sending unset and sets it. Unless it may
// wait for the socket, it leaves what that does not take at once to a goroutine
// of the client's own.
func (c *conn) send(p *parcel, wait bool) {
	for turn := 0; p.Len() > 0 || c.pack(p); turn++ {
		var err error
		switch {
		case wait:
			err = c.put(p)
		case turn < turns:
			err = c.try(p)
		}
		if err != nil || p.last && p.Len() == 0 {
			c.sent(err)
			return
		}
		if !wait && p.Len() > 0 {
			go c.send(p, true)
			return
		}
	}
	p.free()
}

// sent ends all sending.
func (c *conn) sent(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.part(packets.ErrPendingClientWritesExceeded)
	}
	c.part(packets.CodeDisconnect)
	close(c.written)
}

// pack puts what there is into p, which is empty. The answers that wait go
// ahead of the messages, and are taken after them: what core answers before it
// lets a message be had, the client gets before that message. With nothing to
// send it ends the call of send, and reports false.
func (c *conn) pack(p *parcel) bool {
	p.Reset()
	c.mu.Lock()
	if !c.due() {
		c.sending = false
		if p.waited && c.raw != nil {
			c.socket.SetWriteDeadline(time.Time{}) // not for try to find it passed
		}
		c.mu.Unlock()
		return false
	}
	room := c.window - c.flying
	pull := c.open && c.mail && !c.parting && room > 0
	if pull {
		c.mail = false
	}
	c.mu.Unlock()
	var packed uint64
	flying, more := 0, false
	if pull {
		packed, flying, more = c.pull(&p.messages, room)
	}

	c.mu.Lock()
	p.Write(c.out.Bytes())
	if c.out.Reset(); c.out.Cap() > bufferMin {
		c.out = bytes.Buffer{}
	}
	packed, c.queued = packed+c.queued, 0
	c.mail = c.mail || more
	c.flying += flying
	p.last = c.parting
	c.mu.Unlock()
	if !p.last { // nothing may follow DISCONNECT
		p.Write(p.messages.Bytes())
	}
	p.messages.Reset()
	c.server.sent.packets.Add(packed)
	return true
}

// try writes what the socket takes at once, if it can be asked to. What it
// leaves is for put.
func (c *conn) try(p *parcel) error {
	if c.raw == nil || p.Len() == 0 {
		return nil
	}
	before := p.Len()
	err := c.raw.Write(p.attempt)
	if err == nil {
		err = p.err
	}
	c.server.sent.bytes.Add(uint64(before - p.Len()))
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// put writes p. The client has WriteTimeout for each chunk; once the connection
// is parting, linger for all.
func (c *conn) put(p *parcel) error {
	p.waited = true
	for p.Len() > 0 {
		c.mayWrite()
		n, err := c.stream.Write(p.Bytes()[:min(p.Len(), chunk)])
		p.Next(n)
		c.server.sent.bytes.Add(uint64(n))
		if err != nil {
			return err
		}
	}
	return nil
}

// pull puts messages into batch, room of QoS 1 and 2 at most, and returns how
// many packets that are, how many of those the client is to acknowledge, and
// whether there may be more.
func (c *conn) pull(batch *bytes.Buffer, room int) (packed uint64, sent int, more bool) {
	var pk packets.Packet
	for batch.Len() < chunk && sent < room {
		d, ok := c.session.Next()
		if !ok {
			return packed, sent, false
		}
		packed++
		if d.Released {
			c.encode(batch, &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: d.ID})
			sent++
			continue
		}
		c.publication(&pk, &d)
		if !c.spell(batch, &pk) {
			packed--
			// To the client it is as if it had been sent [MQTT-3.1.2-25].
			c.server.tooLarge.Add(1)
			if d.QoS > 0 {
				c.session.Ack(d.ID)
			}
			continue
		}
		if d.QoS > 0 {
			sent++
		}
	}
	return packed, sent, true
}

// spell appends a PUBLISH to batch, with an alias for its topic if there can
// be one. It reports whether the client takes so long a packet: if not, batch
// is as before, and no alias was given.
func (c *conn) spell(batch *bytes.Buffer, pk *packets.Packet) bool {
	topic, from := pk.TopicName, batch.Len()
	alias, fresh := c.shorthand.shorten(pk)
	c.encode(batch, pk)
	if fresh && c.tooLong(batch.Len()-from) { // perhaps by the alias
		batch.Truncate(from)
		pk.Properties.TopicAliasFlag, fresh = false, false
		c.encode(batch, pk)
	}
	if c.tooLong(batch.Len() - from) {
		batch.Truncate(from)
		return false
	}
	if fresh {
		c.shorthand.learn(topic, alias)
	}
	return true
}

// tooLong reports whether the client takes no packet of n octets.
func (c *conn) tooLong(n int) bool { return c.maxPacket > 0 && n > int(c.maxPacket) }

// landed notes that the client has acknowledged a delivery. One that guesses
// its identifier may do so before send has counted it.
func (c *conn) landed() {
	c.mu.Lock()
	c.flying--
	c.wake()
	c.mu.Unlock()
}

// answer puts a packet of our own into out.
func (c *conn) answer(pk *packets.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parting {
		return
	}
	if !c.say(pk) {
		c.partLocked(packets.ErrPacketTooLarge) // [MQTT-3.1.2-24]
		return
	}
	c.toSend()
}

// say puts pk into out, without its reason string if the client wants none or
// takes no packet that long. It reports whether it takes the rest.
func (c *conn) say(pk *packets.Packet) bool {
	if c.terse && pk.FixedHeader.Type != packets.Disconnect { // [MQTT-3.1.2-29]
		pk.Properties.ReasonString = ""
	}
	from := c.out.Len()
	c.encode(&c.out, pk)
	if c.tooLong(c.out.Len()-from) && pk.Properties.ReasonString != "" {
		c.out.Truncate(from)
		pk.Properties.ReasonString = ""
		c.encode(&c.out, pk)
	}
	if c.tooLong(c.out.Len() - from) {
		c.out.Truncate(from)
		return false
	}
	c.queued++
	return true
}

// toSend follows what was put into out.
func (c *conn) toSend() {
	if c.out.Len() > outLimit {
		c.partLocked(packets.ErrPendingClientWritesExceeded)
	}
	c.wake()
}

// encode appends pk to b, in the client's version. mochi's encoders fail only
// for want of a Packet Identifier, and core gives those.
func (c *conn) encode(b *bytes.Buffer, pk *packets.Packet) {
	pk.ProtocolVersion = c.version
	pk.Mods.AllowResponseInfo = true // Response Topic and Correlation Data are the publisher's
	switch pk.FixedHeader.Type {
	case packets.Publish:
		pk.PublishEncode(b)
	case packets.Puback:
		pk.PubackEncode(b)
	case packets.Pubrec:
		pk.PubrecEncode(b)
	case packets.Pubrel:
		pk.PubrelEncode(b)
	case packets.Pubcomp:
		pk.PubcompEncode(b)
	case packets.Suback:
		pk.SubackEncode(b)
	case packets.Unsuback:
		pk.UnsubackEncode(b)
	case packets.Pingresp:
		pk.PingrespEncode(b)
	case packets.Disconnect:
		pk.DisconnectEncode(b)
	}
}

var _ core.Sink = (*conn)(nil)
