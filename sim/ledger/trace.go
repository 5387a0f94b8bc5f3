package ledger

import (
	"fmt"
	"strings"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A Fate is what became of a packet on the radio.
type Fate uint8

// The fates.
const (
	FateCarried Fate = iota
	FateLost
	FateTooLong
	FateOutage
	FateDuty   // the duty cycle was used up
	FateAsleep // the device's radio is off
	FateNAT    // there is nobody at this address any more
	FateLate   // it arrived when it was of no use any more
)

func (f Fate) String() string {
	return [...]string{"", "lost", "too long", "outage", "duty cycle", "radio off", "nobody there", "late"}[f]
}

// An event is what happened to a device, for its trace: 16 octets, no pointer.
type event struct {
	at     uint32 // milliseconds since the start
	number uint32 // a sequence, reason or duration in seconds, as the flags say
	id     uint16
	topic  uint16
	kind   kind
	typ    uint8 // of the packet; the state entered
	fate   Fate
	flags  traits
}

type kind uint8

const (
	_ kind = iota
	up
	down
	made     // a report
	gaveUp   // a report: it was refused, or not answered
	received // a report, at the subscriber
	ordered  // a command
	arrived  // a command, at the device
	strayed  // a command for another, at the device
	entered  // a state
	willed   // its will was published
	rebooted
	moved     // its address has changed
	restarted // the gateway
	unsubscribed
)

type traits uint8

const (
	qosMask     traits = 3 // QoS; 3 is -1
	hasQoS      traits = 4
	hasSequence traits = 8
	hasReason   traits = 16
	hasSeconds  traits = 32
	hasDUP      traits = 64
	hasClean    traits = 128
)

func qosFlags(q mqttsn.QoS) traits { return traits(q)&qosMask | hasQoS }

// outline is what a trace says of a packet.
func outline(k kind, p mqttsn.Packet) event {
	e := event{kind: k, typ: uint8(p.Type())}
	reason := func(r mqttsn.Reason) { e.flags, e.number = e.flags|hasReason, uint32(r) }
	seconds := func(d time.Duration) { e.flags, e.number = e.flags|hasSeconds, uint32(d/time.Second) }
	switch p := p.(type) {
	case *mqttsn.Connect:
		seconds(p.KeepAlive)
		if p.CleanSession {
			e.flags |= hasClean
		}
	case *mqttsn.Connack:
		reason(p.Reason)
	case *mqttsn.Register:
		e.id, e.topic = p.ID, p.TopicID
	case *mqttsn.Regack:
		e.id, e.topic = p.ID, p.TopicID
		reason(p.Reason)
	case *mqttsn.Publish:
		e.id, e.topic, e.flags = p.ID, p.Topic.ID, qosFlags(p.QoS)
		if p.DUP {
			e.flags |= hasDUP
		}
		if t, ok := payload.Parse(p.Payload); ok {
			e.flags, e.number = e.flags|hasSequence, t.Sequence
		}
	case *mqttsn.Puback:
		e.id, e.topic = p.ID, p.TopicID
		reason(p.Reason)
	case *mqttsn.Pubrec:
		e.id = p.ID
	case *mqttsn.Pubrel:
		e.id = p.ID
	case *mqttsn.Pubcomp:
		e.id = p.ID
	case *mqttsn.Subscribe:
		e.id, e.topic, e.flags = p.ID, p.Topic.ID, qosFlags(p.QoS)
	case *mqttsn.Suback:
		e.id, e.topic, e.flags = p.ID, p.TopicID, qosFlags(p.QoS)
		reason(p.Reason)
	case *mqttsn.Unsubscribe:
		e.id, e.topic = p.ID, p.Topic.ID
	case *mqttsn.Unsuback:
		e.id = p.ID
	case *mqttsn.Disconnect:
		if p.Duration > 0 {
			seconds(p.Duration)
		}
	}
	return e
}

func (b *Book) packet(dev int32, now clock.Time, k kind, p mqttsn.Packet) {
	if b.cfg.Trace > 0 {
		b.trace(dev, now, outline(k, p))
	}
}

// trace keeps an event, in place of the oldest.
func (b *Book) trace(dev int32, now clock.Time, e event) {
	n := uint32(b.cfg.Trace)
	if n == 0 {
		return
	}
	e.at = uint32(now.Sub(b.start) / time.Millisecond)
	d := &b.devices[dev]
	b.traces[uint32(dev)*n+d.events%n] = e
	d.events++
}

// Trace returns what happened to a device last, oldest first, one line each.
func (b *Book) Trace(dev int32) []string {
	n, events := uint32(b.cfg.Trace), b.devices[dev].events
	var lines []string
	for i := events - min(events, n); i < events; i++ {
		lines = append(lines, b.line(&b.traces[uint32(dev)*n+i%n]))
	}
	return lines
}

// line writes an event, such as "+12.300s up   PUBLISH id 7 qos 1 seq 12 lost".
func (b *Book) line(e *event) string {
	var w strings.Builder
	fmt.Fprintf(&w, "+%.3fs ", float64(e.at)/1000)
	switch e.kind {
	case up, down:
		way := "up  "
		if e.kind == down {
			way = "down"
		}
		fmt.Fprintf(&w, "%s %v", way, mqttsn.Type(e.typ))
	case entered:
		if int(e.typ) < len(b.cfg.States) {
			return w.String() + "is " + b.cfg.States[e.typ]
		}
		fmt.Fprintf(&w, "is in state %d", e.typ)
	default:
		w.WriteString([...]string{made: "report", gaveUp: "report given up", received: "report at the subscriber", ordered: "command published",
			arrived: "command at the device", strayed: "command for another at the device", willed: "will published", rebooted: "reboots",
			moved: "has another address", restarted: "gateway restarted", unsubscribed: "is published to elsewhere"}[e.kind])
	}
	if e.id != 0 {
		fmt.Fprintf(&w, " id %d", e.id)
	}
	if e.topic != 0 {
		fmt.Fprintf(&w, " topic %d", e.topic)
	}
	if e.flags&hasQoS != 0 {
		q := int(e.flags & qosMask)
		if q == 3 {
			q = -1
		}
		fmt.Fprintf(&w, " qos %d", q)
	}
	if e.flags&hasDUP != 0 {
		w.WriteString(" dup")
	}
	if e.flags&hasClean != 0 {
		w.WriteString(" clean")
	}
	switch {
	case e.flags&hasSequence != 0:
		fmt.Fprintf(&w, " seq %d", e.number)
	case e.flags&hasSeconds != 0:
		fmt.Fprintf(&w, " for %ds", e.number)
	case e.flags&hasReason != 0 && e.number != 0:
		fmt.Fprintf(&w, " %v", mqttsn.Reason(e.number))
	}
	if e.fate != FateCarried {
		w.WriteString(" " + e.fate.String())
	}
	return w.String()
}
