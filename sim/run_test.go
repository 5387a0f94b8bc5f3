package sim

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim/energy"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// rough is sleepers, talkers and mutes on bad radios with ills and events.
func rough(count int) *Plan {
	p := sleepers(count)
	bad := radio.Config{
		Up: radio.Link{
			Loss:        radio.Loss{Mean: 0.2},
			Latency:     radio.Delay{Distribution: radio.Normal, Mean: 50 * time.Millisecond, Spread: 15 * time.Millisecond},
			Duplication: radio.Detour{Share: 0.05, Delay: radio.Delay{Mean: 5 * time.Millisecond}},
		},
		NAT: radio.NAT{Every: 40 * time.Minute, Jitter: 10 * time.Minute},
	}
	bad.Down = bad.Up
	g := p.Groups[0]
	g.Radio = bad
	g.Ills = workload.Ills{Drift: 50, RebootEvery: 2 * time.Hour, RebootFor: time.Minute, Crying: 0.1, CryingRate: 5}
	g.Workload.Reports.Jitter = time.Minute
	h := energy.Hardware{Battery: energy.Batteries()[0], Celsius: 20}
	h.Radio, _ = energy.ProfileNamed("802154-nrf52840")
	h.Board, _ = energy.BoardNamed("soc-802154")
	g.Hardware = &h

	talkers := *sensors(count / 2).Groups[0]
	talkers.Name, talkers.ClientID, talkers.Radio = "talkers", "talker-%i", bad
	talkers.Topics = []Topic{{Name: "talk/%i/a"}, {Name: "talk/%i/b"}}
	talkers.Workload.Reports.QoS = 2
	talkers.Workload.Commands = workload.Commands{Every: 20 * time.Minute, Topic: "all/talkers", QoS: 1, Broadcast: true}
	talkers.Session = Session{KeepAlive: 2 * time.Minute}
	p.Groups = append(p.Groups, &talkers)
	p.Stages[0].For = 4 * time.Hour
	p.Events = []Event{
		{At: time.Hour, Kind: Rebind, Share: 0.5},
		{At: 90 * time.Minute, Kind: WakeUp},
		{At: 2 * time.Hour, Kind: Outage, For: 3 * time.Minute, Group: "talkers", Share: 0.3},
		{At: 3 * time.Hour, Kind: Reboot, For: 10 * time.Second, Share: 0.2},
	}
	return p
}

// TestDeterminism runs one plan twice, and another seed.
func TestDeterminism(t *testing.T) {
	sum := func(seed uint64) uint64 {
		p := rough(20)
		p.Seed = seed
		w := newWorld(t, p)
		w.run()
		return w.sum
	}
	one, again, other := sum(7), sum(7), sum(8)
	if one != again {
		t.Errorf("the same plan gives datagrams that sum up to %x and %x", one, again)
	}
	if one == other {
		t.Errorf("two seeds give the same datagrams")
	}
}

// TestBadRadio has a gateway that does all right behind a radio that does
// little right: everything adds up, and nothing is blamed on the gateway.
func TestBadRadio(t *testing.T) {
	w := newWorld(t, rough(40))
	w.run()
	w.f.Close(w.now)
	var s Stats
	w.f.Stats(&s)
	for _, g := range s.Groups {
		u := g.Ledger.Uplink
		if u.Sent != u.Acknowledged+u.TimedOut+u.Refused+u.InFlight || u.InFlight > uint64(g.Devices) {
			t.Errorf("%s: %+v does not add up", g.Name, u)
		}
		if u.Acknowledged < u.Sent*8/10 || u.TimedOut == 0 {
			t.Errorf("%s: %+v; want most, not all, to arrive", g.Name, u)
		}
		if r := g.Up.Radio; r.Sent != g.Up.Datagrams || r.Outcomes[radio.Chance] < r.Sent/6 || r.Copies == 0 {
			t.Errorf("%s: %d datagrams, and the radio says %+v", g.Name, g.Up.Datagrams, r)
		}
		if g.Rebindings == 0 || g.Up.Resent == 0 || g.Lost == 0 {
			t.Errorf("%s: %d rebindings, %d resent, %d lost", g.Name, g.Rebindings, g.Up.Resent, g.Lost)
		}
		var types uint64
		for _, n := range g.Up.Types {
			types += n.Datagrams
		}
		if types != g.Up.Datagrams {
			t.Errorf("%s: %d datagrams by type, %d in all", g.Name, types, g.Up.Datagrams)
		}
	}
	arrived := 0
	for _, g := range s.Groups {
		arrived += int(g.Up.Radio.Outcomes[radio.Arrived] + g.Up.Radio.Copies)
	}
	if arrived != w.gw.got {
		t.Errorf("%d datagrams arrived by the radio's count, the gateway got %d", arrived, w.gw.got)
	}
	e := s.Groups[0].Energy
	if e == nil || len(e.Years) != 40 || e.Total.Charge[energy.Retransmit] == 0 || e.Report.Life.Years <= 0 {
		t.Errorf("energy is %+v", e)
	}
	for _, v := range s.Violations {
		t.Errorf("%s %d: %s: %s", v.Group, v.Device, v.Rule, v.Text)
	}
}

// TestFirmwares has each firmware live behind a bad radio in its own manner.
func TestFirmwares(t *testing.T) {
	for firmware, config := range map[Firmware]client.Config{
		Full: client.DefaultConfig(), Emcute: client.Emcute(), Paho: client.Paho(), Zephyr: client.Zephyr(),
	} {
		p := sensors(20)
		g := p.Groups[0]
		g.Firmware, g.Client = firmware, config
		g.Session.KeepAlive = 6 * time.Minute
		g.Workload.Commands = workload.Commands{Every: 10 * time.Minute, Topic: "cmd/%i", QoS: 1}
		g.Radio.Up.Loss.Mean, g.Radio.Down.Loss.Mean = 0.1, 0.1
		p.Stages[0].For = 3 * time.Hour
		w := newWorld(t, p)
		s := w.run()
		w.f.Close(w.now)
		u, d := s.Ledger.Uplink, s.Ledger.Downlink
		if u.Sent != u.Acknowledged+u.TimedOut+u.Refused+u.InFlight || u.Received < u.Acknowledged || u.Sent+s.Skipped < 20*170 {
			t.Errorf("%s: %+v", firmware, u)
		}
		if u.TimedOut > u.Sent/3 || d.Delivered < d.Published/2 {
			t.Errorf("%s: %+v and %+v; want most to arrive", firmware, u, d)
		}
		if firmware != Paho && s.Up.Resent == 0 {
			t.Errorf("%s: nothing was sent again", firmware)
		}
	}
}

// TestShards has what a device does not depend on who else is in its fleet.
func TestShards(t *testing.T) {
	said := func(shards int) []string {
		var all []string
		for n := range shards {
			f, err := New(rough(21), start, n, shards)
			if err != nil {
				t.Fatal(err)
			}
			for next := f.Next(); next != 0 && next < start.Add(time.Hour); next = f.Next() {
				f.Step(next)
				for e, b := range f.Datagrams {
					i := f.ends.speaker[e]
					_, g := f.at(i)
					all = append(all, fmt.Sprintf("%s %d %v %x", g.plan.Name, g.member(i), next, b))
				}
			}
		}
		slices.Sort(all)
		return all
	}
	one, three := said(1), said(3)
	if len(one) < 300 || !slices.Equal(one, three) {
		t.Errorf("%d datagrams of one fleet, %d of three, or others", len(one), len(three))
	}
	p := rough(21)
	for number := range uint32(31) {
		shard, ok := p.Shard(number, 3)
		f, _ := New(p, start, shard, 3)
		if f.Trace(number); !ok || !slices.ContainsFunc(f.groups, func(g *group) bool { _, has := g.device(number); return has }) {
			t.Errorf("device %d is not in shard %d", number, shard)
		}
	}
	if _, ok := p.Shard(31, 3); ok {
		t.Error("there is a shard for a device that the plan does not have")
	}
}

// TestBroadcastOverShards has one shard publish and all owe.
func TestBroadcastOverShards(t *testing.T) {
	p := sensors(10)
	p.Groups[0].Workload.Commands = workload.Commands{Every: 10 * time.Minute, Topic: "all", QoS: 1, Broadcast: true}
	var fleets []*Fleet
	for n := range 2 {
		f, err := New(p, start, n, 2)
		if err != nil {
			t.Fatal(err)
		}
		fleets = append(fleets, f)
	}
	published := 0
	for now := start; now < start.Add(time.Hour); now = now.Add(10 * time.Second) {
		for n, f := range fleets {
			f.Step(now)
			for p := range f.Publications {
				if published++; n != 0 {
					t.Errorf("shard %d publishes %q", n, p.Topic)
				}
				for _, f := range fleets {
					f.Published(now, p, nil)
				}
			}
		}
	}
	if published < 5 || published > 6 {
		t.Errorf("%d broadcasts in an hour; want one each 10 minutes", published)
	}
	if a, b := fleets[0].groups[0].cast, fleets[1].groups[0].cast; a.published != b.published || a.accepted != b.accepted {
		t.Errorf("the shards are at %+v and %+v", a, b)
	}
}

// TestMemory holds a device to what a million of them may take.
func TestMemory(t *testing.T) {
	const devices, most = 100_000, 2048
	p := sleepers(devices)
	p.Groups[0].Workload.Reports.Every = 0
	p.Groups[0].Session.KeepAlive = time.Minute
	p.Stages[0] = Stage{Name: "on", For: time.Hour, Arrive: map[string]Ramp{"meters": {Over: 4 * time.Minute}}}

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := New(p, start, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	tiny := newYesman(f)
	tiny.until(5 * time.Minute)
	runtime.GC()
	runtime.ReadMemStats(&after)
	var s Stats
	f.Stats(&s)
	if n := s.Groups[0].States[client.Asleep]; n != devices || s.Groups[0].Connects != devices {
		t.Fatalf("%d are asleep, %d connected", n, s.Groups[0].Connects)
	}
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / devices
	t.Logf("%d octets a device", each)
	if each > most {
		t.Errorf("a device takes %d octets; want at most %d", each, most)
	}
	runtime.KeepAlive(f)
}

// A yesman is a gateway that remembers nothing and agrees to everything, to
// see what the fleet alone takes.
type yesman struct {
	f       *Fleet
	now     clock.Time
	decoder mqttsn.Decoder
	b       []byte
	out     []struct {
		e Endpoint
		p mqttsn.Packet
	}
}

func newYesman(f *Fleet) *yesman { return &yesman{f: f, now: start} }

func (y *yesman) until(d time.Duration) (datagrams int) {
	for next := y.f.Next(); next != 0 && next <= start.Add(d); next = y.f.Next() {
		y.now = next
		y.f.Step(next)
		y.out = y.out[:0]
		for e, b := range y.f.Datagrams {
			datagrams++
			if p := y.answer(b); p != nil {
				y.out = append(y.out, struct {
					e Endpoint
					p mqttsn.Packet
				}{e, p})
			}
		}
		for p := range y.f.Publications {
			y.f.Published(next, p, nil)
		}
		for _, a := range y.out {
			y.b, _ = mqttsn.Append(y.b[:0], mqttsn.V12, a.p)
			y.f.Receive(next, a.e, y.b)
		}
	}
	return datagrams
}

func (y *yesman) answer(b []byte) mqttsn.Packet {
	p, err := y.decoder.Decode(mqttsn.V12, b)
	if err != nil {
		panic(err)
	}
	switch p := p.(type) {
	case *mqttsn.Connect:
		return &mqttsn.Connack{}
	case *mqttsn.Subscribe:
		return &mqttsn.Suback{QoS: p.QoS, TopicID: 1, ID: p.ID}
	case *mqttsn.Register:
		return &mqttsn.Regack{TopicID: 2, ID: p.ID}
	case *mqttsn.Publish:
		y.f.Heard(y.now, "", p.Payload, false)
		if p.QoS == 1 {
			return &mqttsn.Puback{TopicID: 2, ID: p.ID}
		}
	case *mqttsn.Pingreq:
		return &mqttsn.Pingresp{}
	case *mqttsn.Disconnect:
		return &mqttsn.Disconnect{}
	}
	return nil
}

// BenchmarkWake is what one wake of a sleeper costs: PINGREQ, PINGRESP.
func BenchmarkWake(b *testing.B) {
	p := sleepers(10_000)
	p.Groups[0].Workload.Reports.Every = 0
	p.Groups[0].Workload.Commands = workload.Commands{}
	p.Stages[0].For = 100_000 * time.Hour
	f, err := New(p, start, 0, 1)
	if err != nil {
		b.Fatal(err)
	}
	y := newYesman(f)
	y.until(20 * time.Minute)
	b.ReportAllocs()
	b.ResetTimer()
	d := 20 * time.Minute
	for wakes := 0; wakes < b.N; {
		d += time.Second
		wakes += y.until(d)
	}
}

// BenchmarkReport is what one report at QoS 1 costs.
func BenchmarkReport(b *testing.B) {
	p := sensors(10_000)
	p.Stages[0].For = 100_000 * time.Hour
	f, err := New(p, start, 0, 1)
	if err != nil {
		b.Fatal(err)
	}
	y := newYesman(f)
	y.until(2 * time.Minute)
	b.ReportAllocs()
	b.ResetTimer()
	d := 2 * time.Minute
	for reports := 0; reports < b.N; {
		d += 100 * time.Millisecond
		reports += y.until(d)
	}
}
