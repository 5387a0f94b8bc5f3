package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/drive"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

var (
	fleets    = flag.Int("fleets", 60, "how many random fleets TestRandomFleets runs")
	fromFleet = flag.Uint64("from-fleet", 1, "the seed of the first of them")
)

// TestRandomFleets has fleets of all kinds, with all that can befall them, meet
// the gateway, and every other one that remembers when it is started again: it is never blamed, and the sums are right.
func TestRandomFleets(t *testing.T) {
	t.Parallel()
	reports, commands := uint64(0), uint64(0)
	for seed := *fromFleet; seed < *fromFleet+uint64(*fleets); seed++ {
		p := randomPlan(seed)
		w := &world{cfg: config.Default(), seed: seed, store: store.Volatile{}, now: drive.Start}
		if seed%2 == 0 {
			w.store, p.Forgets = store.NewMemory(), false
		}
		w.cfg.MQTTSN.Predefined = []config.Predefined{{ID: 7, Topic: "predefined/7"}}
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		out, err := drive.Virtual(t.Context(), p, w, drive.Options{})
		if err != nil {
			t.Fatalf("fleet %d: %v", seed, err)
		}
		for i := range out.Final.Groups {
			u, d := &out.Final.Groups[i].Ledger.Uplink, &out.Final.Groups[i].Ledger.Downlink
			reports += u.Received
			commands += d.Delivered
			if u.Sent != u.Acknowledged+u.TimedOut+u.Refused+u.InFlight || u.Received > u.Sent || d.Delivered > d.Accepted || d.Accepted > d.Published {
				t.Errorf("fleet %d, %s: %+v, %+v", seed, p.Groups[i].Name, u, d)
			}
		}
		if out.Final.Broken > 0 {
			v := out.Final.Violations[0]
			t.Errorf("fleet %d (-run TestRandomFleets -fleets 1 -from-fleet %d): %d invariants are broken; the first: %s at %v by %s %d: %s\n%s",
				seed, seed, out.Final.Broken, v.Rule, v.At, v.Group, v.Device, v.Text, strings.Join(v.Trace, "\n"))
		}
	}
	if reports < 100*uint64(*fleets) || commands < 20*uint64(*fleets) {
		t.Errorf("%d reports and %d commands arrived in %d fleets, which is hardly a test", reports, commands, *fleets)
	}
}

// A die is what random plans are made with.
type die struct{ *rand.Rand }

func (d die) chance(p float64) bool { return d.Float64() < p }

// between is a whole number of seconds, most often among the small ones.
func (d die) between(low, high time.Duration) time.Duration {
	u := d.Float64()
	return (low + time.Duration(u*u*float64(high-low))).Truncate(time.Second)
}

func oneOf[T any](d die, all ...T) T { return all[d.IntN(len(all))] }

// randomPlan makes a valid plan of a few devices and a few hours.
func randomPlan(seed uint64) *sim.Plan {
	d := die{rand.New(rand.NewPCG(seed, 0))}
	p := &sim.Plan{Name: "random", Seed: seed, Settle: 20 * time.Minute, Forgets: true}
	for i := range 1 + d.IntN(3) {
		g := d.group(fmt.Sprintf("g%d", i))
		for g.Validate() != nil {
			g = d.group(g.Name)
		}
		p.Groups = append(p.Groups, g)
	}
	for i := range 1 + d.IntN(3) {
		s := sim.Stage{Name: fmt.Sprint(i), For: d.between(10*time.Minute, 3*time.Hour)}
		for _, g := range p.Groups {
			if i > 0 && d.chance(.5) {
				next := *g
				for range 20 {
					d.work(&next)
					if next.Validate() == nil {
						s.Workloads = map[string]workload.Config{g.Name: next.Workload}
						break
					}
				}
			} else if i == 0 && d.chance(.3) {
				s.Arrive = map[string]sim.Ramp{g.Name: {Over: d.between(0, s.For)}}
			}
		}
		p.Stages = append(p.Stages, s)
	}
	for range d.IntN(5) {
		p.Events = append(p.Events, sim.Event{
			At: d.between(0, p.Duration()),
			Kind: oneOf(d, sim.Restart, sim.Outage, sim.Outage, sim.Rebind, sim.Reuse, sim.Reuse, sim.Reboot, sim.Reboot,
				sim.WakeUp, sim.WakeUp, sim.Stuck, sim.Leave),
			Share: oneOf(d, 0, .3, .6),
			For:   d.between(0, 10*time.Minute),
		})
	}
	return p
}

func (d die) group(name string) *sim.Group {
	g := &sim.Group{Name: name, Count: 1 + d.IntN(6), ClientID: "%g-%i", Firmware: oneOf(d, sim.Full, sim.Full, sim.Full, sim.Emcute, sim.Paho, sim.Zephyr)}
	switch g.Firmware {
	case sim.Full:
		g.Client = client.DefaultConfig()
		g.Client.RetryInterval = oneOf(d, time.Second, 10*time.Second, 15*time.Second)
		g.Client.MaxRetries = 1 + d.IntN(5)
		if d.chance(.3) {
			g.Client.Quirks |= client.SleepTalk
		}
	case sim.Emcute:
		g.Client = client.Emcute()
	case sim.Paho:
		g.Client = client.Paho()
	case sim.Zephyr:
		g.Client = client.Zephyr()
	}
	g.Session = sim.Session{KeepAlive: oneOf(d, 0, 10*time.Second, time.Minute, 6*time.Minute, time.Hour), CleanSession: d.chance(.5)}
	if d.chance(.5) {
		g.Session.Will = &sim.Will{Topic: "will/%c", Payload: "gone", QoS: uint8(d.IntN(3)), Retain: d.chance(.3)}
	}
	for i := range 1 + d.IntN(3) {
		g.Topics = append(g.Topics, oneOf(d,
			sim.Topic{Name: fmt.Sprintf("%s/%%i/%d", name, i)},
			sim.Topic{Name: fmt.Sprintf("%s/%d", name, i), Numbered: d.chance(.2)},
			sim.Topic{Name: "predefined/7", Kind: sim.Predefined, ID: 7},
			sim.Topic{Name: fmt.Sprintf("%s%d", name[1:], i), Kind: sim.Short}))
	}
	d.work(g)
	if d.chance(.3) {
		g.Ills = workload.Ills{Drift: oneOf(d, 0., 100, 5000), RebootEvery: oneOf(d, 0, time.Hour), RebootFor: d.between(0, time.Minute),
			Crying: oneOf(d, 0, .3), CryingRate: 5, Stuck: oneOf(d, 0, .3), StuckAfter: time.Hour}
	}
	g.Radio = radio.Config{Up: d.link(), Down: d.link(), HalfDuplex: d.chance(.2)}
	if d.chance(.2) {
		g.Radio.NAT.Every = d.between(time.Minute, time.Hour)
	}
	if d.chance(.2) {
		g.Radio.NAT.Idle = d.between(30*time.Second, 10*time.Minute)
	}
	if d.chance(.2) {
		g.Radio.Outages = radio.Outages{Every: 30 * time.Minute, For: d.between(time.Second, 5*time.Minute)}
	}
	return g
}

// work gives a group something to do.
func (d die) work(g *sim.Group) {
	w := &g.Workload
	topic := w.Commands.Topic
	*w = workload.Config{}
	if every := d.between(5*time.Second, 20*time.Minute); d.chance(.9) {
		w.Reports = workload.Reports{Every: every, Jitter: oneOf(d, 0, every/10, every/3), Aligned: d.chance(.2),
			QoS: oneOf[mqttsn.QoS](d, -1, 0, 1, 1, 1, 2, 2), Retain: d.chance(.1), Payload: payload.Config{Size: oneOf(d, 0, 40)}}
		if d.chance(.2) {
			w.Reports.Bursts = workload.Bursts{Share: .2, Count: 1 + d.IntN(8), Spacing: time.Second / 4}
		}
	}
	if every := d.between(10*time.Second, 20*time.Minute); d.chance(.7) {
		w.Commands = workload.Commands{Every: every, Jitter: oneOf(d, 0, every/4), Broadcast: d.chance(.2),
			QoS: mqttsn.QoS(d.IntN(3)), Deadline: oneOf(d, 0, time.Minute)}
		switch {
		case w.Commands.Broadcast:
			w.Commands.Topic = "to/" + g.Name
		case topic == "" || d.chance(.3):
			w.Commands.Topic = oneOf(d, "to/"+g.Name+"/%i", "to/"+g.Name+"/%i/other")
		default:
			w.Commands.Topic = topic
		}
	}
	w.Sleep.Policy = oneOf(d, workload.Listening, workload.RadioOff, workload.Sleeping, workload.Sleeping)
	if w.Sleep.Policy == workload.Sleeping {
		w.Sleep.For = d.between(10*time.Second, 2*time.Hour)
		w.Sleep.Poll = oneOf(d, 0, w.Sleep.For/3, w.Sleep.For)
		w.Sleep.Jitter = oneOf(d, 0, w.Sleep.Interval()/10)
		w.Sleep.Aligned = d.chance(.2)
		w.Sleep.Linger = oneOf(d, 0, 3*time.Second)
	}
}

func (d die) link() radio.Link {
	l := radio.Link{Loss: radio.Loss{Mean: oneOf(d, 0., 0, .02, .2, .4)}}
	l.Latency = oneOf(d, radio.Delay{}, radio.Delay{Mean: 50 * time.Millisecond},
		radio.Delay{Distribution: radio.Normal, Mean: 200 * time.Millisecond, Spread: 60 * time.Millisecond},
		radio.Delay{Distribution: radio.LogNormal, Mean: time.Second, Spread: 2 * time.Second})
	if d.chance(.2) {
		l.Loss = radio.Loss{Bursts: radio.GilbertElliott{P: .05, R: .3, LossBad: .9, Step: 10 * time.Second}}
	}
	if d.chance(.3) {
		l.Reordering = radio.Detour{Share: .1, Delay: radio.Delay{Mean: oneOf(d, time.Second, 15*time.Second)}}
	}
	if d.chance(.3) {
		l.Duplication = radio.Detour{Share: .1, Delay: radio.Delay{Mean: oneOf(d, 0, time.Second, 30*time.Second)}}
	}
	return l
}
