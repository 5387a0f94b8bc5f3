package mqtt

import (
	"errors"
	"slices"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// A quota counts the messages of QoS 1 and 2 that the client has sent and
// that are not yet acknowledged, MQTT 5 §4.9.
type quota struct {
	qos1 int      // PUBACK is owed
	qos2 []uint16 // identifiers until PUBCOMP is sent, or PUBREC with an error
}

// take counts a PUBLISH, and reports whether that is within most.
func (q *quota) take(pk *packets.Packet, most int) bool {
	switch {
	case pk.FixedHeader.Qos == 1:
		q.qos1++
	case !slices.Contains(q.qos2, pk.PacketID): // else it is a repeat
		q.qos2 = append(q.qos2, pk.PacketID)
	}
	return q.qos1+len(q.qos2) <= most
}

func (q *quota) release(id uint16) {
	if i := slices.Index(q.qos2, id); i >= 0 {
		q.qos2 = slices.Delete(q.qos2, i, i+1)
	}
}

// begin waits until core has answered enough of what the client has asked for.
// end is for each answer.
func (c *conn) begin() {
	select {
	case c.requests <- struct{}{}:
	default:
		c.server.held.Add(1)
		c.settle()
		c.requests <- struct{}{}
	}
}

func (c *conn) end() { <-c.requests }

// admit checks a PUBLISH against what CONNACK has granted, and resolves its
// topic alias.
func (c *conn) admit(pk *packets.Packet) packets.Code {
	switch {
	case int(pk.FixedHeader.Qos) > c.server.o.MaxQoS:
		return packets.ErrQosNotSupported // [MQTT-3.2.2-11]
	case pk.FixedHeader.Retain && !c.server.o.Retain:
		return packets.ErrRetainNotSupported // [MQTT-3.2.2-14]
	}
	if code := mayTravel(&pk.Properties); code != packets.CodeSuccess {
		return code
	}
	if code := c.unalias(pk); code != packets.CodeSuccess {
		return code
	}
	return pk.PublishValidate(0) // no alias is left
}

// publish hands a message to core, and acknowledges it once core has answered.
func (c *conn) publish(pk *packets.Packet) {
	qos, id := pk.FixedHeader.Qos, pk.PacketID
	if c.pace != nil {
		c.slow(len(pk.TopicName) + len(pk.Payload))
	}
	if qos > 0 && c.version == 5 && !c.takeQuota(pk) {
		c.part(packets.ErrReceiveMaximum) // [MQTT-3.3.4-9]
		return
	}
	c.begin()
	m := c.message(pk)
	topic := m.Topic // not to have the answer keep the payload
	c.session.Publish(m, id, func(err error) {
		c.end()
		switch {
		case errors.Is(err, core.ErrNotAuthorized) && (qos == 0 || c.version < 5):
			err = nil // see drop; core has told the log
		case errors.Is(err, core.ErrInvalidTopic) && c.guard.bridge:
			c.drop(topic)
			err = nil
		}
		c.published(qos, id, err)
	})
}

func (c *conn) takeQuota(pk *packets.Packet) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quota.take(pk, c.server.o.ReceiveMaximum)
}

// drop tells the log, once in a connection, of a message that is dropped and of
// which the client cannot be told: of a topic beyond our limits, brought by a bridge,
// which cannot choose what others say, and all else would wait. It is acknowledged
// all the same, and so is before MQTT 5 what access rules forbid [MQTT-3.3.5-2 of
// 3.1.1]: a client that was hung up on would send it again for ever.
func (c *conn) drop(topic string) {
	c.mu.Lock()
	again := c.dropped
	c.dropped = true
	c.mu.Unlock()
	if again {
		return
	}
	c.server.incidents.Info().Str("event", "publish_refused").Str("client", c.id.ClientID).
		Str("listener", c.listener).Str("remote", c.id.Remote).Str("topic", core.Shown(topic)).
		Msg("the topic is beyond limits; the bridge goes on, and what it brings of such is dropped")
}

// published answers a PUBLISH that core has refused or not. Before MQTT 5 there
// is no way to say no but to hang up, so that the client keeps the message; at
// QoS 0 there never is, and only what cannot be a topic is worth that.
func (c *conn) published(qos byte, id uint16, err error) {
	if errors.Is(err, core.ErrDetached) || errors.Is(err, core.ErrClosed) {
		return // Kick says all
	}
	code := packets.CodeSuccess
	if err != nil {
		code = reasonFor(err, packets.ErrTopicNameInvalid)
	}
	switch {
	case qos > 0 && (err == nil || c.version == 5):
		c.acknowledge(qos, id, code)
	case qos > 0 || code.Code == packets.ErrTopicNameInvalid.Code:
		c.part(code)
	}
}

// acknowledge sends PUBACK or PUBREC.
func (c *conn) acknowledge(qos byte, id uint16, code packets.Code) {
	ack := packets.Puback
	if qos == 2 {
		ack = packets.Pubrec
	}
	c.mu.Lock()
	if qos == 1 {
		c.quota.qos1--
	} else if code != packets.CodeSuccess {
		c.quota.release(id)
	}
	c.mu.Unlock()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: ack}, PacketID: id, ReasonCode: code.Code}
	if code != packets.CodeSuccess {
		pk.Properties.ReasonString = code.Reason
	}
	c.answer(&pk)
}

// release answers PUBREL.
func (c *conn) release(id uint16) {
	c.begin()
	c.session.Release(id, func(err error) {
		c.end()
		if err != nil {
			c.lost(err)
			return
		}
		c.mu.Lock()
		c.quota.release(id)
		c.mu.Unlock()
		c.answer(&packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: id})
	})
}

// lost hangs up on a client that core cannot answer as promised.
func (c *conn) lost(err error) {
	if !errors.Is(err, core.ErrDetached) && !errors.Is(err, core.ErrClosed) {
		c.part(reasonFor(err, packets.ErrTopicNameInvalid))
	}
}

// acknowledged takes PUBACK and PUBCOMP.
func (c *conn) acknowledged(id uint16) {
	if c.session.Ack(id) {
		c.landed()
	}
}

// received answers PUBREC: by PUBREL, unless the client has refused the
// message, which ends the exchange [MQTT-4.3.3-4].
func (c *conn) received(pk *packets.Packet) {
	if c.version == 5 && pk.ReasonCode >= packets.ErrUnspecifiedError.Code {
		c.acknowledged(pk.PacketID)
		return
	}
	id := pk.PacketID
	c.begin()
	c.session.Received(id, func(attached bool) {
		c.end()
		if attached { // or Kick says all, and the message comes again over the next connection
			c.answer(&packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: id})
		}
	})
}

// disconnected takes DISCONNECT: with any reason but 0x00 the will is to be
// published, MQTT 5 §3.14.4.
func (c *conn) disconnected(pk *packets.Packet) packets.Code {
	if p := &pk.Properties; p.SessionExpiryIntervalFlag {
		if !c.kept && p.SessionExpiryInterval > 0 {
			return packets.ErrProtocolViolationZeroNonZeroExpiry // [MQTT-3.14.2-2]
		}
		asked := time.Duration(p.SessionExpiryInterval) * time.Second
		c.session.SetExpiry(min(asked, c.server.o.MaxSessionExpiry))
	}
	if c.guard.reason == packets.CodeDisconnect.Code {
		c.mu.Lock()
		c.ending = core.Clean
		c.mu.Unlock()
	}
	return packets.CodeSuccess
}
