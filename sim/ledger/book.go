// Package ledger is the oracles of a simulated fleet. A [Book] is told what
// devices did, what passed the gateway's end of the radio (the tap), and what
// the MQTT side saw, and says where the gateway broke its word. It knows
// nothing of how a gateway works, and in doubt it blames none: whoever loses,
// doubles, delays or reorders datagrams on the radio cannot make it.
//
// It is pure and not safe for concurrent use. A device costs less than 300
// octets, besides its trace.
package ledger

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// Config is what a Book has to know of its devices. They are numbered from 0
// in the book.
type Config struct {
	Group   string
	Devices int
	First   uint32 // the number in the run, as in tags, of device 0
	Index   int    // the number in its group of device 0
	Stride  int    // from one device to the next, of both; zero: 1
	GroupID uint32 // in place of a device in the tags of broadcasts
	Streams int    // topics that a device publishes to; at most 250

	// Forgets says that the gateway forgets its sessions when it is restarted.
	Forgets bool

	// Exact says that nothing is lost on the other side of the tap: no socket
	// and no queue is between it and the gateway, and the subscriber takes
	// whatever comes. What passes the tap at QoS 0 is then owed, too.
	Exact bool

	// Slack is how much later than it happened something may be seen here;
	// zero: 1 s. With sockets and processes between, allow some seconds.
	Slack time.Duration

	// Queue is how many messages the gateway keeps for one device at least:
	// of more nothing is owed. Zero: 1000.
	Queue int

	Trace  int      // events kept of each device; zero: 24, less: none
	States []string // the names of the states of devices, in traces
}

// A Book is the ledger of devices that are alike.
type Book struct {
	cfg     Config
	start   clock.Time
	devices []device
	streams []stream // Streams for each device
	traces  []event  // Trace for each device

	reports    pool[report]
	commands   pool[command]
	broadcasts map[uint32]*broadcast
	broadcast  uint32 // the last one's sequence

	counts Counts
	first  []Violation
	byRule map[Rule]uint64
}

// A device is what is known of one device, mostly as the gateway must see it.
type device struct {
	heard  clock.Time // something of it passed the tap
	proved clock.Time // the last that did before the gateway answered anything
	spoken clock.Time // the gateway sent it something

	link     link
	supplied supplied
	rest     rest
	asked    asked

	reports  uint32 // what is open
	commands uint32
	waiting  uint16 // commands that are open

	subscribe uint16 // the MsgId of the last SUBSCRIBE
	events    uint32 // traced
}

// supplied is how far a device's commands have come.
type supplied struct {
	got      uint64     // bit i: it has got the one before the last by i
	gotAll   uint64     // the same, of broadcasts
	forAll   uint64     // and whether the broadcast was for it when it was published
	last     uint32     // sequence
	granted  mqttsn.QoS // by SUBACK
	subbed   bool       // SUBACK has passed, and nothing that would undo it
	outdated bool       // its last SUBSCRIBE is to what is no longer published
	refuses  bool       // it reported congestion: the gateway holds what is for it
}

// New returns an empty book.
func New(c Config, start clock.Time) *Book {
	c.Stride = max(c.Stride, 1)
	if c.Slack == 0 {
		c.Slack = time.Second
	}
	if c.Queue == 0 {
		c.Queue = 1000
	}
	switch {
	case c.Trace == 0:
		c.Trace = 24
	case c.Trace < 0:
		c.Trace = 0
	}
	return &Book{
		cfg:        c,
		start:      start,
		devices:    make([]device, c.Devices),
		streams:    make([]stream, c.Devices*c.Streams),
		traces:     make([]event, c.Devices*c.Trace),
		broadcasts: make(map[uint32]*broadcast),
		byRule:     make(map[Rule]uint64),
	}
}

// number returns the number in the run of a device.
func (b *Book) number(dev int32) uint32 { return b.cfg.First + uint32(int(dev)*b.cfg.Stride) }

// Dev returns which device of the book a tag names. Those of broadcasts name
// none.
func (b *Book) Dev(t payload.Tag) (dev int32, ok bool) {
	n := int64(t.Device) - int64(b.cfg.First)
	ok = t.Stream != payload.Broadcast && n >= 0 && n%int64(b.cfg.Stride) == 0 && n/int64(b.cfg.Stride) < int64(len(b.devices))
	if !ok {
		return 0, false
	}
	return int32(n / int64(b.cfg.Stride)), true
}

// Rebooted notes that a device has forgotten everything: what it had under way
// is given up.
func (b *Book) Rebooted(dev int32, now clock.Time) {
	d := &b.devices[dev]
	b.trace(dev, now, event{kind: rebooted})
	b.reports.each(&d.reports, func(r *report) bool {
		if r.has(settled) {
			return false
		}
		b.settle(r, &b.counts.Uplink.TimedOut)
		return b.done(r)
	})
}

// Moved notes that a device has another address than the gateway believes, or
// that another device has got the one it had: NAT rebinding, port reuse. Until
// it has connected again it is not the gateway's fault what it is sent, what
// it misses, and whether it is taken for lost.
func (b *Book) Moved(dev int32, now clock.Time) {
	b.trace(dev, now, event{kind: moved})
	d := &b.devices[dev]
	d.link.moved, d.link.mixed, d.link.strayed = true, true, true
	if d.link.state == connecting { // CONNACK may come to somebody else, and somebody else's to it
		d.link.state = dropped
	}
	d.rest = rest{}
	b.forgiveCommands(d)
	b.reports.each(&d.reports, func(r *report) bool {
		switch {
		case !r.has(settled):
			r.flags |= excused
		case inexact(r.qos) && r.at == now: // it may be that which came from the old address
			r.flags &^= strict
		}
		return false
	})
}

// Restarted notes that the gateway was killed. Of virtual connections it need
// not know anything then: wills are not owed, and sessions that end with the
// connection are over. If it forgets everything, nothing at all is owed of
// what was open.
func (b *Book) Restarted(now clock.Time) {
	for i := range b.devices {
		d := &b.devices[i]
		b.trace(int32(i), now, event{kind: restarted})
		d.link.restarted = true
		d.rest.forget()
		d.asked = asked{unnamed: d.asked.unnamed && !b.cfg.Forgets}
		if b.cfg.Forgets {
			d.link.state, d.link.armed, d.rest = unknown, false, rest{}
		}
		b.reports.each(&d.reports, func(r *report) bool {
			if b.cfg.Forgets || r.qos <= 0 {
				b.forgive(r)
			}
			return b.done(r)
		})
		if b.cfg.Forgets || !d.link.durable {
			b.forget(d)
		}
	}
	if b.cfg.Forgets {
		for i := range b.streams {
			b.streams[i].since = b.streams[i].last + 1
		}
	}
}

// Close ends the run: what is owed and has not come is lost.
func (b *Book) Close(now clock.Time) {
	inFlight := uint64(0)
	for i := range b.devices {
		dev, d := int32(i), &b.devices[i]
		b.reports.each(&d.reports, func(r *report) bool {
			if !r.has(settled) {
				inFlight++
			}
			if r.has(owed) && r.has(strict) && now >= r.at.Add(b.cfg.Slack) {
				b.lostReport(dev, r, now)
			}
			return false
		})
		b.lostCommands(dev, now)
		b.closeWill(dev, now)
	}
	u := &b.counts.Uplink
	if u.InFlight != inFlight || u.Sent != u.Acknowledged+u.TimedOut+u.Refused+u.InFlight {
		b.violate(Balance, -1, now, "%d reports were sent, but %d acknowledged, %d timed out, %d refused, and %d (%d by count) are in flight",
			u.Sent, u.Acknowledged, u.TimedOut, u.Refused, inFlight, u.InFlight)
	}
}

// Counts returns where the book stands.
func (b *Book) Counts() Counts { return b.counts }
