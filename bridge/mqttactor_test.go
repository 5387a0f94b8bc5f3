package bridge_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// An mqttActor is an MQTT client of any version that keeps to the rules. It
// asks for one thing at a time, and reads all the time.
type mqttActor struct {
	w       *world
	id      string
	user    string
	version byte
	dice    *rand.Rand
	careful bool // it never vanishes
	count   int
	lastID  uint16

	connections int // so far

	kept  bool // its session outlives its connection
	there bool // it has such a session
	will  *testament

	pending   *publication // that is not acknowledged
	pendingID uint16
	carried   bool // it was sent before
	released  bool // PUBREC has come for it

	arrived chan string // payloads on its own topic

	// Guarded by the history, as readers of an old link may still be there.
	*subscriber
	link  *link           // nil: not connected
	taken map[uint16]bool // QoS 2 packet identifiers that it has, of its session
}

func newMQTTActor(w *world, id, user string, version byte, dice *rand.Rand) *mqttActor {
	a := &mqttActor{w: w, id: id, user: user, version: version, dice: dice,
		subscriber: &subscriber{who: id}, arrived: make(chan string, 16)}
	w.stamped(func(int64) { w.subscribers = append(w.subscribers, a.subscriber) })
	return a
}

func (a *mqttActor) act() {
	if a.link == nil || a.link.isOver() {
		a.lost()
		a.connect(a.dice.IntN(3) > 0)
		return
	}
	switch n := a.dice.IntN(20); {
	case a.crew && n == 0:
		a.w.broker.Kick(a.id, false)
	case a.crew && n < 5:
		a.subscribe(shared, 2)
	case n < 4:
		a.subscribe(filters[a.dice.IntN(len(filters))], byte(a.dice.IntN(3)))
	case n < 5 && len(a.subs) > 0:
		a.unsubscribe(a.subs[a.dice.IntN(len(a.subs))].filter)
	case n < 17:
		a.publish(topics[a.dice.IntN(len(topics))], byte(a.dice.IntN(3)), a.dice.IntN(6) == 0)
	case n < 18:
		a.disconnect()
	case n < 19:
		a.lost()
	default: // takes its own session over
		old := a.link
		defer old.Close()
		a.away()
		a.connect(a.dice.IntN(3) > 0)
	}
}

func (a *mqttActor) identity() core.Identity { return core.Identity{ClientID: a.id, User: a.user} }

// connect opens a connection, which goes on with the session if there is one
// and kept says so.
func (a *mqttActor) connect(kept bool) {
	a.connections++
	kept = kept || a.crew
	was := a.there
	a.kept, a.there = kept, kept
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), ClientIdentifier: a.id, Clean: !kept, Keepalive: 60,
			UsernameFlag: a.user != "", Username: []byte(a.user),
		},
	}
	if a.version == 3 {
		pk.Connect.ProtocolName = []byte("MQIsdp")
	}
	if kept {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
	}
	a.will = nil
	if !a.careful && !a.crew && a.dice.IntN(2) == 0 {
		a.count++
		a.will = &testament{payload: fmt.Sprint(a.id, "/will", a.count)}
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "open/wills", []byte(a.will.payload)
		pk.Connect.WillQos = byte(a.dice.IntN(3))
	}
	a.w.stamped(func(now int64) {
		if a.will != nil {
			a.w.wills = append(a.w.wills, a.will)
		}
		if !kept {
			a.leaveAll(now)
		}
	})
	l := dialLink(a.w, a.version, a.dice.Uint64())
	ack, err := l.connect(pk)
	if err != nil || ack.ReasonCode != 0 {
		a.w.Errorf("%s: CONNACK 0x%02x, %v", a.id, ack.ReasonCode, err)
	}
	present := kept && was
	if ack.SessionPresent != present && a.version > 3 {
		a.w.Errorf("%s: session present is %v, want %v", a.id, ack.SessionPresent, present)
	}
	a.w.stamped(func(now int64) {
		a.link = l
		if present {
			return
		}
		a.taken, a.pending = map[uint16]bool{}, nil
		for _, i := range a.subs {
			if i.left == 0 {
				i.left = now
			}
		}
	})
	go l.read(a.packet)
	if a.pending != nil {
		a.carry()
	}
}

// lost ends the connection, if there is one, without DISCONNECT.
func (a *mqttActor) lost() {
	if a.link != nil {
		a.link.Close()
		a.away()
	}
}

// away leaves a connection that the broker is to find lost.
func (a *mqttActor) away() {
	if a.will != nil {
		a.will.fires = true
	}
	a.gone()
}

func (a *mqttActor) gone() {
	a.w.stamped(func(now int64) {
		a.link = nil
		if !a.kept {
			a.leaveAll(now)
			a.pending = nil
		}
	})
}

// leaveAll notes that the subscriptions end now or soon.
func (a *mqttActor) leaveAll(now int64) {
	for _, i := range a.subs {
		if i.leaving == 0 {
			i.leaving = now
		}
	}
}

func (a *mqttActor) disconnect() {
	vanished := false
	a.w.stamped(func(int64) {
		a.link.calm = true
		vanished = a.link.vanished
	})
	if vanished {
		a.lost()
		return
	}
	a.link.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	<-a.link.ended
	a.gone()
}

// ask sends a request and returns the answer, or false if the connection has
// ended before it came.
func (a *mqttActor) ask(pk packets.Packet) (packets.Packet, bool) {
	l := a.link
	l.send(pk)
	select {
	case ack := <-l.acks:
		return ack, true
	case <-l.ended:
		select {
		case ack := <-l.acks:
			return ack, true
		default:
		}
	case <-time.After(patience):
		a.w.Errorf("%s waits in vain for the answer to %s", a.id, packets.PacketNames[pk.FixedHeader.Type])
	}
	a.lost()
	return packets.Packet{}, false
}

func (a *mqttActor) packetID() uint16 {
	a.lastID = a.lastID%1000 + 1
	return a.lastID
}

func (a *mqttActor) subscribe(filter string, qos byte) {
	i := &interest{filter: strings.TrimPrefix(filter, crew), qos: qos}
	a.w.stamped(func(now int64) {
		i.asked = now
		a.leaveFilter(i.filter, now) // it may be changed
		a.subs = append(a.subs, i)
	})
	ack, ok := a.ask(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: a.packetID(),
		Filters: packets.Subscriptions{{Filter: filter, Qos: qos}},
	})
	a.w.stamped(func(now int64) {
		switch {
		case !ok:
			i.leaving = now // it may be there or not
		case ack.ReasonCodes[0] == qos:
			i.granted = now
			if !authorize(a.identity(), core.Access{Topic: filter}) {
				a.w.Errorf("%s was let subscribe to %s", a.id, filter)
			}
		default:
			i.leaving, i.left = now, i.asked
			if authorize(a.identity(), core.Access{Topic: filter}) {
				a.w.Errorf("%s may not subscribe to %s: 0x%02x", a.id, filter, ack.ReasonCodes[0])
			}
		}
	})
}

func (a *mqttActor) leaveFilter(filter string, now int64) {
	for _, i := range a.subs {
		if i.filter == filter && i.leaving == 0 {
			i.leaving = now
		}
	}
}

func (a *mqttActor) unsubscribe(filter string) {
	a.w.stamped(func(now int64) { a.leaveFilter(filter, now) })
	_, ok := a.ask(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: a.packetID(),
		Filters: packets.Subscriptions{{Filter: filter}},
	})
	a.w.stamped(func(now int64) {
		for _, i := range a.subs {
			if ok && i.filter == filter && i.left == 0 {
				i.left = now
			}
		}
	})
}

// publish publishes one message. One that eve may not publish is not noted:
// nobody may get it.
func (a *mqttActor) publish(topic string, qos byte, retain bool) *publication {
	a.count++
	p := &publication{who: a.id, topic: topic, payload: fmt.Sprint(a.id, "/", a.count), qos: qos, retain: retain && qos > 0, via: a.connections}
	if p.retain && a.dice.IntN(4) == 0 {
		p.payload = ""
	}
	a.w.stamped(func(now int64) {
		p.sent = now
		if authorize(a.identity(), core.Access{Topic: topic}) {
			a.w.publications = append(a.w.publications, p)
		}
	})
	a.pending, a.pendingID, a.carried, a.released = p, a.packetID(), false, false
	a.carry()
	return p
}

func (a *mqttActor) comeBack() {
	a.w.stamped(func(int64) { a.still = true }) // it does not vanish any more
	if a.link != nil && a.link.isOver() {
		a.lost()
	}
	if a.link == nil && a.there {
		a.connect(true)
	}
}

func (a *mqttActor) leave() {
	if a.link != nil {
		a.disconnect()
	}
}
