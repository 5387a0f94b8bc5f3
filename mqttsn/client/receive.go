package client

import (
	"slices"

	"dormouse/mqttsn"
)

// maxTaken bounds the QoS 2 messages that wait for their PUBREL. A gateway has
// one at a time under way; the rest are what earlier connections left.
const maxTaken = 8

// onPublish takes a message, 1.2 §6.10. At QoS 2 it is taken once, however
// often it comes before its PUBREL. One under an id that we have forgotten is
// refused: the gateway then registers it again.
func (c *Client) onPublish(p *mqttsn.Publish, out *Actions) {
	m := Message{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, DUP: p.DUP}
	refused := mqttsn.Accepted
	switch p.Topic.Kind {
	case mqttsn.TopicNormal:
		name, ok := c.topics.name(p.Topic.ID)
		if !ok {
			refused = mqttsn.InvalidTopicID
		}
		m.Topic = mqttsn.Topic{Kind: mqttsn.TopicName, Name: name}
	case mqttsn.TopicReserved:
		refused = mqttsn.NotSupported
	}
	switch {
	case p.QoS == mqttsn.QoSMinusOne:
		out.Stray++ // is for clients to send
		return
	case refused != mqttsn.Accepted:
		c.send(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID, Reason: refused}, out)
		return
	case p.QoS == 1:
		c.send(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID}, out)
	case p.QoS == 2:
		c.send(&mqttsn.Pubrec{ID: p.ID}, out)
		if slices.Contains(c.taken, p.ID) {
			return
		}
		if len(c.taken) == maxTaken {
			c.taken = slices.Delete(c.taken, 0, 1)
		}
		c.taken = append(c.taken, p.ID)
	}
	out.Messages = append(out.Messages, m)
}

// onPubrel lets go of a message id. One that we do not know was let go of
// before, and PUBCOMP was lost.
func (c *Client) onPubrel(p *mqttsn.Pubrel, out *Actions) {
	if i := slices.Index(c.taken, p.ID); i >= 0 {
		c.taken = slices.Delete(c.taken, i, i+1)
	}
	c.send(&mqttsn.Pubcomp{ID: p.ID}, out)
}
