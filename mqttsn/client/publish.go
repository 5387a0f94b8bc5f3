package client

import (
	"bytes"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// Publish sends m, 1.2 §6.6. A topic name without an id is registered first;
// one whose id the gateway refuses is registered again. m is copied.
//
// At QoS 0 the request has Ended as soon as the PUBLISH is sent, and at QoS 1
// and 2 when the gateway has taken the message over. At QoS -1 there is no
// request: m is sent, in any state and beside whatever is under way. Its topic
// is a predefined or a short one there; a name in full is an extension, which
// Paho and RSMB have.
func (c *Client) Publish(now clock.Time, m *Message, out *Actions) error {
	switch {
	case !c.cfg.CanPublish(m.QoS, m.Topic):
		return ErrUnsupported
	case m.QoS == mqttsn.QoSMinusOne:
		return c.send(&mqttsn.Publish{QoS: m.QoS, Retain: m.Retain, Topic: m.Topic, Payload: m.Payload}, out)
	}
	from := Active
	if c.state == Asleep && c.cfg.Quirks.Has(SleepTalk) {
		from = Asleep
	}
	switch err := c.free(from); {
	case err != nil:
		return err
	case c.spares(now, mqttsn.TypePublish):
		return ErrCongested
	}
	x := out.exchange(ToPublish)
	x.topic = x.named(m.Topic)
	x.payload = append(x.payload, m.Payload...)
	x.publish = mqttsn.Publish{QoS: m.QoS, Retain: m.Retain, Topic: x.topic, Payload: x.payload}
	c.x = x
	return c.started(c.proceed(now, out), out)
}

// proceed sends the message under way, or the REGISTER that it needs first.
func (c *Client) proceed(now clock.Time, out *Actions) error {
	x := c.x
	if x.topic.Kind == mqttsn.TopicName {
		id, ok := c.topics.id(x.topic.Name)
		if !ok {
			x.register = mqttsn.Register{ID: c.nextID(), Name: x.topic.Name}
			return c.step(now, &x.register, out)
		}
		x.publish.Topic = mqttsn.Topic{ID: id}
	}
	if x.publish.QoS == 0 {
		if err := c.send(&x.publish, out); err != nil {
			return err
		}
		c.end(nil, out)
		return nil
	}
	x.publish.ID, x.publish.DUP = c.nextID(), false
	return c.step(now, &x.publish, out)
}

// onPuback ends a QoS 1 exchange, or refuses a message of any QoS. If the
// gateway does not know the topic id (any longer), it is forgotten, and the
// message gets one more try with a new one, 1.2 §6.6.
func (c *Client) onPuback(now clock.Time, p *mqttsn.Puback, out *Actions) {
	reason := p.Reason
	if c.cfg.Quirks.Has(ZephyrAccepts) {
		reason = mqttsn.Accepted
	}
	if reason == mqttsn.InvalidTopicID {
		c.topics.forget(func(id uint16, _ []byte) bool { return id == p.TopicID })
	}
	if !c.awaiting(mqttsn.TypePublish, p.ID) {
		return
	}
	x := c.x
	switch {
	case p.Reason == mqttsn.Accepted && x.publish.QoS == 2:
		return // PUBREC would accept it
	case reason == mqttsn.InvalidTopicID && x.topic.Kind == mqttsn.TopicName && !x.renewed:
		x.renewed = true
		c.topics.forget(func(_ uint16, name []byte) bool { return bytes.Equal(name, x.topic.Name) })
		c.answered(now)
		c.must(c.proceed(now, out), out)
	default:
		c.answered(now)
		c.end(c.refusal(now, mqttsn.TypePublish, reason), out)
	}
}

// onPubrec takes the second step of a QoS 2 exchange. That it comes again is
// seen to by our own repetition.
func (c *Client) onPubrec(now clock.Time, p *mqttsn.Pubrec, out *Actions) {
	if !c.awaiting(mqttsn.TypePublish, p.ID) || c.x.publish.QoS != 2 {
		return
	}
	c.answered(now)
	c.x.pubrel = mqttsn.Pubrel{ID: p.ID}
	c.must(c.step(now, &c.x.pubrel, out), out)
}

// onPubcomp ends a QoS 2 exchange.
func (c *Client) onPubcomp(now clock.Time, p *mqttsn.Pubcomp, out *Actions) {
	if c.awaiting(mqttsn.TypePubrel, p.ID) {
		c.answered(now)
		c.end(nil, out)
	}
}
