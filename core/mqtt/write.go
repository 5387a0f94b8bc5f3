package mqtt

import (
	"bytes"
	"errors"
	"os"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

const (
	chunk    = 16 << 10 // octets to a write, at least a batch of messages
	outLimit = 64 << 10 // octets of answers that a client may leave unread
)

// batches are buffers for what is on its way to a socket.
var batches = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// write sends until the connection is to be closed, many packets at a time.
// Nobody waits for it but the client's own queue in core.
func (c *conn) write() {
	defer close(c.written)
	var answers bytes.Buffer
	for {
		room := c.work()
		batch := batches.Get().(*bytes.Buffer)
		err := c.send(&answers, batch, room)
		if batch.Cap() <= 4*chunk {
			batch.Reset()
			batches.Put(batch)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.part(packets.ErrPendingClientWritesExceeded)
		}
		if err != nil {
			c.part(packets.CodeDisconnect)
			return
		}
	}
}

// errParted ends write when all is said.
var errParted = errors.New("parted")

// work waits until there is something to send, and returns how many messages
// of QoS 1 and 2 the client may be sent. While that is none, QoS 0 waits too:
// the queue has one order.
func (c *conn) work() (room int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out.Len() == 0 && !c.parting && !(c.open && c.mail && c.flying < c.window) {
		c.change.Wait()
	}
	return c.window - c.flying
}

// send sends what there is. The answers that wait go ahead of the messages,
// and are taken after them: what core answers before it lets a message be
// had, the client gets before that message.
//
// Both buffers are to be empty; answers is left so.
func (c *conn) send(answers, batch *bytes.Buffer, room int) error {
	c.mu.Lock()
	pull := c.open && c.mail && !c.parting
	if pull {
		c.mail = false
	}
	c.mu.Unlock()
	var packed uint64
	sent, more := 0, false
	if pull {
		packed, sent, more = c.pull(batch, room)
	}

	c.mu.Lock()
	*answers, c.out = c.out, *answers
	packed, c.queued = packed+c.queued, 0
	c.mail = c.mail || more
	c.flying += sent
	parting := c.parting
	c.mu.Unlock()
	if parting {
		batch.Reset() // nothing may follow DISCONNECT
	}
	c.server.sent.packets.Add(packed)
	if err := c.put(answers.Bytes()); err != nil {
		return err
	}
	if answers.Reset(); answers.Cap() > bufferKeep {
		*answers = bytes.Buffer{}
	}
	if err := c.put(batch.Bytes()); err != nil {
		return err
	}
	if parting {
		return errParted
	}
	return nil
}

// put writes to the socket. The client has WriteTimeout for each chunk; once
// the connection is parting, linger for all.
func (c *conn) put(b []byte) error {
	for len(b) > 0 {
		c.mayWrite()
		n, err := c.stream.Write(b[:min(len(b), chunk)])
		c.server.sent.bytes.Add(uint64(n))
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// pull puts messages into batch, room of QoS 1 and 2 at most, and returns how
// many packets that are, how many of those the client is to acknowledge, and
// whether there may be more.
func (c *conn) pull(batch *bytes.Buffer, room int) (packed uint64, sent int, more bool) {
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
		from := batch.Len()
		c.encode(batch, c.publication(&d))
		if c.tooLong(batch.Len() - from) {
			packed--
			// To the client it is as if it had been sent [MQTT-3.1.2-25].
			batch.Truncate(from)
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

// tooLong reports whether the client takes no packet of n octets.
func (c *conn) tooLong(n int) bool { return c.maxPacket > 0 && n > int(c.maxPacket) }

// landed notes that the client has acknowledged a delivery. One that guesses
// its identifier may do so before send has counted it.
func (c *conn) landed() {
	c.mu.Lock()
	c.flying--
	c.change.Signal()
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
	c.change.Signal()
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
