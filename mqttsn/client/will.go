package client

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// UpdateWill replaces the will while connected, first its topic and then its
// message, 1.2 §6.4; with an empty Topic it deletes both. w must not change
// before the request has Ended.
func (c *Client) UpdateWill(now clock.Time, w *Will, out *Actions) error {
	if err := c.free(Active); err != nil {
		return err
	}
	p := &mqttsn.Willtopicupd{QoS: w.QoS, Retain: w.Retain, Topic: []byte(w.Topic)}
	if err := c.begin(now, ToUpdateWill, p, out); err != nil {
		return err
	}
	c.x.will = w
	return nil
}

func (c *Client) onWilltopicresp(now clock.Time, p *mqttsn.Willtopicresp, out *Actions) {
	if !c.awaiting(mqttsn.TypeWilltopicupd, 0) {
		return
	}
	c.answered(now)
	err := refusal(mqttsn.TypeWilltopicupd, p.Reason)
	if err != nil || c.x.will.Topic == "" {
		c.end(err, out)
		return
	}
	c.must(c.step(now, &mqttsn.Willmsgupd{Payload: c.x.will.Payload}, out), out)
}

func (c *Client) onWillmsgresp(now clock.Time, p *mqttsn.Willmsgresp, out *Actions) {
	if c.awaiting(mqttsn.TypeWillmsgupd, 0) {
		c.answered(now)
		c.end(refusal(mqttsn.TypeWillmsgupd, p.Reason), out)
	}
}
