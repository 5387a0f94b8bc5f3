package report

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/drive"
	"dormouse/sim/energy"
	"dormouse/sim/ledger"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// fabricated is a run of two hours as it might have gone, always the same:
// three groups, an outage, a restart, and a radio of which too much is asked.
// slow makes it worse: latencies and losses by that factor.
func fabricated(t testing.TB, slow float64) *drive.Outcome {
	t.Helper()
	harsh, err := radio.Preset("harsh")
	if err != nil {
		t.Fatal(err)
	}
	plan := &sim.Plan{
		Name: "field-trial", About: "Meters, trackers and soil probes on three radios, with an outage and a restart of the gateway.",
		Seed: math.MaxUint64 - 6, Settle: 5 * time.Minute,
		Groups: []*sim.Group{
			group(t, "meters", 6000, "802154-nrf52840", "soc-802154", "2xaa-lithium", radio.Loss{Mean: 0.02}),
			group(t, "trackers", 1500, "nbiot-generic", "module-nbiot", "cr2032", radio.Loss{Mean: 0.08}),
			group(t, "soil <probes>", 2500, "lora-sx1261-sf10", "mcu-lora", "2xaa-lithium", radio.Loss{Bursts: harsh}),
		},
		Stages: []sim.Stage{{Name: "arrive", For: 20 * time.Minute}, {Name: "steady", For: 70 * time.Minute}, {Name: "rush", For: 30 * time.Minute}},
		Events: []sim.Event{
			{At: 80 * time.Minute, Kind: sim.Restart, For: 30 * time.Second},
			{At: 45 * time.Minute, Kind: sim.Outage, Group: "meters", Share: 0.5, For: 7 * time.Minute},
		},
	}
	for _, text := range []string{"drain.p99 < 40s", "reports.missing == 0", "meters: battery.years > 5"} {
		th, err := ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		plan.Thresholds = append(plan.Thresholds, th)
	}
	o := &drive.Outcome{Plan: plan, Ran: 2*time.Hour + 5*time.Minute, Elapsed: 41300 * time.Millisecond, Virtual: true}
	rnd := rand.New(rand.NewPCG(1, 2))
	now := &sim.Stats{Groups: make([]sim.GroupStats, len(plan.Groups))}
	const samples = 240
	for i := range samples + 1 {
		now.At = time.Duration(i) * o.Ran / samples
		for g := range now.Groups {
			live(&now.Groups[g], plan.Groups[g], rnd, slow, now.At)
		}
		s := *now
		s.Groups = append([]sim.GroupStats(nil), now.Groups...)
		o.Samples = append(o.Samples, &s)
	}
	o.Final = o.Samples[samples]
	o.Samples = o.Samples[:samples]
	for g := range o.Final.Groups {
		u := &o.Final.Groups[g].Ledger.Uplink
		u.Acknowledged, u.Received, u.InFlight = u.Acknowledged-3, u.Received-3, 3
		powered(&o.Final.Groups[g], plan.Groups[g], rnd, slow)
	}
	return o
}

func group(t testing.TB, name string, count int, profile, board, battery string, loss radio.Loss) *sim.Group {
	t.Helper()
	r, ok1 := energy.ProfileNamed(profile)
	b, ok2 := energy.BoardNamed(board)
	c, ok3 := energy.BatteryNamed(battery)
	if !ok1 || !ok2 || !ok3 {
		t.Fatalf("no preset %s, %s or %s", profile, board, battery)
	}
	link := radio.Link{Loss: loss, Latency: radio.Delay{Distribution: radio.LogNormal, Mean: 30 * time.Millisecond, Spread: 10 * time.Millisecond}}
	return &sim.Group{
		Name: name, Count: count, ClientID: name + "-%i", Firmware: sim.Full, Client: client.DefaultConfig(),
		Session: sim.Session{KeepAlive: 30 * time.Minute}, Topics: []sim.Topic{{Name: "site/%g/%i"}},
		Workload: workload.Config{
			Reports: workload.Reports{Every: 15 * time.Minute, Jitter: time.Minute, QoS: 1, Payload: payload.Config{Format: payload.JSON}},
			Sleep:   workload.Sleep{Policy: workload.Sleeping, For: 15 * time.Minute},
		},
		Radio:    radio.Config{Up: link, Down: link},
		Hardware: &energy.Hardware{Radio: r, Board: b, Battery: c, Celsius: 10},
	}
}

// live lets a group live on until now.
func live(g *sim.GroupStats, p *sim.Group, rnd *rand.Rand, slow float64, now time.Duration) {
	g.Name, g.Devices = p.Name, p.Count
	here := int(float64(p.Count) * min(1, now.Minutes()/20))
	out := p.Name == "meters" && now > 45*time.Minute && now < 52*time.Minute
	down := now > 80*time.Minute && now < 82*time.Minute
	g.States = [sim.NumStates]int{sim.Off: p.Count - here}
	lost := 0
	if down {
		lost = here / 3
	}
	awake := int(float64(here) * (0.02 + 0.01*rnd.Float64()))
	connecting := here / 200
	active := here / 50
	g.States[client.Disconnected], g.States[client.Awake], g.States[client.Connecting], g.States[client.Active] = lost, awake, connecting, active
	g.States[client.Asleep] = here - lost - awake - connecting - active

	rate := float64(here) / 30 * (0.9 + 0.2*rnd.Float64())
	if now > 90*time.Minute {
		rate *= 2.2
	}
	n := uint64(rate)
	share := slow * p.Radio.Up.Loss.MeanLoss()
	if out {
		share += 0.5 * (1 - share)
	}
	lostNow := uint64(float64(n) * share)
	u := &g.Ledger.Uplink
	u.Sent += n
	u.Received += n - lostNow/20
	u.TimedOut += lostNow / 20
	u.Acknowledged += n - lostNow/20
	u.Duplicates += lostNow / 40
	d := &g.Ledger.Downlink
	d.Published += n / 10
	d.Accepted += n / 10
	d.Delivered += n/10 - lostNow/100
	d.Late += lostNow / 200
	g.Connects += n
	g.Skipped += lostNow / 30
	g.Deaf += lostNow / 35
	g.Wakes += n
	for _, typ := range []struct {
		typ    mqttsn.Type
		up     bool
		octets uint64
	}{{mqttsn.TypeConnect, true, 24}, {mqttsn.TypeConnack, false, 3}, {mqttsn.TypePublish, true, 41}, {mqttsn.TypePuback, false, 7},
		{mqttsn.TypeDisconnect, true, 4}, {mqttsn.TypeDisconnect, false, 2}, {mqttsn.TypePingreq, true, 18}, {mqttsn.TypePingresp, false, 2}} {
		dir := &g.Up
		if !typ.up {
			dir = &g.Down
		}
		dir.Types[typ.typ].Datagrams += n
		dir.Types[typ.typ].Octets += n * typ.octets
		dir.Datagrams += n
		dir.Octets += n * typ.octets
		dir.Resent += lostNow
		dir.Radio.Sent += n
		dir.Radio.Outcomes[radio.Arrived] += n - lostNow
		if out {
			dir.Radio.Outcomes[radio.Outage] += lostNow
		} else {
			dir.Radio.Outcomes[radio.Chance] += lostNow
		}
	}
	if p.Name != "meters" && p.Name != "trackers" {
		g.Up.Radio.Sent += n / 50
		g.Up.Radio.Outcomes[radio.DutyCycle] += n / 50
	}
	for l, median := range [sim.NumLatencies]float64{0.06, 0.08, 0.11, 0.3, 12} {
		if g.Latency[l] == nil {
			g.Latency[l] = hdrhistogram.New(1, 3_600_000_000, 3)
		}
		for range min(n, 200) {
			v := slow * median * math.Exp(0.4*rnd.NormFloat64()) * 1e6
			if rnd.Float64() < share {
				v += 10e6 * float64(1+rnd.IntN(3))
			}
			if err := g.Latency[l].RecordValue(int64(v)); err != nil {
				panic(err)
			}
		}
	}
}

// powered gives a group the batteries that its reports would have cost.
func powered(s *sim.GroupStats, p *sim.Group, rnd *rand.Rand, slow float64) {
	g := &energy.Group{Hardware: *p.Hardware}
	e := &sim.EnergyStats{}
	for range 400 {
		var m energy.Meter
		every := time.Duration(float64(15*time.Minute) * (0.8 + 0.4*rnd.Float64()) / slow)
		for i := range 48 {
			m.Woke(g)
			for _, octets := range []int{41, 18} {
				how := energy.First
				if rnd.Float64() < p.Radio.Up.Loss.MeanLoss() {
					how = energy.Again
				}
				if err := m.Sent(g, mqttsn.TypePublish, octets, how); err != nil {
					break
				}
				m.Waited(g, mqttsn.TypePublish, 80*time.Millisecond, how)
				if err := m.Received(g, mqttsn.TypePuback, 7, energy.First); err != nil {
					break
				}
			}
			m.Slept(g, time.Duration(i+1)*every-m.Elapsed())
		}
		if p.Name != "meters" && p.Name != "trackers" {
			_ = m.Sent(g, mqttsn.TypePublish, 80, energy.First)
		}
		e.Total.Add(&m)
		e.Years = append(e.Years, g.Battery.Life(m.Drain().Sum(), g.Celsius).Years)
	}
	e.Traffic = g.Traffic
	e.Report = g.Report(&e.Total, []string{"site/" + p.Name + "/0"})
	s.Energy = e
}

// faulty is fabricated with two invariants broken, and a threshold missed.
func faulty(t testing.TB) *drive.Outcome {
	o := fabricated(t, 1.5)
	o.Final.Broken = 1234
	for i := range 2 {
		o.Final.Violations = append(o.Final.Violations, ledger.Violation{
			Rule: ledger.SleeperHeard, At: 4321 * time.Second, Group: "soil <probes>", Device: 17 + i,
			Text: "PUBLISH reached a radio that is asleep since PINGRESP; it should have waited for a PINGREQ",
			Trace: []string{"+4319.812s  up    PINGREQ", "+4319.870s  down  PUBLISH id 7 qos 1 topic 3", "+4319.911s  up    PUBACK id 7",
				"+4319.954s  down  PINGRESP", "+4321.000s  down  PUBLISH id 8 qos 1 topic 3 <script>alert(1)</script>"},
		})
	}
	o.Final.Shed = 0
	return o
}
