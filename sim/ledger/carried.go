package ledger

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// carry notes that a report passed the tap.
func (b *Book) carry(dev int32, now clock.Time, p *mqttsn.Publish, t payload.Tag) {
	d, s := &b.devices[dev], b.stream(dev, t.Stream)
	if t.Sequence == 0 || t.Sequence > s.last {
		return
	}
	r := b.report(dev, t)
	if r != nil && d.link.misnames(p.Topic) {
		b.forgive(r)
	}
	switch {
	case inexact(p.QoS):
		b.carryOnce(dev, now, p, t)
	case r != nil && p.QoS == 1:
		r.credits = 1
		r.id = p.ID
		r.flags &^= declined
	case p.QoS == 2:
		if r == nil {
			if !s.holds(t.Sequence) {
				return
			}
			r = b.reports.add(&d.reports, report{at: now, sequence: t.Sequence, stream: t.Stream, qos: 2, flags: settled})
			if s.has(t.Sequence) {
				r.flags |= again
			} else {
				r.credits++ // for the copy that was given up
			}
		}
		if !r.has(unsettled) || r.has(letGo) || r.id != p.ID {
			r.flags |= unsettled
			r.flags &^= letGo
			r.id = p.ID
			r.credits = more(r.credits)
		}
		held := b.reports.find(d.reports, func(o *report) bool { return o != r && o.has(unsettled) && o.id == p.ID })
		if held != nil {
			b.forgive(r)
		}
	}
}

// carryOnce is carry at QoS 0 and -1: each datagram is a message.
func (b *Book) carryOnce(dev int32, now clock.Time, p *mqttsn.Publish, t payload.Tag) {
	d, s := &b.devices[dev], b.stream(dev, t.Stream)
	if r := b.report(dev, t); r != nil {
		r.credits = more(r.credits)
		return
	}
	if !s.holds(t.Sequence) {
		return
	}
	r := report{at: now, sequence: t.Sequence, stream: t.Stream, qos: p.QoS, credits: 1, flags: settled}
	if s.has(t.Sequence) {
		r.flags |= again
	} else {
		b.counts.Uplink.Carried++
		b.counts.Uplink.Missing++
		r.flags |= owed
		if b.cfg.Exact && p.QoS == 0 && d.live(now) && !d.asked.vain(now) && !d.link.misnames(p.Topic) {
			r.flags |= strict
		}
	}
	b.reports.add(&d.reports, r)
}

// declines notes a PUBACK that says why a report is not taken. Without a MsgId
// it is for one at QoS 0.
func (b *Book) declines(d *device, p *mqttsn.Puback) {
	if p.ID == 0 {
		b.excuse(d)
		return
	}
	b.reports.each(&d.reports, func(r *report) bool {
		if !inexact(r.qos) && !r.has(settled) && r.id == p.ID {
			r.flags |= declined
		}
		return false
	})
}

// release notes a PUBREL at the tap: if it is heard, the gateway takes the next
// PUBLISH that has its MsgId for a new one.
func (b *Book) release(dev int32, id uint16) {
	b.reports.each(&b.devices[dev].reports, func(r *report) bool {
		if r.has(unsettled) && r.id == id {
			r.flags |= letGo
		}
		return false
	})
}

// complete notes a PUBCOMP: the gateway has heard PUBREL. With every it notes
// a clean CONNECT, which ends all exchanges.
func (b *Book) complete(dev int32, id uint16, every bool) {
	b.reports.each(&b.devices[dev].reports, func(r *report) bool {
		if every || r.has(letGo) && r.id == id {
			r.flags &^= unsettled | letGo
		}
		return b.done(r)
	})
}

// excuse has what a device sent at QoS 0 since it was last answered not be
// owed: the gateway says that it does not know the device, or its topic id.
func (b *Book) excuse(d *device) {
	b.reports.each(&d.reports, func(r *report) bool {
		if inexact(r.qos) && r.at >= d.proved {
			r.flags &^= strict
		}
		return false
	})
}
