package client

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// An exchange is a request under way. It may take several packets, each sent
// until it is answered, 1.2 §6.13.
type exchange struct {
	request Request
	packet  mqttsn.Packet // sent last, and again
	tries   int           // how often
	topic   mqttsn.Topic  // ToPublish: as the caller spelled it
	publish mqttsn.Publish
	renewed bool  // ToPublish: its topic id was refused once
	will    *Will // ToUpdateWill
}

// free reports why no request can begin that is for a client in state s.
func (c *Client) free(s State) error {
	switch {
	case c.state != s:
		return ErrState
	case c.x != nil:
		return ErrBusy
	}
	return nil
}

// begin sends the first packet of a request. If it cannot be written there is
// no request, and the error is a *mqttsn.PacketError.
func (c *Client) begin(now clock.Time, r Request, p mqttsn.Packet, out *Actions) error {
	c.x = &exchange{request: r}
	err := c.step(now, p, out)
	if err != nil {
		c.x = nil
	}
	return err
}

// step sends the next packet of the request under way, to be answered.
func (c *Client) step(now clock.Time, p mqttsn.Packet, out *Actions) error {
	if err := c.send(p, out); err != nil {
		return err
	}
	c.await(now, p)
	return nil
}

// must ends the request under way if its next packet could not be written.
func (c *Client) must(err error, out *Actions) {
	if err != nil {
		c.end(err, out)
	}
}

// await expects an answer to p, sent for the first time.
func (c *Client) await(now clock.Time, p mqttsn.Packet) {
	c.x.packet = p
	c.x.tries = 1
	c.deadline[retry] = now.Add(c.cfg.RetryInterval)
}

// awaiting reports whether the packet of type t that bears id is unanswered.
// Answers are matched by MsgId alone: some gateways get the rest wrong.
func (c *Client) awaiting(t mqttsn.Type, id uint16) bool {
	return c.x != nil && c.x.packet.Type() == t && messageID(c.x.packet) == id
}

func messageID(p mqttsn.Packet) uint16 {
	switch p := p.(type) {
	case *mqttsn.Register:
		return p.ID
	case *mqttsn.Publish:
		return p.ID
	case *mqttsn.Pubrel:
		return p.ID
	case *mqttsn.Subscribe:
		return p.ID
	case *mqttsn.Unsubscribe:
		return p.ID
	}
	return 0
}

// onRetry sends the unanswered packet again, or gives up.
func (c *Client) onRetry(now clock.Time, out *Actions) {
	x := c.x
	if x.tries > c.cfg.MaxRetries {
		c.giveUp(out)
		return
	}
	switch p := x.packet.(type) {
	case *mqttsn.Publish:
		p.DUP = true
	case *mqttsn.Subscribe:
		p.DUP = true
	case *mqttsn.Willtopic, *mqttsn.Willmsg:
		if x.tries > 1 { // the two ends are at different steps: begin anew, 1.2 §6.3
			x.packet = c.session.connect()
		}
	}
	x.tries++
	c.deadline[retry] = now.Add(c.cfg.RetryInterval)
	c.send(x.packet, out)
}

// giveUp ends the virtual connection, except that nobody needs an answer to
// fall asleep.
func (c *Client) giveUp(out *Actions) {
	switch c.x.request {
	case ToSleep:
		c.fallAsleep(nil, out)
	case ToDisconnect:
		c.end(ErrNoAnswer, out)
		c.over()
	default:
		c.lost(ErrNoAnswer, out)
	}
}

// end ends the request under way, if there is one.
func (c *Client) end(err error, out *Actions) { c.endAs(Outcome{Err: err}, out) }

func (c *Client) endAs(o Outcome, out *Actions) {
	if c.x == nil {
		return
	}
	o.Request = c.x.request
	out.Ended = o
	c.x = nil
	c.deadline[retry] = 0
}

// Abandon gives up the request under way, whatever the gateway makes of it. A
// client that was about to connect or to leave is disconnected then, and one
// that was about to sleep, or was awake, is asleep.
func (c *Client) Abandon(out *Actions) {
	switch c.state {
	case Connecting, Leaving:
		c.end(ErrAbandoned, out)
		c.over()
	case Dozing, Awake:
		c.fallAsleep(ErrAbandoned, out)
	default:
		c.end(ErrAbandoned, out)
	}
}

// nextID returns a MsgId for a request. It is never zero.
func (c *Client) nextID() uint16 {
	c.lastID++
	if c.lastID == 0 {
		c.lastID++
	}
	return c.lastID
}

// send appends the datagram for p.
func (c *Client) send(p mqttsn.Packet, out *Actions) error {
	b, err := mqttsn.Append(out.arena, c.version, p)
	if err != nil {
		return err
	}
	out.arena = b
	out.ends = append(out.ends, len(b))
	return nil
}
