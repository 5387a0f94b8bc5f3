package gateway

import (
	"math/rand/v2"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

// poor loses a fifth of all datagrams, repeats a tenth and reorders a tenth. A
// PUBLISH that is overtaken by the PUBREL of its own exchange is a new message
// to whoever gets it, and there is nothing in the protocol against that: so
// nothing is held back for longer than a round trip.
var poor = memnet.Link{
	Loss: 0.2, Duplication: 0.1, Reordering: 0.1,
	Latency: 50 * time.Millisecond, Detour: 95 * time.Millisecond,
}

// TestSoak has sleepers and an application exchange messages over a network
// that is poor, a thousand times over. Each time every QoS 1 message arrives,
// every QoS 2 message arrives once, those of one publisher arrive in order,
// nothing is sent to a sleeper, and every flush ends with one PINGRESP.
func TestSoak(t *testing.T) { eachSeed(t, soak) }

func soak(t *testing.T, seed uint64, show bool) {
	var d *disk
	if seed%2 == 1 { // every other time, what is promised takes a while to be durable
		d = new(disk)
	}
	l := newLife(t, memnet.Config{Seed: seed, Up: poor, Down: poor}, rand.New(rand.NewPCG(seed, 4)), d, show)
	w := l.world
	app := w.app("app", "up/#")
	l.live()
	var up []string
	for done := false; !done; {
		l.bring()
		if d != nil {
			l.promise()
		}
		up = append(up, app.receives()...)
		l.hear()
		if l.speaks(func(topic, payload string, qos core.QoS) { app.says(topic, payload, qos, false) }) {
			continue
		}
		var wake clock.Time
		done, wake = l.step()
		if !done && !l.wait(clock.Sooner(wake, clock.Sooner(l.next, clock.Sooner(l.synced, w.g.Next())))) {
			return
		}
	}
	l.wantAll(up)
	w.audit()
}

// An oracle watches the wire for datagrams to sleepers. A client that has
// asked to sleep is left alone from the gateway's last word, DISCONNECT or
// PINGRESP, until it is heard again.
type oracle struct {
	t              *testing.T
	sleeps, silent map[transport.Peer]bool
}

func (o *oracle) up(d transport.Datagram) {
	o.silent[d.Peer] = false
	switch p := o.decode(d.Buf).(type) {
	case *mqttsn.Connect:
		o.sleeps[d.Peer] = false
	case *mqttsn.Disconnect:
		o.sleeps[d.Peer] = p.Duration > 0
	}
}

func (o *oracle) down(e memnet.Event) {
	if o.silent[e.Peer] {
		o.t.Errorf("sent to a sleeper: %v", e)
	}
	switch o.decode(e.Octets).(type) {
	case *mqttsn.Disconnect, *mqttsn.Pingresp:
		o.silent[e.Peer] = o.sleeps[e.Peer]
	}
}

func (o *oracle) decode(b []byte) mqttsn.Packet {
	p, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		o.t.Errorf("%x: %v", b, err)
	}
	return p
}
