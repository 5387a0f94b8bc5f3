package mqtt

import (
	"slices"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/router"
)

// message is a PUBLISH as core has it. The payload is the packet's own copy.
func (c *conn) message(pk *packets.Packet) core.Message {
	m := core.Message{
		Topic:      strings.Clone(pk.TopicName), // not to keep the payload for it
		Payload:    pk.Payload,
		QoS:        core.QoS(pk.FixedHeader.Qos),
		Retain:     pk.FixedHeader.Retain,
		Properties: properties(&pk.Properties),
	}
	if s := pk.Properties.MessageExpiryInterval; s > 0 {
		m.Expires = time.Now().Add(time.Duration(s) * time.Second)
	}
	return m
}

// will is the will of a CONNECT as core has it, or nil.
func will(pk *packets.Packet) *core.Will {
	p := &pk.Connect
	if !p.WillFlag {
		return nil
	}
	return &core.Will{
		Message: core.Message{
			Topic:      strings.Clone(p.WillTopic),
			Payload:    p.WillPayload,
			QoS:        core.QoS(p.WillQos),
			Retain:     p.WillRetain,
			Properties: properties(&p.WillProperties),
		},
		Delay:    time.Duration(p.WillProperties.WillDelayInterval) * time.Second,
		Lifetime: time.Duration(p.WillProperties.MessageExpiryInterval) * time.Second,
	}
}

// mayTravel says what of a message's properties would have subscribers hang
// up, as some do where MQTT 5 §1.5.4 lets them: were the message retained, it
// would keep them away for good.
func mayTravel(p *packets.Properties) packets.Code {
	unwelcome := func(s string) bool { return strings.ContainsFunc(s, router.IsUnwelcome) }
	switch {
	case router.HasWildcard(p.ResponseTopic):
		return errResponseTopic // [MQTT-3.3.2-14]
	case unwelcome(p.ResponseTopic), unwelcome(p.ContentType),
		slices.ContainsFunc(p.User, func(u packets.UserProperty) bool { return unwelcome(u.Key) || unwelcome(u.Val) }):
		return errUnwelcome
	}
	return packets.CodeSuccess
}

// properties are those of p that travel with a message, or nil.
func properties(p *packets.Properties) *core.Properties {
	if !p.PayloadFormatFlag && p.ContentType == "" && p.ResponseTopic == "" && p.CorrelationData == nil && p.User == nil {
		return nil
	}
	to := &core.Properties{
		ContentType:     p.ContentType,
		ResponseTopic:   p.ResponseTopic,
		CorrelationData: p.CorrelationData,
	}
	if p.PayloadFormatFlag {
		format := p.PayloadFormat
		to.PayloadFormat = &format
	}
	for _, u := range p.User {
		to.User = append(to.User, core.UserProperty{Key: u.Key, Value: u.Val})
	}
	return to
}

// publication makes of pk a delivery as a PUBLISH.
func (c *conn) publication(pk *packets.Packet, d *core.Delivery) {
	*pk = packets.Packet{
		FixedHeader: packets.FixedHeader{
			Type:   packets.Publish,
			Qos:    byte(d.QoS),
			Retain: d.Retain,
			Dup:    d.DUP,
		},
		TopicName: d.Topic,
		Payload:   d.Payload,
		PacketID:  d.ID,
	}
	if c.version < 5 {
		return
	}
	if !d.Expires.IsZero() { // rounded up, as zero would be none [MQTT-3.3.2-6]
		left := (time.Until(d.Expires) + time.Second - 1) / time.Second
		pk.Properties.MessageExpiryInterval = uint32(max(left, 1))
	}
	for _, id := range d.SubscriptionIDs {
		pk.Properties.SubscriptionIdentifier = append(pk.Properties.SubscriptionIdentifier, int(id))
	}
	if p := d.Message.Properties; p != nil {
		pk.Properties.ContentType = p.ContentType
		pk.Properties.ResponseTopic = p.ResponseTopic
		pk.Properties.CorrelationData = p.CorrelationData
		if p.PayloadFormat != nil {
			pk.Properties.PayloadFormat, pk.Properties.PayloadFormatFlag = *p.PayloadFormat, true
		}
		for _, u := range p.User {
			pk.Properties.User = append(pk.Properties.User, packets.UserProperty{Key: u.Key, Val: u.Value})
		}
	}
}
