package ledger

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// isFor reports whether the tag of a command is of one for a device.
func (b *Book) isFor(dev int32, t payload.Tag) bool {
	if t.Stream == payload.Broadcast {
		return t.Device == b.cfg.GroupID
	}
	n, ok := b.Dev(t)
	return ok && n == dev
}

// stray notes that a command is sent to a device that it is not for. Of one
// that has had another's address, or whose address another has got, the gateway
// may not know better; commands that are not of this book may be of another run.
func (b *Book) stray(dev int32, now clock.Time, t payload.Tag) {
	l := &b.devices[dev].link
	n, ours := b.Dev(t)
	if l.strayed || l.state != connected || l.restarted || t.Stream != payload.Command ||
		!ours || t.Sequence == 0 || t.Sequence > b.devices[n].supplied.last {
		return
	}
	b.violate(StrayCommand, dev, now, "command %d for device %d was sent to this one", t.Sequence, b.cfg.Index+int(n)*b.cfg.Stride)
}

// Misfiled notes that a report has come to the subscriber on topic, which is
// another than it was sent to. It is told besides Received. Own says that it is
// another topic of the same device: a datagram that is late may carry a topic id
// that means something else by now, and that is nobody's fault.
func (b *Book) Misfiled(t payload.Tag, topic string, own bool, now clock.Time) {
	dev, ok := b.Dev(t)
	if !ok {
		return
	}
	b.counts.Uplink.Misfiled++
	if l := &b.devices[dev].link; !own && !l.strayed {
		b.violate(MisfiledReport, dev, now, "report %d of topic %d came on topic %q, which is not the device's", t.Sequence, t.Stream, topic)
	}
}

// misnames reports whether a report goes to what its device has subscribed to,
// where no subscriber waits for it. That is nobody's fault: a CONNECT that was
// late has ended the session in which the id meant what the device believes.
func (l *link) misnames(t mqttsn.Topic) bool {
	return t.Kind == mqttsn.TopicNormal && t.ID != 0 && t.ID == l.wanted
}

// named notes that an id means what the device publishes to: that alone is what
// devices register.
func (l *link) named(p *mqttsn.Regack) {
	if p.Reason == mqttsn.Accepted && p.TopicID == l.wanted {
		l.wanted = 0
	}
}
