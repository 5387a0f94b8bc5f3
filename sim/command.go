package sim

import (
	"slices"
	"strconv"
	"strings"

	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A Publication is a message for devices that is to be published over MQTT.
type Publication struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool

	// Broadcast says that it is for the devices of all shards of a group. One
	// of them publishes it, and all are told how that went.
	Broadcast bool

	tag    payload.Tag
	group  int
	device int32
}

// Cast is how a group's broadcasts stand.
type cast struct {
	published uint32     // sequence of the last
	accepted  uint32     // and of the last that the broker took over
	told      clock.Time // when it did
}

// order is when a device is to be sent a command next, or zero. Who has not
// been there yet is sent nothing.
func (f *Fleet) order(d *device, g *group) clock.Time {
	if f.settling() || g.workload.Commands.Broadcast || !d.is(listed) {
		return 0
	}
	return g.workload.Command(&d.work, g.stage)
}

// tell sends device i what it is to be told by now, be it there or not.
func (f *Fleet) tell(i int32, now clock.Time) {
	d, g := f.at(i)
	for f.order(d, g).Reached(now) {
		g.workload.Commanded(&d.work, g.stage, now)
		c := &g.workload.Commands
		tag := g.book.Publish(g.dev(i), c.QoS, c.Deadline, now)
		f.enqueue(g, tag, g.command.of(g.named(i)), i, now)
	}
}

// list has a device told what there is from now on.
func (f *Fleet) list(d *device, g *group, now clock.Time) {
	if d.is(listed) {
		return
	}
	d.set(listed, true)
	for f.order(d, g).Reached(now) {
		g.workload.Commanded(&d.work, g.stage, now)
	}
}

// castUpTo enters broadcasts into the ledger until tag is in it: another shard
// may have been quicker than this, if not by much.
func (f *Fleet) castUpTo(g *group, tag payload.Tag, now clock.Time) {
	const quicker = 16
	if tag.Device != uint32(g.index) || tag.Sequence > g.cast.published+quicker {
		return // of another run
	}
	for g.cast.published < tag.Sequence && g.workload.Commands.Broadcast {
		f.cast(g, now)
	}
}

// broadcasts publishes what a group is to be told by now.
func (f *Fleet) broadcasts(g *group, now clock.Time) {
	for f.nextCast(g).Reached(now) {
		f.cast(g, now)
	}
}

// nextCast is when a group is told something next, or zero.
func (f *Fleet) nextCast(g *group) clock.Time {
	if f.settling() || !g.workload.Commands.Broadcast {
		return 0
	}
	return g.workload.Command(&g.crowd, g.stage)
}

func (f *Fleet) cast(g *group, now clock.Time) {
	g.workload.Commanded(&g.crowd, g.stage, now)
	c := &g.workload.Commands
	tag := g.book.PublishAll(c.QoS, c.Deadline, now)
	g.cast.published = tag.Sequence
	if f.lead {
		f.enqueue(g, tag, g.command.of(0), nobody, now)
	}
}

func (f *Fleet) enqueue(g *group, tag payload.Tag, topic string, i int32, now clock.Time) {
	c := &g.workload.Commands
	at := f.elapsed(now)
	f.pubs = append(f.pubs, &Publication{
		Topic:     topic,
		Payload:   c.Payload.Append(nil, payload.Reading{Tag: tag, At: at, Value: tag.Value(at)}),
		QoS:       byte(c.QoS),
		Broadcast: i == nobody,
		tag:       tag,
		group:     g.index,
		device:    i,
	})
}

// Publications yields what is to be published since the last call. Each
// remains as it is until Published is called with it.
func (f *Fleet) Publications(yield func(*Publication) bool) {
	pubs := f.pubs
	f.pubs = nil
	for _, p := range pubs {
		if !yield(p) {
			return
		}
	}
}

// Published says how publishing went: at QoS 1 and 2 when the broker has taken
// the message over. A broadcast is reported to all shards, to whose yielded it
// first.
func (f *Fleet) Published(now clock.Time, p *Publication, err error) {
	g := f.groups[p.group]
	if p.Broadcast {
		f.castUpTo(g, p.tag, now)
	}
	if err != nil {
		g.book.Failed(p.tag)
		return
	}
	g.book.Accepted(p.tag, now)
	if p.Broadcast {
		g.cast.accepted, g.cast.told = p.tag.Sequence, now
		return
	}
	d, _ := f.at(p.device)
	d.command, d.told = p.tag.Sequence, now
}

// A Subscription is what the observer subscribes to.
type Subscription struct {
	Filter string
	QoS    byte
}

// Filters returns what has to be heard over MQTT: reports and wills, of all
// shards. None covers another: a broker may send a message for each filter
// that it matches.
func (f *Fleet) Filters() []Subscription {
	var all []Subscription
	add := func(p pattern) {
		filter := p.filter()
		if slices.ContainsFunc(all, func(s Subscription) bool { return covers(s.Filter, filter) }) {
			return
		}
		all = slices.DeleteFunc(all, func(s Subscription) bool { return covers(filter, s.Filter) })
		all = append(all, Subscription{Filter: filter, QoS: 2})
	}
	for _, g := range f.groups {
		for _, t := range g.topics {
			name := t.name
			if t.numbered {
				name = slices.Clone(name)
				name[len(name)-1] += "/+"
			}
			add(name)
		}
		if g.will != nil {
			add(g.will)
		}
	}
	return all
}

// covers reports whether a filter matches all that another does. Both have no
// wildcard but +.
func covers(filter, other string) bool {
	a, b := strings.Split(filter, "/"), strings.Split(other, "/")
	return slices.EqualFunc(a, b, func(a, b string) bool { return a == b || a == "+" })
}

// Heard takes a message that the observer got. Those of other fleets, and of
// strangers, are ignored, and so are retained ones, which are old. Messages
// that [payload.Parse] takes are of the fleet that has the device, see
// Plan.Shard; all others may be a will in any of them.
func (f *Fleet) Heard(now clock.Time, topic string, message []byte, retained bool) {
	if retained {
		return
	}
	tag, ok := payload.Parse(message)
	if !ok {
		f.heardWill(now, topic, message)
		return
	}
	if tag.Stream == payload.Command || tag.Stream == payload.Broadcast {
		return
	}
	for _, g := range f.groups {
		i, ok := g.device(tag.Device)
		if !ok {
			continue
		}
		g.book.Received(tag, now)
		f.file(g, i, now, tag, topic)
		if d, _ := f.at(i); d.is(unheard) && d.report == tag {
			d.set(unheard, false)
			f.measure(g, ToSubscriber, d.said, now)
		}
		return
	}
}

// file looks whether a report came on the topic that it was sent to.
func (f *Fleet) file(g *group, i int32, now clock.Time, tag payload.Tag, name string) {
	own := false
	for k := range g.topics {
		t := &g.topics[k]
		f.name = t.append(f.name[:0], g.named(i), tag.Sequence)
		if string(f.name) == name && k == int(tag.Stream) {
			return
		}
		all, _ := strings.CutSuffix(string(f.name), "/"+strconv.FormatUint(uint64(tag.Sequence), 10))
		own = own || string(f.name) == name || t.numbered && strings.HasPrefix(name, all+"/")
	}
	g.book.Misfiled(tag, name, own, now)
}

func (f *Fleet) heardWill(now clock.Time, topic string, message []byte) {
	for _, g := range f.groups {
		if g.will == nil || string(message) != g.plan.Session.Will.Payload {
			continue
		}
		from := g.plan.From
		n, ok := g.will.device(topic, from+g.plan.Count)
		if !g.will.own() && topic == g.will[0] {
			n, ok = from, true
		}
		if ok && n >= from {
			if i, ok := g.device(g.number + uint32(n-from)); ok {
				g.book.WillPublished(g.dev(i), now)
			}
			return
		}
	}
}

// Restarted says that the gateway was killed, or is there again after it was.
func (f *Fleet) Restarted(now clock.Time) {
	for _, g := range f.groups {
		g.book.Restarted(now)
	}
}
