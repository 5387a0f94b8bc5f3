package ledger

import (
	"fmt"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A command is open until it is accepted and delivered, at QoS 2 also until
// the gateway has let go of it.
type command struct {
	at       clock.Time // accepted; of a broadcast, see there
	sequence uint32
	deadline uint32 // milliseconds; zero: none
	id       uint16 // MsgId
	flags    flags
	stream   uint8
	qos      mqttsn.QoS // granted
}

func (c *command) has(f flags) bool { return c.flags&f != 0 }

// A broadcast is one message to many.
type broadcast struct {
	at       clock.Time // accepted
	deadline time.Duration
	devices  uint64 // that it was for
}

func (c *command) String() string {
	return fmt.Sprintf("%s %d", streamName(c.stream), c.sequence)
}

// Subscribed reports whether the device has been told that it is subscribed.
func (b *Book) Subscribed(dev int32) bool {
	d := &b.devices[dev]
	return d.supplied.subbed && !d.asked.unnamed
}

// Unsubscribed notes that the device's subscription is not to what is
// published to it from now on: of that nothing is owed until it has another.
func (b *Book) Unsubscribed(dev int32, now clock.Time) {
	b.trace(dev, now, event{kind: unsubscribed})
	s := &b.devices[dev].supplied
	s.subbed, s.outdated = false, true
}

// Publish notes a command that is handed to the broker, and says how to tag
// it. Commands that do not fit in the device's largest packet are not to be
// entered: gateways drop them.
func (b *Book) Publish(dev int32, q mqttsn.QoS, deadline time.Duration, now clock.Time) payload.Tag {
	s := &b.devices[dev].supplied
	s.last++
	s.got <<= 1
	b.counts.Downlink.Published++
	t := payload.Tag{Device: b.number(dev), Stream: payload.Command, Sequence: s.last}
	b.enter(dev, t, q, deadline, now)
	return t
}

// PublishAll notes one message that is for all devices: it is owed to each
// that is subscribed.
func (b *Book) PublishAll(q mqttsn.QoS, deadline time.Duration, now clock.Time) payload.Tag {
	b.broadcast++
	t := payload.Tag{Device: b.cfg.GroupID, Stream: payload.Broadcast, Sequence: b.broadcast}
	all := &broadcast{deadline: deadline}
	b.broadcasts[t.Sequence] = all
	for i := range b.devices {
		s := &b.devices[i].supplied
		s.gotAll, s.forAll = s.gotAll<<1, s.forAll<<1
		if b.enter(int32(i), t, q, deadline, now) {
			s.forAll |= 1
			all.devices++
		}
	}
	b.counts.Downlink.Published += all.devices
	return t
}

// enter opens a command for a device that is subscribed.
func (b *Book) enter(dev int32, t payload.Tag, q mqttsn.QoS, deadline time.Duration, now clock.Time) bool {
	d := &b.devices[dev]
	if !b.Subscribed(dev) {
		return false
	}
	b.trace(dev, now, event{kind: ordered, flags: qosFlags(q) | hasSequence, number: t.Sequence})
	if int(d.waiting) >= b.cfg.Queue {
		b.forgiveCommands(d)
	}
	b.commands.each(&d.commands, func(c *command) bool {
		old := (c.qos == 0 || c.has(excused)) && c.stream == t.Stream && c.sequence+window <= t.Sequence
		if old {
			d.waiting--
		}
		return old
	})
	c := b.commands.add(&d.commands, command{
		sequence: t.Sequence,
		deadline: uint32(min(deadline.Milliseconds(), 1<<32-1)),
		stream:   t.Stream,
		qos:      min(q, d.supplied.granted),
	})
	if int(d.waiting) >= b.cfg.Queue || d.link.moved {
		c.flags |= excused
	}
	d.waiting++
	return true
}

func (b *Book) command(dev int32, t payload.Tag) *command {
	return b.commands.find(b.devices[dev].commands, func(c *command) bool {
		return c.stream == t.Stream && c.sequence == t.Sequence
	})
}

// addressed returns the devices of a tag of a command: one, or of a broadcast
// all.
func (b *Book) addressed(t payload.Tag) (from, to int32) {
	if t.Stream == payload.Broadcast {
		return 0, int32(len(b.devices))
	}
	dev, ok := b.Dev(t)
	if !ok {
		return 0, 0
	}
	return dev, dev + 1
}

// Accepted notes that the broker has taken a command over.
func (b *Book) Accepted(t payload.Tag, now clock.Time) {
	if all := b.broadcasts[t.Sequence]; t.Stream == payload.Broadcast && all != nil {
		b.counts.Downlink.Accepted += all.devices
		all.at = now
	} else if t.Stream == payload.Command {
		b.counts.Downlink.Accepted++
	}
	for dev, end := b.addressed(t); dev < end; dev++ {
		c := b.command(dev, t)
		if c == nil || c.has(accepted) {
			continue
		}
		c.at = now
		c.flags |= accepted
		if !c.has(delivered | excused) {
			c.flags |= owed
			b.counts.Downlink.Missing++
		}
		b.tidyCommands(dev)
	}
}

// Failed notes that the broker has refused a command, or cannot be asked.
func (b *Book) Failed(t payload.Tag) {
	for dev, end := b.addressed(t); dev < end; dev++ {
		if c := b.command(dev, t); c != nil && !c.has(accepted) {
			c.flags |= failed
			b.tidyCommands(dev)
		}
	}
}

func (b *Book) tidyCommands(dev int32) {
	d := &b.devices[dev]
	b.commands.each(&d.commands, func(c *command) bool {
		done := c.has(failed) || c.has(accepted) && (c.qos < 2 && c.has(delivered|excused) || c.has(delivered) && c.has(released))
		if done {
			d.waiting--
		}
		return done
	})
}

// Delivered notes a command's arrival at a device, and reports whether it is
// late. If it is for another, it has gone astray, and counts for neither.
func (b *Book) Delivered(dev int32, t payload.Tag, now clock.Time) (late bool) {
	d := &b.devices[dev]
	n := &b.counts.Downlink
	if !b.isFor(dev, t) {
		n.Astray++
		b.trace(dev, now, event{kind: strayed, flags: hasSequence, number: t.Sequence})
		return false
	}
	got, last := &d.supplied.got, d.supplied.last
	if t.Stream == payload.Broadcast {
		got, last = &d.supplied.gotAll, b.broadcast
	}
	if t.Sequence == 0 || t.Sequence > last {
		return false // of another run
	}
	b.trace(dev, now, event{kind: arrived, flags: hasSequence, number: t.Sequence})
	c := b.command(dev, t)
	bit := uint64(0) // beyond the window
	if last-t.Sequence < window {
		bit = 1 << (last - t.Sequence)
	}
	if *got&bit != 0 || bit == 0 && c == nil || c != nil && c.has(delivered) {
		n.Duplicates++
		if c != nil && c.has(renumbered) && !c.has(excused) && !d.link.mixed {
			b.violate(DoubledCmd, dev, now, "%s arrived again, under another MsgId, at QoS 2", c)
			c.flags |= excused
		}
		return false
	}
	*got |= bit
	n.Delivered++
	if c == nil || c.has(again) {
		if c != nil {
			c.flags |= delivered
			b.tidyCommands(dev)
		}
		if all := b.broadcasts[t.Sequence]; t.Stream == payload.Broadcast && all != nil && d.supplied.forAll&bit == 0 {
			n.Published++
			if all.at != 0 {
				n.Accepted++
			} else {
				all.devices++
			}
		}
		return false
	}
	c.flags |= delivered
	if c.has(owed) {
		c.flags &^= owed
		n.Missing--
	}
	late = c.has(accepted) && c.deadline > 0 && now.Sub(c.at) > time.Duration(c.deadline)*time.Millisecond
	if late {
		n.Late++
	}
	b.tidyCommands(dev)
	return late
}

// sent notes a PUBLISH of the gateway. At QoS 2 it is doubled if the gateway
// has let go of the message already, or has sent it under another MsgId and
// knows that it has arrived.
func (b *Book) sent(dev int32, now clock.Time, p *mqttsn.Publish) {
	t, ok := payload.Parse(p.Payload)
	d := &b.devices[dev]
	got, last := d.supplied.got, d.supplied.last
	switch {
	case !ok || t.Stream != payload.Broadcast && t.Stream != payload.Command:
		return
	case !b.isFor(dev, t):
		b.stray(dev, now, t)
		return
	case t.Stream == payload.Broadcast:
		got, last = d.supplied.gotAll, b.broadcast
	}
	if t.Sequence == 0 || t.Sequence > last {
		return
	}
	c := b.command(dev, t)
	closed := c == nil && last-t.Sequence < window && got>>(last-t.Sequence)&1 != 0 // at QoS 2, released
	other := c != nil && c.has(passed) && !c.has(reconnected) && c.id != p.ID
	if p.QoS == 2 && !d.link.mixed && !d.link.restarted &&
		(closed || c != nil && !c.has(excused) && (c.has(released) || c.has(confirmed) && other)) {
		b.violate(DoubledCmd, dev, now, "%s %d was sent again, at QoS 2, though the device has confirmed it", streamName(t.Stream), t.Sequence)
		if c != nil {
			c.flags |= excused
		}
	}
	switch {
	case c == nil && (closed || p.QoS != 2 || last-t.Sequence >= window):
		return
	case c == nil: // not owed, but at QoS 2 to be told from what is closed
		c = b.commands.add(&d.commands, command{sequence: t.Sequence, stream: t.Stream, qos: 2, flags: excused | accepted | again})
		d.waiting++
	}
	if other && p.QoS == 2 {
		c.flags |= renumbered
	}
	c.flags |= passed
	c.flags &^= reconnected
	c.qos = min(c.qos, p.QoS)
	c.id = p.ID
}

// answers notes what a device says to requests of the gateway.
func (b *Book) answers(dev int32, now clock.Time, p mqttsn.Packet) {
	d := &b.devices[dev]
	switch p := p.(type) {
	case *mqttsn.Puback:
		d.asked.answered(now, p.Type(), p.ID)
		b.confirm(d, p.ID, p.Reason)
	case *mqttsn.Pubrec:
		d.asked.answered(now, p.Type(), p.ID)
		b.confirm(d, p.ID, mqttsn.Accepted)
	case *mqttsn.Pubcomp:
		d.asked.answered(now, p.Type(), p.ID)
	case *mqttsn.Regack:
		inTime := now.Sub(d.asked.at) < time.Second
		d.asked.answered(now, p.Type(), p.ID)
		switch p.Reason {
		case mqttsn.Accepted:
			d.asked.unnamed = d.asked.unnamed && !(inTime && d.asked.copies == 0)
		case mqttsn.Congestion:
			d.supplied.refuses = true
		default: // counts as unsubscribing, 1.2 §6.10
			b.forget(d)
		}
	case *mqttsn.Pingresp:
		d.asked.answered(now, p.Type(), 0)
	}
}

// confirm notes how a device has answered the PUBLISH of a MsgId.
func (b *Book) confirm(d *device, id uint16, why mqttsn.Reason) {
	if why == mqttsn.Congestion {
		d.supplied.refuses = true
	}
	c := b.commands.find(d.commands, func(c *command) bool { return c.has(passed) && !c.has(confirmed) && c.id == id && c.qos > 0 })
	switch {
	case c == nil || why == mqttsn.Congestion:
	case why == mqttsn.Accepted:
		c.flags |= confirmed
	default: // ends the exchange, even if some gateways correct the id and try again
		b.forgiveCommand(c)
	}
}

// releases notes a PUBREL of the gateway.
func (b *Book) releases(dev int32, id uint16) {
	b.commands.each(&b.devices[dev].commands, func(c *command) bool {
		if c.qos == 2 && c.has(passed) && c.id == id {
			c.flags |= released
		}
		return false
	})
	b.tidyCommands(dev)
}

// reconnect notes that MsgIds may begin anew.
func (b *Book) reconnect(d *device) {
	b.commands.each(&d.commands, func(c *command) bool {
		c.flags |= reconnected
		c.flags &^= renumbered
		return false
	})
}

// forget has nothing be owed to a device that is open, as its session is, or
// may be, over, and nothing more until it subscribes.
func (b *Book) forget(d *device) {
	d.supplied.subbed = false
	b.forgiveCommands(d)
}

func (b *Book) forgiveCommands(d *device) {
	b.commands.each(&d.commands, func(c *command) bool {
		b.forgiveCommand(c)
		return false
	})
}

func (b *Book) forgiveCommand(c *command) {
	c.flags |= excused
	if c.has(owed) {
		c.flags &^= owed
		b.counts.Downlink.Missing--
		b.counts.Downlink.Forgiven++
	}
}
