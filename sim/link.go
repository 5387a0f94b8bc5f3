package sim

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim/energy"
	"dormouse/sim/ledger"
	"dormouse/sim/radio"
)

// send hands what the client of device i says to its radio.
func (f *Fleet) send(i int32, now clock.Time, b []byte, s client.Sending) {
	d, g := f.at(i)
	sealed := b
	if g.secured != nil {
		if sealed = f.seal(i, b); sealed == nil {
			return // the client will say it again
		}
		f.crypt(d, g)
	}
	f.emit(i, now, sealed, b, s, how(s.Again))
}

// emit hands a datagram of device i to its radio. It is on its way when what
// the device has under way before has been sent.
func (f *Fleet) emit(i int32, now clock.Time, b, said []byte, s client.Sending, h energy.How) {
	d, g := f.at(i)
	at := f.ready(d, now)
	if g.radio.Rebound(&d.radio, at) {
		f.rebind(i, now)
	}
	off, feasible := at, true
	if g.energy != nil && g.aired[up] {
		var use energy.Use
		use, feasible = g.lift(len(b))
		off = at.Add(use.Tx + use.Rx + use.Wait)
	}
	fate := radio.Fate{Outcome: radio.MTU}
	if feasible {
		fate = g.radio.Up(&d.radio, off, len(b))
	}
	if f.inTheDark(i, at) && !fate.Outcome.Infeasible() {
		fate = radio.Fate{Outcome: radio.Outage, Off: fate.Off}
	}
	fate = f.chargeUp(d, g, len(b), s.Type, h, fate)

	way := &g.stats.Up
	way.count(s.Type, len(b), len(said))
	if s.Again {
		way.Resent++
	}
	way.Radio.Add(fate)
	if fate.Lost() {
		f.lose(g, i, at, true, said, fates[fate.Outcome])
	}
	f.fly(datagram{device: i, endpoint: d.endpoint, up: true}, b, said, fate)
}

// count counts a datagram of so many octets, of which so many are a packet of
// type t; none, if it is of a handshake.
func (d *Direction) count(t mqttsn.Type, octets, said int) {
	d.Datagrams++
	d.Octets += uint64(octets)
	of := &d.Handshake
	if said > 0 {
		of = &d.Types[t]
		d.Sealing += uint64(octets - said)
	}
	of.Datagrams++
	of.Octets += uint64(octets)
}

// The directions, as indices.
const (
	up = iota
	down
)

// lift is what sending so many octets takes, if all goes well.
func (g *group) lift(octets int) (energy.Use, bool) {
	use, err := g.energy.Radio.Link.Up(octets, false)
	return use, err == nil
}

// fates is what the trace calls an outcome of the radio.
var fates = [...]ledger.Fate{
	radio.Chance:    ledger.FateLost,
	radio.Outage:    ledger.FateOutage,
	radio.Unbound:   ledger.FateNAT,
	radio.MTU:       ledger.FateTooLong,
	radio.DutyCycle: ledger.FateDuty,
}

// fly sets a datagram on its way, and its copy if there is one.
func (f *Fleet) fly(d datagram, b, said []byte, fate radio.Fate) {
	for _, at := range [...]clock.Time{fate.At, fate.Copy} {
		if at != 0 {
			d.at = at
			f.air.put(d, b, said)
		}
	}
}

// lose notes in a trace that what was said did not arrive.
func (f *Fleet) lose(g *group, i int32, now clock.Time, up bool, said []byte, why ledger.Fate) {
	if p, err := f.decoder.Decode(mqttsn.V12, said); err == nil {
		g.book.Lost(g.dev(i), now, up, p, why)
	}
}

// land takes the datagram that arrives next.
func (f *Fleet) land(now clock.Time) {
	dg := f.air.take()
	if dg.up {
		f.emerge(dg, now)
		return
	}
	f.reach(dg, now)
	f.air.release(dg.data)
}

// emerge puts a datagram where the gateway is.
func (f *Fleet) emerge(dg datagram, now clock.Time) {
	d, g := f.at(dg.device)
	before := f.ends.speaker[dg.endpoint]
	f.ends.speaker[dg.endpoint], f.ends.era[dg.endpoint] = dg.device, d.era
	if p, err := f.decoder.Decode(mqttsn.V12, dg.said); err == nil {
		g.book.Up(g.dev(dg.device), now, p)
	}
	if d.endpoint != dg.endpoint {
		f.mistake(now, dg.device, before, f.ends.owner[dg.endpoint])
	}
	f.arrived = append(f.arrived, dg)
}

// mistake notes that a datagram has come late, from an address that its device
// no longer has: the gateway takes whoever has it, or had it since, for that
// device, and looks for the device there.
func (f *Fleet) mistake(now clock.Time, these ...int32) {
	for _, i := range these {
		if i != nobody {
			_, g := f.at(i)
			g.book.Moved(g.dev(i), now)
		}
	}
}

// Receive takes a datagram that the gateway has sent to e. b is copied.
func (f *Fleet) Receive(now clock.Time, e Endpoint, b []byte) {
	f.reclaim()
	if meant := f.ends.speaker[e]; meant != nobody && f.ends.era[e] == f.devices[meant].era {
		d, g := f.at(meant)
		if p, err := f.decoder.Decode(mqttsn.V12, f.overhear(meant, b)); err == nil {
			g.book.Down(g.dev(meant), now, p)
			if c, ok := p.(*mqttsn.Connack); ok && c.Reason == mqttsn.Accepted {
				d.era++
				f.ends.era[e] = d.era
			}
		}
	}
	i := f.ends.owner[e]
	if i == nobody {
		f.misses(e, now, b)
		return
	}
	d, g := f.at(i)
	fate := radio.Fate{Outcome: radio.MTU}
	air, err := g.air(len(b))
	if err == nil {
		fate = g.radio.Down(&d.radio, now, len(b))
	}
	if f.inTheDark(i, now) && !fate.Outcome.Infeasible() {
		fate = radio.Fate{Outcome: radio.Outage, Off: fate.Off}
	}
	if g.aired[down] {
		fate.At = fate.At.Add(air)
		fate.Copy = fate.Copy.Add(air)
	}
	g.stats.Down.Radio.Add(fate)
	if fate.Lost() {
		f.lose(g, i, now, false, f.overhear(i, b), fates[fate.Outcome])
	}
	f.fly(datagram{device: i, endpoint: e}, b, nil, fate)
}

// misses counts a datagram to an address that is nobody's any more.
func (f *Fleet) misses(e Endpoint, now clock.Time, b []byte) {
	if i := f.ends.speaker[e]; i != nobody {
		_, g := f.at(i)
		g.stats.Down.Radio.Add(radio.Fate{Outcome: radio.Unbound, Off: now})
		f.lose(g, i, now, false, f.overhear(i, b), ledger.FateNAT)
	}
}

// reach brings a datagram to its device, if that still has the address and
// hears it.
func (f *Fleet) reach(dg datagram, now clock.Time) {
	i := dg.device
	d, g := f.at(i)
	switch {
	case f.ends.owner[dg.endpoint] != i:
		f.lose(g, i, now, false, f.overhear(i, dg.data), ledger.FateNAT)
		return
	case !d.is(awake):
		g.stats.Deaf++
		f.lose(g, i, now, false, f.overhear(i, dg.data), ledger.FateAsleep)
		return
	}
	air, _ := g.air(len(dg.data))
	f.spend(d, g, now.Add(-air))
	if d.is(greeting) {
		g.stats.Down.count(0, len(dg.data), 0)
		f.chargeDown(d, g, 0, len(dg.data), energy.InHandshake)
		f.secured(i).shaking.Deliver(dg.data)
		f.settle(i, now)
		return
	}
	said := f.open(i, dg.data)
	p, err := f.decoder.Decode(mqttsn.V12, said)
	if err != nil {
		if g.secured != nil { // such as a last flight that is repeated
			g.stats.Down.count(0, len(dg.data), 0)
			f.chargeDown(d, g, 0, len(dg.data), energy.InHandshake)
		}
		return
	}
	g.stats.Down.count(p.Type(), len(dg.data), len(said))
	d.client.Handle(now, p, &f.acts)
	f.chargeDown(d, g, p.Type(), len(dg.data), how(f.acts.Repeats > 0))
	f.crypt(d, g)
	f.carryOut(i, now)
	f.proceed(i, now)
	f.settle(i, now)
}

// rebind gives a device another address, as a NAT does, without a word.
func (f *Fleet) rebind(i int32, now clock.Time) {
	d, g := f.at(i)
	d.endpoint = f.ends.rebind(&g.pool, i, d.endpoint)
	g.stats.Rebindings++
	g.book.Moved(g.dev(i), now)
}

// rebinds reports whether devices of a group may be rebound in this plan.
func (f *Fleet) rebinds(g *group) bool {
	nat := &g.plan.Radio.NAT
	if nat.Every > 0 || nat.Idle > 0 {
		return true
	}
	for _, e := range f.plan.Events {
		if e.befalls(g) && e.Kind == Rebind || e.Kind == Set && e.Set.Group.Name == g.plan.Name && e.Set.Group.Radio.NAT != *nat {
			return true
		}
	}
	return false
}
