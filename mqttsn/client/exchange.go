package client

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// An exchange is a request under way. It may take several packets, each sent
// until it is answered, 1.2 §6.13.
type exchange struct {
	request Request
	renewed bool          // ToPublish: its topic id was refused once
	tries   int           // how often packet was sent
	packet  mqttsn.Packet // sent last, and again; one of those below, but for wills
	topic   mqttsn.Topic  // ToPublish: as the caller spelled it
	will    *Will         // ToUpdateWill

	connect     mqttsn.Connect
	register    mqttsn.Register
	publish     mqttsn.Publish
	pubrel      mqttsn.Pubrel
	subscribe   mqttsn.Subscribe
	unsubscribe mqttsn.Unsubscribe
	pingreq     mqttsn.Pingreq
	disconnect  mqttsn.Disconnect

	name, payload []byte // what the packets hold, in memory that is used again
}

// Who drives a million clients has few of them busy at a time: what one has
// done with, the next one takes.
const (
	maxSpare  = 1024 // exchanges that wait to be used again
	maxMemory = 1024 // octets of a name or a payload
)

// exchange returns an exchange that is under way with nothing yet.
func (a *Actions) exchange(r Request) *exchange {
	n := len(a.spare)
	if n == 0 {
		return &exchange{request: r}
	}
	x := a.spare[n-1]
	a.spare = a.spare[:n-1]
	*x = exchange{request: r, name: x.name[:0], payload: x.payload[:0]}
	return x
}

func (a *Actions) done(x *exchange) {
	if len(a.spare) < maxSpare && cap(x.name) <= maxMemory && cap(x.payload) <= maxMemory {
		a.spare = append(a.spare, x)
	}
}

// named returns t with a name of x's own.
func (x *exchange) named(t mqttsn.Topic) mqttsn.Topic {
	x.name = append(x.name[:0], t.Name...)
	t.Name = x.name
	return t
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

// begin sends the first packet of x. If it cannot be sent there is no request.
// One that cannot be written is a *mqttsn.PacketError.
func (c *Client) begin(now clock.Time, x *exchange, p mqttsn.Packet, out *Actions) error {
	c.x = x
	return c.started(c.step(now, p, out), out)
}

// started takes back a request that could not begin.
func (c *Client) started(err error, out *Actions) error {
	if err != nil {
		out.done(c.x)
		c.x = nil
	}
	return err
}

// step sends the next packet of the request under way, to be answered.
func (c *Client) step(now clock.Time, p mqttsn.Packet, out *Actions) error {
	if c.spares(now, p.Type()) {
		return ErrCongested
	}
	if err := c.send(p, out); err != nil {
		return err
	}
	c.await(now, p)
	return nil
}

// must ends the request under way if its next packet could not be sent.
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

// Awaits returns the type of the packet whose answer the client waits for, so
// that its radio has to be on, and whether it has sent it more than once; zero
// if it waits for none.
func (c *Client) Awaits() (t mqttsn.Type, again bool) {
	switch {
	case c.x != nil:
		return c.x.packet.Type(), c.x.tries > 1
	case c.pings > 0 && !c.cfg.Quirks.Has(PahoPings):
		return mqttsn.TypePingreq, c.pings > 1
	}
	return 0, false
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
	if x.tries > c.retries() {
		c.giveUp(out)
		return
	}
	switch p := x.packet.(type) {
	case *mqttsn.Publish:
		p.DUP = !c.cfg.Quirks.Has(EmcuteNoDUP)
	case *mqttsn.Subscribe:
		p.DUP = !c.cfg.Quirks.Has(EmcuteNoDUP)
	case *mqttsn.Willtopic, *mqttsn.Willmsg:
		if x.tries > 1 { // the two ends are at different steps: begin anew, 1.2 §6.3
			x.packet = x.toConnect(&c.session)
		}
	}
	x.tries++
	c.deadline[retry] = now.Add(c.cfg.RetryInterval)
	out.send(c.version, x.packet, true)
}

// retries returns how often the packet under way may be sent again.
func (c *Client) retries() int {
	t := c.x.packet.Type()
	if c.cfg.Quirks.Has(ZephyrOnce) && (t == mqttsn.TypeConnect || t == mqttsn.TypeDisconnect) {
		return 0
	}
	return c.cfg.MaxRetries
}

// giveUp ends the virtual connection, except that nobody needs an answer to
// fall asleep.
func (c *Client) giveUp(out *Actions) {
	switch {
	case c.x.request == ToSleep:
		c.fallAsleep(nil, out)
	case c.x.request == ToDisconnect:
		c.end(ErrNoAnswer, out)
		c.over()
	case c.x.request != ToConnect && c.cfg.Quirks.Has(EmcuteStays):
		c.end(ErrNoAnswer, out)
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
	out.done(c.x)
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

// send appends the datagram for p, which goes for the first time.
func (c *Client) send(p mqttsn.Packet, out *Actions) error { return out.send(c.version, p, false) }

// repeat appends the datagram for p, which may have gone before.
func (c *Client) repeat(p mqttsn.Packet, again bool, out *Actions) {
	out.send(c.version, p, again)
	if again {
		out.Repeats++
	}
}
