package ledger

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// Up notes a packet of a device that reaches the gateway. With sockets, call
// it before the datagram is written.
func (b *Book) Up(dev int32, now clock.Time, p mqttsn.Packet) {
	d := &b.devices[dev]
	b.packet(dev, now, up, p)
	d.hear(now)
	switch p := p.(type) {
	case *mqttsn.Connect:
		b.connects(dev, now, p)
	case *mqttsn.Willtopic:
		d.link.will = len(p.Topic) > 0
		d.rest.ask(now, p.Type(), b.cfg.Slack)
	case *mqttsn.Willtopicupd:
		d.link.armed = d.link.armed && len(p.Topic) > 0
		d.rest.ask(now, p.Type(), b.cfg.Slack)
	case *mqttsn.Willmsg:
		d.link.told = d.link.will
		d.rest.ask(now, p.Type(), b.cfg.Slack)
	case *mqttsn.Disconnect:
		if p.Duration == 0 {
			d.leave()
			break
		}
		d.link.wish = inSeconds(p.Duration)
		d.rest.ask(now, p.Type(), b.cfg.Slack)
	case *mqttsn.Subscribe:
		d.supplied.subbed, d.supplied.outdated = false, d.supplied.outdated && p.ID == d.subscribe
		d.subscribe = p.ID
		d.rest.ask(now, p.Type(), b.cfg.Slack)
	case *mqttsn.Unsubscribe:
		d.supplied.subbed = false
		d.rest.ask(now, p.Type(), b.cfg.Slack)
	case *mqttsn.Publish:
		if p.QoS > 0 {
			d.rest.ask(now, p.Type(), b.cfg.Slack)
		} else {
			d.rest.open(now, b.cfg.Slack)
		}
		t, ok := payload.Parse(p.Payload)
		if n, ours := b.Dev(t); ok && ours && n == dev && int(t.Stream) < b.cfg.Streams {
			b.carry(dev, now, p, t)
		}
	case *mqttsn.Pubrel:
		d.rest.ask(now, p.Type(), b.cfg.Slack)
		b.release(dev, p.ID)
	case *mqttsn.Pingreq, *mqttsn.Register, *mqttsn.Willmsgupd:
		d.rest.ask(now, p.Type(), b.cfg.Slack)
	default:
		d.rest.open(now, b.cfg.Slack)
	}
	b.answers(dev, now, p)
}

// Down notes a packet that the gateway sends to a device's address, whether it
// arrives there or not. With sockets, call it when the datagram is read.
func (b *Book) Down(dev int32, now clock.Time, p mqttsn.Packet) {
	d := &b.devices[dev]
	b.packet(dev, now, down, p)
	switch p.(type) {
	case *mqttsn.Advertise, *mqttsn.Gwinfo, *mqttsn.Searchgw:
		return // are for everybody
	}
	d.spoken = now
	if d.rest.closed(now) && !d.link.moved && !b.maySayGone(d, now, p) {
		b.violate(SleeperHeard, dev, now, "%v was sent to a device whose radio is off since %v", p.Type(), d.rest.since.Sub(b.start))
	}
	switch p := p.(type) {
	case *mqttsn.Connack:
		b.connected(d, now, p)
	case *mqttsn.Regack:
		d.link.named(p)
	case *mqttsn.Suback:
		if p.Reason == mqttsn.Accepted {
			d.link.wanted = p.TopicID
		}
		if p.ID == d.subscribe {
			d.supplied.subbed = p.Reason == mqttsn.Accepted && d.link.state == connected && !d.link.moved && !d.supplied.outdated
			d.supplied.granted, d.asked.unnamed = p.QoS, false
		}
	case *mqttsn.Publish:
		b.sent(dev, now, p)
	case *mqttsn.Pubrel:
		b.releases(dev, p.ID)
	case *mqttsn.Pubcomp:
		b.complete(dev, p.ID, false)
	case *mqttsn.Puback:
		if p.Reason != mqttsn.Accepted {
			b.declines(d, p)
		}
	case *mqttsn.Pingresp:
		if d.rest.pings > 0 && d.rest.sleeper {
			b.flushed(dev, now)
		}
	case *mqttsn.Disconnect:
		if d.dismissed(now); d.link.state == dropped {
			b.excuse(d)
		}
	case *mqttsn.Willtopicreq, *mqttsn.Willmsgreq:
		if d.link.state == connected { // a CONNECT has come again
			d.link.state = connecting
		}
	}
	if d.asked.ask(now, p); p.Type() == mqttsn.TypeRegister && d.asked.copies >= spent {
		b.forgiveCommands(d) // the message may be given up, 1.2 §6.10, and with it the name
		d.asked.unnamed = true
	}
	d.rest.answer(now, p.Type(), b.cfg.Slack, b.cfg.Exact)
	if p.Type() == mqttsn.TypePingresp || answers[p.Type()] {
		d.answered()
		b.met(dev, now)
	}
}

// maySayGone reports whether p may be the answer of a gateway that has no
// connection to anything that the device has said, a report at QoS 0 for one.
// What looked like the answer to its request to sleep was such an answer then,
// too.
func (b *Book) maySayGone(d *device, now clock.Time, p mqttsn.Packet) bool {
	grace := patience
	if b.cfg.Exact {
		grace = b.cfg.Slack
	}
	return p.Type() == mqttsn.TypeDisconnect && now.Sub(d.heard) <= grace
}

// Lost notes, for the trace, what became of a packet on the radio: on its way
// up before the tap, on its way down after it.
func (b *Book) Lost(dev int32, now clock.Time, isUp bool, p mqttsn.Packet, why Fate) {
	k := down
	if isUp {
		k = up
	}
	e := outline(k, p)
	e.fate = why
	b.trace(dev, now, e)
}

// State notes a device's state, for the trace.
func (b *Book) State(dev int32, now clock.Time, s uint8) {
	b.trace(dev, now, event{kind: entered, typ: s})
}
