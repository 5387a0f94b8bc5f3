package bridge_test

import (
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// carry sends the pending publication, or what is left to do for it.
func (a *mqttActor) carry() {
	p := a.pending
	if !a.released && !a.carryMessage(p) {
		return
	}
	if p.qos == 2 {
		a.released = true
		_, ok := a.ask(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: a.pendingID})
		if !ok {
			return
		}
	}
	a.pending = nil
	a.w.stamped(func(now int64) { p.done = now })
}

// carryMessage sends PUBLISH and reports whether the broker has taken it.
func (a *mqttActor) carryMessage(p *publication) bool {
	again := a.carried
	a.carried = true
	a.w.stamped(func(int64) { p.again = p.again || again })
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: p.qos, Retain: p.retain, Dup: again},
		TopicName:   p.topic, Payload: []byte(p.payload), PacketID: a.pendingID,
	}
	if p.qos == 0 {
		a.pending = nil
		a.link.send(pk)
		return false
	}
	ack, ok := a.ask(pk)
	if !ok {
		return false
	}
	if ack.ReasonCode >= packets.ErrUnspecifiedError.Code {
		a.pending = nil
		if authorize(a.identity(), core.Access{Topic: p.topic}) {
			a.w.Errorf("%s may not publish to %s: 0x%02x", a.id, p.topic, ack.ReasonCode)
		}
		return false
	}
	return true
}

// packet takes what comes over l, and reports whether to go on.
func (a *mqttActor) packet(l *link, pk packets.Packet) bool {
	switch pk.FixedHeader.Type {
	case packets.Publish:
		return a.message(l, pk)
	case packets.Pubrel:
		a.w.stamped(func(int64) {
			if a.link == l {
				delete(a.taken, pk.PacketID)
			}
		})
		l.ack(packets.Pubcomp, pk.PacketID)
	case packets.Disconnect:
		if pk.ReasonCode != packets.ErrSessionTakenOver.Code && !(a.crew && pk.ReasonCode == packets.ErrAdministrativeAction.Code) {
			a.w.Errorf("%s is sent away: 0x%02x", a.id, pk.ReasonCode)
		}
	default:
		l.acks <- pk
	}
	return true
}

// message takes a PUBLISH. At times the client vanishes on this occasion.
func (a *mqttActor) message(l *link, pk packets.Packet) bool {
	qos, vanish := pk.FixedHeader.Qos, false
	a.w.stamped(func(now int64) {
		if a.link != l {
			vanish = true // nobody listens here any more
			return
		}
		vanish = qos > 0 && !a.careful && !a.still && !l.calm && l.dice.IntN(30) == 0
		l.vanished = vanish
		if qos == 2 && a.taken[pk.PacketID] {
			return
		}
		if qos == 2 {
			a.taken[pk.PacketID] = true
		}
		a.got = append(a.got, reception{topic: pk.TopicName, payload: string(pk.Payload), qos: qos,
			retain: pk.FixedHeader.Retain, dup: pk.FixedHeader.Dup, at: now})
		if strings.HasPrefix(pk.TopicName, farewells+a.id) {
			a.arrived <- string(pk.Payload)
		}
	})
	switch {
	case vanish:
		l.Close()
		return false
	case qos == 1:
		l.ack(packets.Puback, pk.PacketID)
	case qos == 2:
		l.ack(packets.Pubrec, pk.PacketID)
	}
	return true
}

// drain has via publish something for this client alone, and waits for it.
func (a *mqttActor) drain(via *mqttActor) {
	for a.link != nil {
		a.subscribe(farewells+a.id, 1)
		p := via.publish(farewells+a.id, 1, false)
		if a.arrives(p.payload) {
			return
		}
		a.lost()
		if a.there {
			a.connect(true)
		}
	}
	a.w.stamped(func(int64) { a.still = false })
}

// arrives reports whether payload comes before the connection ends.
func (a *mqttActor) arrives(payload string) bool {
	if a.link == nil {
		return false
	}
	for {
		select {
		case got := <-a.arrived:
			if got == payload {
				return true
			}
		case <-a.link.ended:
			return false
		case <-time.After(patience):
			a.w.Errorf("%s waits in vain for %s", a.id, payload)
			return true
		}
	}
}
