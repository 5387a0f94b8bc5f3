package client

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// UpdateWill replaces the will while connected, first its topic and then its
// message, 1.2 §6.4; with an empty Topic it deletes both. w must not change
// before the request has Ended.
func (c *Client) UpdateWill(now clock.Time, w *Will, out *Actions) error {
	if !c.cfg.canName(len(w.Topic)) {
		return ErrUnsupported
	}
	if err := c.free(Active); err != nil {
		return err
	}
	x := out.exchange(ToUpdateWill)
	x.will = w
	return c.begin(now, x, &mqttsn.Willtopicupd{QoS: w.QoS, Retain: w.Retain, Topic: []byte(w.Topic)}, out)
}

func (c *Client) onWilltopicresp(now clock.Time, p *mqttsn.Willtopicresp, out *Actions) {
	if !c.awaiting(mqttsn.TypeWilltopicupd, 0) {
		return
	}
	c.answered(now)
	err := c.refusal(now, mqttsn.TypeWilltopicupd, p.Reason)
	if err != nil || c.x.will.Topic == "" {
		c.end(err, out)
		return
	}
	c.must(c.step(now, &mqttsn.Willmsgupd{Payload: c.x.will.Payload}, out), out)
}

func (c *Client) onWillmsgresp(now clock.Time, p *mqttsn.Willmsgresp, out *Actions) {
	if c.awaiting(mqttsn.TypeWillmsgupd, 0) {
		c.answered(now)
		c.end(c.refusal(now, mqttsn.TypeWillmsgupd, p.Reason), out)
	}
}
