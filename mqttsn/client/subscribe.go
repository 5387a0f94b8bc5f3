package client

import (
	"bytes"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// Subscribe asks for the messages of a topic, 1.2 §6.9: a name, which may hold
// wildcards, a predefined id, or a short name. The Outcome has the QoS granted.
func (c *Client) Subscribe(now clock.Time, t mqttsn.Topic, q mqttsn.QoS, out *Actions) error {
	if !c.cfg.CanSubscribe(q, t) {
		return ErrUnsupported
	}
	if err := c.free(Active); err != nil {
		return err
	}
	x := out.exchange(ToSubscribe)
	x.subscribe = mqttsn.Subscribe{QoS: q, ID: c.nextID(), Topic: x.named(t)}
	return c.begin(now, x, &x.subscribe, out)
}

// onSuback ends a Subscribe. The topic id in it means something for a name
// without wildcards only.
func (c *Client) onSuback(now clock.Time, p *mqttsn.Suback, out *Actions) {
	if !c.awaiting(mqttsn.TypeSubscribe, p.ID) {
		return
	}
	c.answered(now)
	t := c.x.subscribe.Topic
	if p.Reason == mqttsn.Accepted && t.Kind == mqttsn.TopicName && !bytes.ContainsAny(t.Name, "+#") {
		c.learn(p.TopicID, t.Name)
	}
	c.endAs(Outcome{Err: c.refusal(now, mqttsn.TypeSubscribe, p.Reason), QoS: p.QoS}, out)
}

// Unsubscribe takes a Subscribe back, 1.2 §6.9.
func (c *Client) Unsubscribe(now clock.Time, t mqttsn.Topic, out *Actions) error {
	if err := c.free(Active); err != nil {
		return err
	}
	x := out.exchange(ToUnsubscribe)
	x.unsubscribe = mqttsn.Unsubscribe{ID: c.nextID(), Topic: x.named(t)}
	return c.begin(now, x, &x.unsubscribe, out)
}

func (c *Client) onUnsuback(now clock.Time, p *mqttsn.Unsuback, out *Actions) {
	if c.awaiting(mqttsn.TypeUnsubscribe, p.ID) {
		c.answered(now)
		c.end(nil, out)
	}
}
