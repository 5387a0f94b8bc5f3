package ledger

import (
	"dormouse/mqttsn/clock"
)

// lostCommands finds what the gateway has passed over and not sent since, at
// the end of a session or of the run.
func (b *Book) lostCommands(dev int32, now clock.Time) {
	b.commands.each(&b.devices[dev].commands, func(c *command) bool {
		if c.has(owed) && c.has(passedOver) && !c.has(passed) {
			b.violate(LostCommand, dev, now, "%v was accepted at %v, the device was there and subscribed, and it was never sent", c, c.at.Sub(b.start))
			b.forgiveCommand(c)
		}
		return false
	})
}

// due reports whether the gateway had a command before a time.
func (b *Book) due(c *command, before clock.Time) bool {
	return c.has(owed) && c.qos > 0 && !c.has(confirmed) && c.at.Add(b.cfg.Slack) <= before
}

// flushed notes a PINGRESP to a sleeper: what the gateway had for it when it
// woke should have come, and been confirmed. That is not so if the device has
// let the gateway ask in vain, or has asked for mercy.
func (b *Book) flushed(dev int32, now clock.Time) {
	d := &b.devices[dev]
	if d.link.moved || d.link.state != connected || d.supplied.refuses || d.asked.copies >= spent {
		return
	}
	b.commands.each(&d.commands, func(c *command) bool {
		if !b.due(c, d.rest.ping) || c.has(passedOver) {
			return false
		}
		c.flags |= passedOver
		what := "was not sent"
		if c.has(passed) {
			what = "was not confirmed"
		}
		b.violate(EarlyPingresp, dev, now, "PINGRESP came, but %s, accepted at %v, %s", c, c.at.Sub(b.start), what)
		return false
	})
}

// met notes that the gateway has answered a device that does not sleep. If it
// has had nothing else to say to it for long, it has passed over what it had.
func (b *Book) met(dev int32, now clock.Time) {
	d := &b.devices[dev]
	long := patience + b.cfg.Slack
	if d.commands == 0 || !d.live(now) || d.rest.sleeper || d.rest.dozes > 0 || d.supplied.refuses ||
		d.asked.copies > 0 || now.Sub(d.asked.idle) < long || now.Sub(d.link.since) < long {
		return
	}
	b.commands.each(&d.commands, func(c *command) bool {
		if b.due(c, d.proved-clock.Time(patience)) && !c.has(passed) {
			c.flags |= passedOver
		}
		return false
	})
}
