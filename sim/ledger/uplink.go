package ledger

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A stream is one topic of one device. What is not open any more is known by
// one bit, for window sequences back.
type stream struct {
	got   uint64 // bit i: the subscriber has got the report before the last by i
	last  uint32 // sequence
	since uint32 // the first at this QoS: of closed ones before it nothing is known
	qos   mqttsn.QoS
}

const window = 64

// maxOpen bounds the reports of one device that are kept though nothing is
// owed of them any more.
const maxOpen = 64

// holds reports whether the window reaches back to a sequence.
func (s *stream) holds(seq uint32) bool { return seq <= s.last && s.last-seq < window }

func (s *stream) has(seq uint32) bool { return s.holds(seq) && s.got>>(s.last-seq)&1 != 0 }

func (s *stream) mark(seq uint32) {
	if s.holds(seq) {
		s.got |= 1 << (s.last - seq)
	}
}

// A report is open: it is in flight, or acknowledged and has not arrived, or
// more copies of it may come. At QoS 0 and -1 it opens when it passes the tap.
type report struct {
	at       clock.Time // of its sending, its acknowledgement, or at QoS 0 of its passing
	sequence uint32
	before   uint32 // the first of the stream that was sent after its acknowledgement
	id       uint16 // MsgId, at QoS 1 and 2, of its last PUBLISH
	stream   uint8
	credits  uint8 // how often the gateway may publish it, as far as is seen at the tap
	arrived  uint8
	qos      mqttsn.QoS
	flags    flags
}

type flags uint16

const (
	owed    flags = 1 << iota // counted as Missing
	strict                    // if it is missing in the end, that is a fault
	excused                   // whatever happens to it is nobody's fault
	again                     // it was not open when it passed the tap

	others // flags from here on are of a report, or of a command
)

// Of reports.
const (
	settled   = others << iota // acknowledged, given up or refused
	unsettled                  // QoS 2: the gateway may hold its MsgId, until PUBCOMP
	letGo                      // QoS 2: the gateway need not hold it, since PUBREL
	overtaken                  // a later one has arrived
	declined                   // the gateway has refused its last PUBLISH: not every client looks what PUBACK says
)

// Of commands.
const (
	accepted = others << iota
	failed
	delivered
	passed      // its PUBLISH has passed the tap
	confirmed   // PUBACK or PUBREC has
	released    // PUBREL has
	renumbered  // a PUBLISH with another MsgId has
	reconnected // since then the device has connected
	passedOver  // the gateway had the occasion to send it, and did not
)

func (r *report) has(f flags) bool { return r.flags&f != 0 }

// more counts one more, as far as an octet goes.
func more(n uint8) uint8 { return n + min(1, ^n) }

// inexact reports are taken once for each datagram that carries one.
func inexact(q mqttsn.QoS) bool { return q <= 0 }

func (b *Book) stream(dev int32, n uint8) *stream {
	return &b.streams[int(dev)*b.cfg.Streams+int(n)]
}

func (b *Book) report(dev int32, t payload.Tag) *report {
	return b.reports.find(b.devices[dev].reports, func(r *report) bool {
		return r.stream == t.Stream && r.sequence == t.Sequence
	})
}

// Send notes a report that is handed to a device's client, and says how to
// tag it. At QoS 0 and -1 there is nothing more to be heard of it from there.
func (b *Book) Send(dev int32, n uint8, q mqttsn.QoS, now clock.Time) payload.Tag {
	d, s := &b.devices[dev], b.stream(dev, n)
	s.last++
	s.got <<= 1
	if s.qos != q || s.since == 0 {
		s.qos, s.since = q, s.last
	}
	t := payload.Tag{Device: b.number(dev), Stream: n, Sequence: s.last}
	b.trace(dev, now, event{kind: made, flags: qosFlags(q) | hasSequence, number: t.Sequence})
	open := 0
	b.reports.each(&d.reports, func(r *report) bool {
		open++
		if r.stream == n && r.has(settled) && !inexact(r.qos) && r.before == 0 {
			r.before = s.last
		}
		if r.stream == n && inexact(r.qos) && !s.holds(r.sequence) {
			if r.has(owed) && r.has(strict) {
				b.lostReport(dev, r, now)
			}
			return true
		}
		spare := open > maxOpen && r.has(settled) && !r.has(owed)
		d.link.haunted = d.link.haunted || spare && r.has(unsettled)
		return spare
	})
	b.counts.Uplink.Sent++
	if inexact(q) {
		b.counts.Uplink.Acknowledged++
		return t
	}
	b.counts.Uplink.InFlight++
	r := b.reports.add(&d.reports, report{at: now, sequence: t.Sequence, stream: n, qos: q})
	if d.link.moved || (d.link.mixed || d.link.haunted) && q == 2 {
		r.flags |= excused
	}
	return t
}

// Acknowledged notes that the gateway has taken a report over. At QoS 0 and -1
// it does nothing.
func (b *Book) Acknowledged(dev int32, t payload.Tag, now clock.Time) {
	r, s := b.report(dev, t), b.stream(dev, t.Stream)
	switch {
	case r == nil && (t.Sequence > s.last || t.Sequence >= s.since && !inexact(s.qos)), r != nil && r.has(settled) && !inexact(r.qos):
		b.violate(Balance, dev, now, "report %d of topic %d is acknowledged, but not in flight", t.Sequence, t.Stream)
		return
	case r == nil || inexact(r.qos):
		return
	}
	b.settle(r, &b.counts.Uplink.Acknowledged)
	r.at = now
	if r.has(letGo) {
		r.flags &^= unsettled | letGo
	}
	if r.arrived == 0 {
		if r.has(excused | declined) {
			b.counts.Uplink.Forgiven++
		} else {
			r.flags |= owed | strict
			b.counts.Uplink.Missing++
		}
	}
	b.tidy(dev)
}

// TimedOut notes that a device has given a report up: it may arrive or not.
func (b *Book) TimedOut(dev int32, t payload.Tag, now clock.Time) {
	b.giveUp(dev, t, &b.counts.Uplink.TimedOut, now)
}

// Refused notes that the gateway has refused a report.
func (b *Book) Refused(dev int32, t payload.Tag, now clock.Time) {
	b.giveUp(dev, t, &b.counts.Uplink.Refused, now)
}

func (b *Book) giveUp(dev int32, t payload.Tag, as *uint64, now clock.Time) {
	if r := b.report(dev, t); r != nil && !r.has(settled) {
		b.trace(dev, now, event{kind: gaveUp, flags: hasSequence, number: t.Sequence})
		b.settle(r, as)
		b.tidy(dev)
	}
}

func (b *Book) settle(r *report, as *uint64) {
	r.flags |= settled
	b.counts.Uplink.InFlight--
	*as++
}

// tidy closes what is done with.
func (b *Book) tidy(dev int32) { b.reports.each(&b.devices[dev].reports, b.done) }

// done reports whether nothing more has to be known of a report than whether
// it has arrived. At QoS 2 a MsgId that the gateway holds has: a new report
// that gets the same is taken for a copy of the old one.
func (b *Book) done(r *report) bool {
	switch {
	case !r.has(settled) || r.has(owed):
		return false
	case inexact(r.qos) || r.credits > 1 || r.has(again):
		return r.arrived >= r.credits && !r.has(unsettled)
	}
	return !r.has(unsettled)
}

// forgive has nobody be at fault for what happens to a report.
func (b *Book) forgive(r *report) {
	r.flags |= excused
	if r.has(owed) {
		r.flags &^= owed
		b.counts.Uplink.Missing--
		b.counts.Uplink.Forgiven++
	}
}

// Received notes a report's arrival at the subscriber, which must have
// subscribed at QoS 2.
func (b *Book) Received(t payload.Tag, now clock.Time) {
	dev, ok := b.Dev(t)
	if !ok || int(t.Stream) >= b.cfg.Streams {
		b.violate(StrangeReport, -1, now, "a report %+v arrived, of a device or topic that is none of the group's", t)
		return
	}
	s := b.stream(dev, t.Stream)
	if t.Sequence == 0 || t.Sequence > s.last {
		b.violate(StrangeReport, dev, now, "report %d of topic %d arrived, but the last that was sent is %d", t.Sequence, t.Stream, s.last)
		return
	}
	b.trace(dev, now, event{kind: received, flags: hasSequence, number: t.Sequence})
	r := b.report(dev, t)
	if r == nil {
		b.arriveClosed(dev, s, t, now)
		return
	}
	r.arrived = more(r.arrived)
	if r.arrived > 1 || r.has(again) {
		b.counts.Uplink.Duplicates++
	} else {
		b.arrive(dev, s, t, r.qos)
	}
	switch {
	case r.has(excused):
	case r.credits == 0:
		b.violate(StrangeReport, dev, now, "report %d of topic %d arrived, but the radio has not carried it", t.Sequence, t.Stream)
	case r.arrived > r.credits && r.qos != 1:
		b.doubled(dev, t, r.qos, now)
	case r.has(overtaken) && r.arrived == 1:
		b.violate(Order, dev, now, "report %d of topic %d arrived after one that was sent when it was acknowledged already", t.Sequence, t.Stream)
	}
	if r.has(owed) {
		r.flags &^= owed
		b.counts.Uplink.Missing--
	}
	b.tidy(dev)
}

// arriveClosed notes the arrival of a report that is not open: it was given
// up, or never carried, or has arrived before.
func (b *Book) arriveClosed(dev int32, s *stream, t payload.Tag, now clock.Time) {
	known := s.holds(t.Sequence) && t.Sequence >= s.since
	if s.holds(t.Sequence) && !s.has(t.Sequence) {
		q := mqttsn.QoS(0)
		if known {
			q = s.qos
		}
		b.arrive(dev, s, t, q)
		if known && inexact(s.qos) {
			b.violate(StrangeReport, dev, now, "report %d of topic %d arrived, but the radio has not carried it", t.Sequence, t.Stream)
		}
		return
	}
	b.counts.Uplink.Duplicates++
	if known && s.qos != 1 {
		b.doubled(dev, t, s.qos, now)
	}
}

// arrive notes a first arrival. What was acknowledged before it was sent, on
// the same topic and at the same QoS, should have come before it.
func (b *Book) arrive(dev int32, s *stream, t payload.Tag, q mqttsn.QoS) {
	s.mark(t.Sequence)
	b.counts.Uplink.Received++
	if inexact(q) {
		return
	}
	b.reports.each(&b.devices[dev].reports, func(o *report) bool {
		if o.stream == t.Stream && o.qos == q && o.has(owed) && o.before != 0 && o.before <= t.Sequence {
			o.flags |= overtaken
		}
		return false
	})
}

func (b *Book) doubled(dev int32, t payload.Tag, q mqttsn.QoS, now clock.Time) {
	if q == 2 {
		b.violate(DoubledReport, dev, now, "report %d of topic %d arrived again, at QoS 2", t.Sequence, t.Stream)
		return
	}
	b.violate(DoubledReport, dev, now, "report %d of topic %d arrived more often than the radio carried it, at QoS %d", t.Sequence, t.Stream, q)
}

func (b *Book) lostReport(dev int32, r *report, now clock.Time) {
	how := "was acknowledged"
	if inexact(r.qos) {
		how = "reached the gateway on a live connection"
	}
	b.violate(LostReport, dev, now, "report %d of topic %d %s at %v and never arrived", r.sequence, r.stream, how, r.at.Sub(b.start))
}
