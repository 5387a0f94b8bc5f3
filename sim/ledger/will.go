package ledger

import "dormouse/mqttsn/clock"

// WillPublished notes that a device's will has arrived at a subscriber. It is
// the gateway's fault if the device was heard within its keep alive period or
// sleep duration, unless it has left a request of the gateway unanswered; if
// it had said goodbye; and if it comes again for the same loss.
func (b *Book) WillPublished(dev int32, now clock.Time) {
	b.counts.Wills.Fired++
	b.trace(dev, now, event{kind: willed})
	d := &b.devices[dev]
	l := &d.link
	slack := b.cfg.Slack
	second := l.fired
	l.suspected = true
	if l.moved || l.restarted {
		return
	}
	switch l.state {
	case unknown:
		if d.heard == 0 {
			b.violate(FalseWill, dev, now, "a will was published for a device that was never there")
		}
		return
	case gone:
		if now.Sub(l.left) > slack {
			b.violate(FalseWill, dev, now, "a will was published for a device that said goodbye at %v", l.left.Sub(b.start))
		}
		return
	case connected:
	default:
		return
	}
	if now.Sub(l.since) <= slack {
		return
	}
	l.fired = true
	least, silence := d.least(), now.Sub(d.proved)
	switch {
	case second:
		b.violate(FalseWill, dev, now, "a will was published again for the same loss")
	case least > 0 && silence >= least-min(slack, least/4):
	case l.gap != 0 && now.Sub(l.gap) <= max(slack, least/2):
	case d.asked.vain(now):
	case least == 0:
		b.violate(FalseWill, dev, now, "a will was published for a device that asked for no supervision, and owes no answer")
	default:
		b.violate(FalseWill, dev, now, "a will was published %v after the device was heard, which has to be heard every %v", silence, least)
	}
}

// closeWill finds a device that is lost without its will having been
// published: it has been silent, and the gateway too, for twice as long as it
// may, and a minute.
func (b *Book) closeWill(dev int32, now clock.Time) {
	d := &b.devices[dev]
	l := &d.link
	n := d.most()
	if l.state != connected || !l.armed || l.fired || l.suspected || l.moved || l.restarted || n == 0 {
		return
	}
	if last := max(d.heard, d.spoken); now.Sub(last) > n {
		b.counts.Wills.Missing++
		b.violate(LostWill, dev, now, "the device was silent from %v on, and no will was published", last.Sub(b.start))
	}
}
