package client

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// protocolID is the only one there is, 1.2 §5.3.8.
const protocolID = 1

// Connect asks for a virtual connection, 1.2 §6.2, from any state: a sleeper
// becomes active by it. What was under way is given up. Topic ids of an
// earlier connection are forgotten, as some gateways do. s is copied, but its
// Will must not change before the request has Ended.
func (c *Client) Connect(now clock.Time, s Session, out *Actions) error {
	switch {
	case s.Will != nil && !c.cfg.canName(len(s.Will.Topic)):
		return ErrUnsupported
	case c.spares(now, mqttsn.TypeConnect):
		return ErrCongested
	}
	x := out.exchange(ToConnect)
	p := x.toConnect(&s)
	if err := c.send(p, out); err != nil {
		out.done(x)
		return err
	}
	c.end(ErrAbandoned, out)
	c.over()
	c.session = s
	c.topics = nil
	if s.CleanSession {
		c.taken = nil
	}
	c.state = Connecting
	c.x = x
	c.await(now, p)
	return nil
}

func (x *exchange) toConnect(s *Session) *mqttsn.Connect {
	x.name = append(x.name[:0], s.ClientID...)
	x.connect = mqttsn.Connect{
		Will:         s.Will != nil,
		CleanSession: s.CleanSession,
		ProtocolID:   protocolID,
		KeepAlive:    s.KeepAlive,
		ClientID:     x.name,
	}
	return &x.connect
}

// onWilltopicreq takes the second step of the will dialogue, 1.2 §6.3. The
// gateway may ask twice, if what we said or what it asked was repeated.
func (c *Client) onWilltopicreq(now clock.Time, out *Actions) {
	w := c.session.Will
	if w == nil {
		out.Stray++
		return
	}
	c.advance(now, &mqttsn.Willtopic{QoS: w.QoS, Retain: w.Retain, Topic: []byte(w.Topic)}, out)
}

// onWillmsgreq takes the third.
func (c *Client) onWillmsgreq(now clock.Time, out *Actions) {
	w := c.session.Will
	if w == nil {
		out.Stray++
		return
	}
	c.advance(now, &mqttsn.Willmsg{Payload: w.Payload}, out)
}

// advance takes a step of the will dialogue, whose packets' types are in order.
// Asked for a step that it has taken, the client repeats it but waits on for
// what it waited for: the gateway, or the network, has repeated itself.
func (c *Client) advance(now clock.Time, p mqttsn.Packet, out *Actions) {
	if p.Type() <= c.x.packet.Type() {
		c.repeat(p, true, out)
		return
	}
	if err := c.step(now, p, out); err != nil { // a will that does not fit in a packet
		c.end(err, out)
		c.over()
	}
}

// onConnack ends the request to connect, be the dialogue complete or not: the
// gateway may not do wills.
func (c *Client) onConnack(now clock.Time, p *mqttsn.Connack, out *Actions) {
	if err := c.refusal(now, mqttsn.TypeConnect, p.Reason); err != nil {
		c.end(err, out)
		c.over()
		return
	}
	c.end(nil, out)
	c.state = Active
	c.session.Will = nil // the gateway has it now
	c.answered(now)
}

// Disconnect ends the virtual connection from any state in which there is
// one, 1.2 §6.12. What was under way is given up. The client's will is not
// published.
func (c *Client) Disconnect(now clock.Time, out *Actions) error {
	if c.state == Disconnected || c.state == Leaving {
		return ErrState
	}
	c.end(ErrAbandoned, out)
	c.over()
	c.state = Leaving
	x := out.exchange(ToDisconnect)
	return c.begin(now, x, &x.disconnect, out)
}

// onDisconnect takes the gateway's DISCONNECT for an acknowledgement if one is
// due. Otherwise the gateway does not know us, or no longer: the caller should
// connect again.
func (c *Client) onDisconnect(now clock.Time, out *Actions) {
	switch c.state {
	case Connecting:
		// Either the acknowledgement of an earlier goodbye, held up, or the
		// dialogue is forgotten. To begin anew on the next try settles it.
		c.x.packet = c.x.toConnect(&c.session)
	case Dozing:
		if c.cfg.Quirks.Has(ZephyrLeaves) {
			c.end(ErrDisconnected, out)
			c.over()
			return
		}
		c.fallAsleep(nil, out)
	case Leaving:
		c.end(nil, out)
		c.over()
	default:
		if c.cfg.Quirks.Has(EmcuteDeaf) {
			out.Stray++
			return
		}
		c.lost(ErrDisconnected, out)
	}
}
