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
	if c.cfg.Quirks.Has(EmcuteRefuses) && (p.DUP || p.QoS == 2 || p.Topic.Kind == mqttsn.TopicPredefined) {
		refused = mqttsn.NotSupported
	}
	switch {
	case p.QoS == mqttsn.QoSMinusOne:
		out.Stray++ // is for clients to send
		return
	case refused != mqttsn.Accepted:
		out.answers.puback = mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID, Reason: refused}
		c.send(&out.answers.puback, out)
		return
	case p.QoS == 1:
		again := p.DUP && p.ID == c.lastTaken
		c.lastTaken = p.ID
		out.answers.puback = mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID}
		c.repeat(&out.answers.puback, again, out)
	case p.QoS == 2:
		again := slices.Contains(c.taken, p.ID)
		out.answers.pubrec = mqttsn.Pubrec{ID: p.ID}
		c.repeat(&out.answers.pubrec, again, out)
		if again {
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
	i := slices.Index(c.taken, p.ID)
	if i >= 0 {
		c.taken = slices.Delete(c.taken, i, i+1)
	}
	out.answers.pubcomp = mqttsn.Pubcomp{ID: p.ID}
	c.repeat(&out.answers.pubcomp, i < 0, out)
}
