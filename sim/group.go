package sim

import (
	"errors"
	"strconv"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim/energy"
	"dormouse/sim/ledger"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// A group is a Group of the plan, or the part of it that is in this fleet.
type group struct {
	plan   *Group
	index  int
	number uint32 // of the group's first device in the run
	low    int    // of the first device here, in the group
	first  int32  // of the first device here, in the fleet
	count  int    // devices here
	pool   pool

	client   client.Config // shared by the clients
	clientID pattern
	topics   []topic
	command  pattern // nil: nothing is subscribed to
	will     pattern // nil: none
	identity pattern // nil: devices speak plain UDP
	silent   bool    // devices have nothing that needs a connection

	workload workload.Config
	stage    clock.Time // when the workload began
	turn     int        // how many workloads there have been
	seed     uint64
	radio    *radio.Model
	energy   *energy.Group // nil: not asked for
	aired    [2]bool       // a datagram up, and down, takes the hardware's time on the air, the plan's links not saying what it takes

	secured []secured // by device; nil: plain UDP

	book  *ledger.Book
	stats GroupStats
	years []float64

	crowd workload.State // when a broadcast is due
	cast  cast
}

// A topic is one that devices publish to, made ready.
type topic struct {
	name     pattern
	kind     mqttsn.TopicKind
	id       uint16
	numbered bool
}

// put fills in what follows from the plan's group as it is now. Errors are
// Validate's.
func (g *group) put(p *Group) error {
	if errs := p.Validate(); errs != nil {
		return errors.Join(errs...)
	}
	g.plan = p
	g.client = p.Client
	g.clientID = must(p, p.ClientID)
	g.topics = nil
	for _, t := range p.Topics {
		g.topics = append(g.topics, topic{name: must(p, t.Name), kind: t.spelling(0), id: t.ID, numbered: t.Numbered})
	}
	g.will = nil
	if p.Session.Will != nil {
		g.will = must(p, p.Session.Will.Topic)
	}
	if p.DTLS != nil {
		g.identity = must(p, p.DTLS.Identity)
	}
	g.aired = [2]bool{p.Radio.Up.Rate == 0 && p.Radio.Up.Preamble == 0, p.Radio.Down.Rate == 0 && p.Radio.Down.Preamble == 0}
	return nil
}

// must compiles a pattern that has been validated.
func must(g *Group, s string) pattern {
	p, err := compile(s, g.Name, g.ClientID)
	if err != nil {
		return pattern{s}
	}
	return p
}

// work puts a workload in force, from now on.
func (g *group) work(w workload.Config, now clock.Time) {
	g.workload, g.stage = w, now
	g.turn++
	g.command = nil
	if w.Commands.Topic != "" {
		g.command = must(g.plan, w.Commands.Topic)
	}
	g.silent = w.Reports.QoS == mqttsn.QoSMinusOne && w.Reports.Every > 0 &&
		g.command == nil && g.will == nil && w.Sleep.Policy != workload.Sleeping
}

// member is the number of a fleet's device in its group.
func (g *group) member(i int32) int { return g.low + int(i-g.first) }

// named is the number that a fleet's device has in patterns.
func (g *group) named(i int32) int { return g.plan.From + g.member(i) }

// dev is the number of a fleet's device in the group's book.
func (g *group) dev(i int32) int32 { return i - g.first }

// device is the fleet's device that a message is of, or ok is false.
func (g *group) device(number uint32) (i int32, ok bool) {
	in := int64(number) - int64(g.number) - int64(g.low)
	return g.first + int32(in), 0 <= in && in < int64(g.count)
}

// topic is how device i publishes to the topic of a stream. What is in it is
// valid until the next call.
func (f *Fleet) topic(g *group, i int32, stream uint8) mqttsn.Topic {
	t := &g.topics[stream]
	kind := t.kind
	if kind == mqttsn.TopicNormal {
		kind = mqttsn.TopicName // by its name; the client sees to the id
	}
	if kind == mqttsn.TopicPredefined {
		return mqttsn.Topic{Kind: kind, ID: t.id}
	}
	f.name = t.append(f.name[:0], g.named(i), f.devices[i].report.Sequence)
	if kind == mqttsn.TopicShort {
		return mqttsn.Topic{Kind: kind, ID: uint16(f.name[0])<<8 | uint16(f.name[1])}
	}
	return mqttsn.Topic{Kind: kind, Name: f.name}
}

// append appends the name that device n publishes a report to.
func (t *topic) append(b []byte, n int, sequence uint32) []byte {
	b = t.name.append(b, n)
	if t.numbered {
		b = strconv.AppendUint(append(b, '/'), uint64(sequence), 10)
	}
	return b
}

// keeps reports whether devices need a session that outlives a connection.
func (g *group) keeps() bool {
	return !g.plan.Session.CleanSession || g.workload.Sleep.Policy == workload.Sleeping
}

// session is what device i asks for with CONNECT. A sleeper that comes back to
// say something keeps what it has, and its will with it: it states none.
func (g *group) session(i int32, clean, noWill bool) client.Session {
	p := &g.plan.Session
	s := client.Session{ClientID: g.clientID.of(g.named(i)), KeepAlive: p.KeepAlive, CleanSession: clean}
	if p.Will != nil && !noWill {
		s.Will = &client.Will{
			Topic:   g.will.of(g.named(i)),
			Payload: []byte(p.Will.Payload),
			QoS:     mqttsn.QoS(p.Will.QoS),
			Retain:  p.Will.Retain,
		}
	}
	return s
}

// reading is what device i says now.
func (f *Fleet) reading(g *group, d *device, tag payload.Tag, now clock.Time) []byte {
	at := g.plan.Ills.Local(&d.work, now)
	f.message = g.workload.Reports.Payload.Append(f.message[:0], payload.Reading{Tag: tag, At: at, Value: tag.Value(at)})
	return f.message
}
