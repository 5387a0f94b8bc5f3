package energy

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"

	"pgregory.net/rapid"
)

func battery(t testing.TB, name string) Battery {
	t.Helper()
	b, ok := BatteryNamed(name)
	if !ok {
		t.Fatalf("no battery %s", name)
	}
	return b
}

func TestLife(t *testing.T) {
	for _, tt := range []struct {
		battery         string
		perDay, celsius float64
		want            string
	}{
		{"2xaa-lithium", 4.15, 20, "1.7 years"}, // 2550 / (4.15 + 3000·0.7 %/365)
		{"2xaa-lithium", 4.15, 40, "1.7 years"}, // heat adds nothing
		{"2xaa-lithium", 4.15, -20, "1.2 years"},
		{"2xaa-lithium", 4.15, 0, "1.4 years"},
		{"2xaa-lithium", 200, 20, "12.7 days"},
		{"cr2032", 0.091, 20, "5.2 years"}, // 191 / (0.091 + 225·1.5 %/365)
		{"2xaa-lithium", 0.091, 20, "beyond cell shelf life (15 years)"},
		{"ls14500", 0, 20, "beyond cell shelf life (15 years)"},
	} {
		b := battery(t, tt.battery)
		if got := b.Life(tt.perDay, tt.celsius).String(); got != tt.want {
			t.Errorf("%s, %v mAh a day at %v °C: %s; want %s", tt.battery, tt.perDay, tt.celsius, got, tt.want)
		}
	}
}

// TestLifeIsShorter: with more drain, more cold or less capacity, no battery
// lasts longer, and none lasts longer than the shelf life.
func TestLifeIsShorter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SampledFrom(Batteries()).Draw(t, "battery")
		perDay, more := rapid.Float64Range(0, 500).Draw(t, "perDay"), rapid.Float64Range(0, 500).Draw(t, "more")
		celsius, colder := rapid.Float64Range(-40, 60).Draw(t, "celsius"), rapid.Float64Range(0, 40).Draw(t, "colder")
		life := b.Life(perDay, celsius)
		worse := b
		worse.Capacity *= rapid.Float64Range(0.1, 1).Draw(t, "less")
		for name, l := range map[string]Life{
			"drain": b.Life(perDay+more, celsius), "cold": b.Life(perDay, max(-40, celsius-colder)), "capacity": worse.Life(perDay, celsius),
		} {
			if l.Years > life.Years+1e-9 || l.Years < 0 || math.IsNaN(l.Years) {
				t.Errorf("%v years at first, %v after less %s", life.Years, l.Years, name)
			}
		}
		if life.Years > ShelfLife || life.Capped && life.Years != ShelfLife {
			t.Errorf("life is %+v", life)
		}
	})
}

// TestMoreReportsCostMore: a device that reports more often, or must repeat
// itself, takes more a day.
func TestMoreReportsCostMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Group{Hardware: Hardware{
			Radio: rapid.SampledFrom(Profiles()).Draw(t, "radio"),
			Board: rapid.SampledFrom(Boards()).Draw(t, "board"),
		}}
		g.Radio.DutyCycle = 0
		day := func(reports, resent int) Drain {
			var m Meter
			for i := range reports {
				m.Woke(&g)
				for range 1 + resent {
					_ = m.Sent(&g, mqttsn.TypePublish, 27, First)
				}
				m.Slept(&g, time.Duration(i+1)*24*time.Hour/time.Duration(reports)-m.Elapsed())
			}
			return m.Drain()
		}
		n := rapid.IntRange(1, 100).Draw(t, "reports")
		once, oftener, again := day(n, 0).Sum(), day(n+1, 0).Sum(), day(n, 1).Sum()
		if oftener <= once || again <= once {
			t.Errorf("%s: %d reports a day take %v mAh; one more %v; each sent twice %v", g.Radio.Name, n, once, oftener, again)
		}
	})
}

// TestAdvice has devices that waste in one way each, and expects to be told so
// first.
func TestAdvice(t *testing.T) {
	const lora, thread = "lora-sx1261-sf7 mcu-lora", "802154-nrf52840 soc-802154"
	for _, tt := range []struct {
		name, hardware string
		topics         []string
		report         func(d *device)
		want           string
	}{
		{"register", lora, []string{"t", "h", "p"}, func(d *device) {
			for range 3 {
				d.sends(mqttsn.TypeRegister, 12)
				d.gets(mqttsn.TypeRegack, mqttsn.TypeRegister, 7)
			}
			d.publishes(1)
		}, "40 % of the bytes are REGISTER: make these 3 topics (t, h, p) predefined; saves up to 0.12 mAh a day"},
		{"register, names unknown", lora, nil, func(d *device) {
			d.sends(mqttsn.TypeRegister, 40)
			d.gets(mqttsn.TypeRegack, mqttsn.TypeRegister, 7)
			d.publishes(0)
		}, "54 % of the bytes are REGISTER: make the topics predefined; saves up to 0.066 mAh a day"},
		{"retransmission", lora, nil, func(d *device) {
			for range 3 {
				_ = d.Sent(&d.Group, mqttsn.TypePublish, 27, Again|Lost)
				d.Waited(&d.Group, mqttsn.TypePublish, 10*time.Second, Again)
			}
			d.publishes(0)
		}, "57 % of the charge goes into retransmissions: find out why answers do not come, from the link, the gateway, or a T_retry shorter than they take; saves up to 0.17 mAh a day"},
		{"handshake", lora, nil, func(d *device) { d.handshakes(333, 252, 3); d.publishes(1) },
			"76 % of the charge goes into DTLS handshakes: keep the session while the device sleeps, with a connection ID; saves up to 0.46 mAh a day"},
		{"waiting", thread, nil, func(d *device) { d.answer = 2 * time.Second; d.publishes(1) },
			"80 % of the charge goes into waiting for the answer to PUBLISH: send at QoS 0 what may be lost, or several readings in one PUBLISH; saves up to 0.35 mAh a day"},
		{"listening", thread, nil, func(d *device) { d.publishes(1); d.Waited(&d.Group, 0, 10*time.Second, First) },
			"87 % of the charge goes into listening for what may come: let the device sleep whenever it can, and ask for messages with PINGREQ; saves up to 1.7 mAh a day"},
		{"QoS 2", "lora-sx1261-sf10 mcu-lora", nil, func(d *device) { d.publishes(2) },
			"31 % of the bytes are the handshake of QoS 2: QoS 1 does if the receiver tolerates duplicates; saves up to 0.18 mAh a day"},
		{"polling", lora, nil, func(d *device) {
			d.publishes(0)
			for range 5 {
				d.polls()
			}
		}, "a device asks for messages with PINGREQ 480 times a day: ask half as often; saves up to 0.1 mAh a day"},
		{"polling without end", thread, nil, func(d *device) {
			d.answer = time.Millisecond
			for range 200 {
				d.polls()
			}
		}, "a device asks for messages with PINGREQ 19200 times a day: ask half as often; saves up to 0.11 mAh a day"},
		{"access", "nbiot-generic module-nbiot", nil, func(d *device) { d.publishes(1) },
			"76 % of the charge goes into waking and network access: wake half as often, with two readings in one PUBLISH; saves up to 1.7 mAh a day"},
		{"floor", thread, nil, func(d *device) { d.publishes(0) },
			"97 % of the charge is the 3.5 µA that flow while it sleeps: no setting of the protocol lowers them, but a board that draws half does; saves up to 0.042 mAh a day"},
	} {
		radio, board, _ := strings.Cut(tt.hardware, " ")
		d := &device{Group: Group{Hardware: hardware(t, radio, board)}, answer: time.Second}
		d.day(func() { tt.report(d) })
		if d.err != nil {
			t.Errorf("%s: %v", tt.name, d.err)
		}
		var total Total
		total.Add(&d.Meter)
		r := d.Report(&total, tt.topics)
		if len(r.Advice) == 0 || r.Advice[0].String() != tt.want {
			t.Errorf("%s: advice\n%v\nwant first\n%s", tt.name, r.Advice, tt.want)
		}
		for i, a := range r.Advice {
			if a.Saves <= 0 || a.Saves > r.Drain.Sum() || i > 0 && a.Saves > r.Advice[i-1].Saves {
				t.Errorf("%s: advice %d of %v is worth nothing, too much, or more than the one before", tt.name, i, r.Advice)
			}
		}
	}
}

func TestManyTopics(t *testing.T) {
	for want, topics := range map[string][]string{
		"the topic a":                       {"a"},
		"these 7 topics (a, b, c, d, e, …)": {"a", "b", "c", "d", "e", "f", "g"},
	} {
		if got := these(topics); got != want {
			t.Errorf("%v: %q; want %q", topics, got, want)
		}
	}
}

// TestReport sums two devices of different behaviour, and tells what does not
// work: a coin cell for LoRa, packets the radio cannot carry.
func TestReport(t *testing.T) {
	g := Group{Hardware: hardware(t, "lora-sx1261-sf10", "mcu-lora")}
	g.Battery = battery(t, "cr2032")
	var busy, idle Meter
	for range 3 {
		_ = busy.Sent(&g, mqttsn.TypePublish, 52, First)
	}
	for range 60 { // 58 of 616 ms fit the hour
		_ = busy.Sent(&g, mqttsn.TypePublish, 51, First)
	}
	busy.Slept(&g, 24*time.Hour-busy.Elapsed())
	idle.Slept(&g, 24*time.Hour)
	var total Total
	total.Add(&busy)
	total.Add(&idle)
	r := g.Report(&total, nil)

	if want := 3.6 * 24 / 1000; math.Abs(r.Drain[Sleep]-want) > 1e-6 {
		t.Errorf("the mean device sleeps for %v mAh a day; want %v", r.Drain[Sleep], want)
	}
	if want := 58 * 616.448 * 25.5 / microcoulombsPerMAh / 2; math.Abs(r.Drain[Tx]-want) > 1e-6 {
		t.Errorf("the mean device transmits for %v mAh a day; want %v", r.Drain[Tx], want)
	}
	infeasible := []string{
		"infeasible on lora-sx1261-sf10: 3 packets are longer than the radio carries: send less at once, or choose a faster setting",
		"infeasible on lora-sx1261-sf10: 2 packets are beyond the duty cycle: send less often, or choose a faster setting",
	}
	if !slices.Equal(r.Infeasible, infeasible) {
		t.Errorf("infeasible: %q; want %q", r.Infeasible, infeasible)
	}
	if !r.Pulse || r.Peak != 25.5 || r.Limit != 15 {
		t.Errorf("pulse %v, %v of %v mA; want that 25.5 mA are too much for 15", r.Pulse, r.Peak, r.Limit)
	}
	if g.Battery = battery(t, "ls14500"); g.Report(&total, nil).Pulse {
		t.Error("an LS14500 cannot give 25.5 mA?")
	}
	var none Total
	if r := g.Report(&none, nil); r.Drain.Sum() != 0 || r.Advice != nil || !r.Life.Capped {
		t.Errorf("a group without devices: %+v; want no drain and no advice", r)
	}
}

func TestTrafficOfShards(t *testing.T) {
	var whole, part [2]Traffic
	a := Flow{Datagrams: 1, Octets: 2, Resent: 3, Charge: 4, Waiting: 5}
	part[0].Types[mqttsn.TypePublish], part[0].Handshake = a, a
	whole[0].Add(&part[0])
	whole[0].Add(&part[0])
	want := Flow{Datagrams: 2, Octets: 4, Resent: 6, Charge: 8, Waiting: 10}
	if whole[0].Types[mqttsn.TypePublish] != want || whole[0].Handshake != want {
		t.Errorf("two shards make %+v; want %+v", whole[0].Types[mqttsn.TypePublish], want)
	}
}

func TestAgainst(t *testing.T) {
	report := func(radio string) Report {
		d := &device{Group: Group{Hardware: hardware(t, radio, "mcu-lora")}, answer: time.Second}
		d.Battery = battery(t, "cr2032")
		d.day(func() { d.publishes(1) })
		var total Total
		total.Add(&d.Meter)
		return d.Report(&total, nil)
	}
	slow, fast := report("lora-sx1261-sf10"), report("lora-sx1261-sf7")
	d := fast.Against(&slow)
	if math.Abs(d.Drain.Sum()-(0.1426-0.4091)) > 1e-3 || d.Drain[Tx] >= 0 || math.Abs(d.Drain[Sleep]) > 1e-6 || d.Bound {
		t.Errorf("SF7 against SF10: %+v; want 0.267 mAh a day less, none of it asleep", d)
	}
	if math.Abs(d.Years-(fast.Life.Years-slow.Life.Years)) > 1e-9 || d.Years <= 0 {
		t.Errorf("SF7 against SF10: %v years; want %v", d.Years, fast.Life.Years-slow.Life.Years)
	}
	capped := Report{Life: Life{ShelfLife, true}}
	if d := capped.Against(&slow); !d.Bound {
		t.Error("against a life that is capped the difference is but a bound")
	}
}
