package energy

import (
	"errors"
	"math"
	"testing"
	"time"
	"unsafe"

	"dormouse/mqttsn"

	"pgregory.net/rapid"
)

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-6*math.Abs(want)+0.002 }

// TestSmall: there may be a million meters, and none may allocate.
func TestSmall(t *testing.T) {
	if n := unsafe.Sizeof(Meter{}); n > 64 {
		t.Errorf("a meter takes %d octets; want at most 64", n)
	}
	g := Group{Hardware: hardware(t, "802154-nrf52840", "soc-802154")}
	var m Meter
	if n := testing.AllocsPerRun(100, func() {
		m.Woke(&g)
		_ = m.Sent(&g, mqttsn.TypePublish, 200, First)
		m.Waited(&g, mqttsn.TypePublish, time.Millisecond, First)
		_ = m.Received(&g, mqttsn.TypePuback, 7, First)
		m.Slept(&g, time.Minute)
	}); n != 0 {
		t.Errorf("a report allocates %v times", n)
	}
}

// TestBucketOf tries every act in every way, and looks where its charge went.
func TestBucketOf(t *testing.T) {
	h := hardware(t, "802154-nrf52840", "soc-802154")
	const typ = mqttsn.TypePublish
	acts := map[string]func(*Meter, *Group, How){
		"sent":     func(m *Meter, g *Group, how How) { _ = m.Sent(g, typ, 27, how) },
		"received": func(m *Meter, g *Group, how How) { _ = m.Received(g, typ, 27, how) },
		"waited":   func(m *Meter, g *Group, how How) { m.Waited(g, typ, time.Second, how) },
		"computed": func(m *Meter, g *Group, how How) { m.Computed(g, time.Second, how) },
		"woke":     func(m *Meter, g *Group, _ How) { m.Woke(g) },
		"slept":    func(m *Meter, g *Group, _ How) { m.Slept(g, time.Second) },
	}
	sent := 6.40*2.112 + 6.53*1.664
	received := 6.53*(2.112+0.192) + 6.40*0.352
	lost := 4 * (6.40*2.112 + 6.53*1.984)
	for _, tt := range []struct {
		act    string
		how    How
		bucket Bucket
		charge float64 // µC
	}{
		{"sent", First, Tx, sent},
		{"sent", Again, Retransmit, sent},
		{"sent", InHandshake, Handshake, sent},
		{"sent", InHandshake | Again, Handshake, sent},
		{"sent", Lost, Tx, lost},
		{"sent", Again | Lost, Retransmit, lost},
		{"received", First, Rx, received},
		{"received", Again, Retransmit, received},
		{"received", InHandshake, Handshake, received},
		{"waited", First, Wait, 6530},
		{"waited", Again, Retransmit, 6530},
		{"waited", InHandshake, Handshake, 6530},
		{"computed", First, CPU, 3300},
		{"computed", InHandshake, Handshake, 3300},
		{"woke", First, Wake, 80},
		{"slept", First, Sleep, 3.5},
	} {
		g, m := Group{Hardware: h}, Meter{}
		acts[tt.act](&m, &g, tt.how)
		for b := range NumBuckets {
			want := 0.0
			switch b {
			case tt.bucket:
				want = tt.charge
			case Sleep:
				want = 3.5 * m.Elapsed().Seconds() // the floor flows whatever happens
			}
			if !near(m.Charge(b), want) {
				t.Errorf("%s, %b: %v has %v µC; want %v", tt.act, tt.how, b, m.Charge(b), want)
			}
		}
	}
}

// TestAccess: an NB-IoT wake is 130 mA·s beside what the board takes.
func TestAccess(t *testing.T) {
	g, m := Group{Hardware: hardware(t, "nbiot-generic", "module-nbiot")}, Meter{}
	m.Woke(&g)
	if !near(m.Charge(Wake), 130_000) || m.Elapsed() != 2*time.Second {
		t.Errorf("a wake takes %v µC and %v; want 130000 and the 2s of the access", m.Charge(Wake), m.Elapsed())
	}
}

// TestUpkeep: one BLE connection event of 8 µC each second adds 0.19 mAh a day.
func TestUpkeep(t *testing.T) {
	g, m := Group{Hardware: hardware(t, "ble-nrf52840", "soc-ble")}, Meter{}
	g.Radio.Upkeep = 8
	m.Slept(&g, 24*time.Hour)
	if got := m.Drain().Sum(); math.Abs(got-(0.084+0.192)) > 1e-4 {
		t.Errorf("%v mAh a day; want 0.084 of sleep and 0.192 of upkeep", got)
	}
}

// TestDutyCycle: at SF12 the 1 % of an hour is 14 packets of 51 octets. What
// is beyond is refused and costs nothing; the next hour brings 14 more.
func TestDutyCycle(t *testing.T) {
	g, m := Group{Hardware: hardware(t, "lora-sx1262-sf12", "mcu-lora")}, Meter{}
	for hour := range 2 {
		for i := range 14 {
			if err := m.Sent(&g, mqttsn.TypePublish, 51, First); err != nil {
				t.Fatalf("packet %d of hour %d: %v", i+1, hour, err)
			}
		}
		before := m
		err := m.Sent(&g, mqttsn.TypePublish, 51, First)
		e := (*Infeasible)(nil)
		if !errors.As(err, &e) || !errors.Is(err, ErrDutyCycle) || e.Allowed != 36*time.Second {
			t.Fatalf("packet 15 of hour %d: %v; want the duty cycle of 36s exhausted", hour, err)
		}
		const want = "lora-sx1262-sf12: infeasible: 36.987s on air in one hour, 36s allowed: send less often, less, or faster"
		if err.Error() != want {
			t.Errorf("error %q; want %q", err, want)
		}
		before.refused[1]++
		if m != before {
			t.Errorf("a refused packet cost something")
		}
		if n := g.Traffic.Types[mqttsn.TypePublish].Datagrams; n != uint64(14*(hour+1)) {
			t.Errorf("%d packets counted; want %d", n, 14*(hour+1))
		}
		m.Slept(&g, time.Duration(hour+1)*time.Hour-m.Elapsed())
	}
	if payload, duty := m.Refused(); payload != 0 || duty != 2 {
		t.Errorf("refused %d, %d; want 0, 2", payload, duty)
	}
	g.Radio.DutyCycle = 0
	for range 100 {
		if err := m.Sent(&g, mqttsn.TypePublish, 51, First); err != nil {
			t.Fatalf("without a duty cycle: %v", err)
		}
	}
}

func TestTooLong(t *testing.T) {
	g, m := Group{Hardware: hardware(t, "lora-sx1262-sf10", "mcu-lora")}, Meter{}
	const want = "lora-sx1262-sf10: infeasible: datagram of 264 octets, the radio carries 51: send less at once, or choose a faster setting"
	for way, act := range map[string]func(*Group, mqttsn.Type, int, How) error{"sent": m.Sent, "received": m.Received} {
		if err := act(&g, 0, 264, InHandshake); !errors.Is(err, ErrPayload) || err.Error() != want {
			t.Errorf("%s: %v; want %s", way, err, want)
		}
	}
	if payload, duty := m.Refused(); payload != 2 || duty != 0 || m.Elapsed() != 0 || m.Charge(Handshake) != 0 {
		t.Errorf("refused %d, %d, after %v and %v µC; want 2, 0, and nothing spent", payload, duty, m.Elapsed(), m.Charge(Handshake))
	}
}

// TestFull: a bucket stays at its most, and does not begin anew.
func TestFull(t *testing.T) {
	g, m := Group{Hardware: hardware(t, "nbiot-generic", "module-nbiot")}, Meter{}
	for range 20 {
		m.Waited(&g, mqttsn.TypePublish, 1000*time.Hour, First)
	}
	if got := m.Charge(Wait) / microcoulombsPerMAh; math.Abs(got-78187) > 1 {
		t.Errorf("the bucket holds %v mAh; want 78187", got)
	}
}

// TestMeterAgrees: whatever a device does, its meter holds the sum of what
// the acts draw, by packet type as by bucket, and time is what passed.
func TestMeterAgrees(t *testing.T) {
	boards := Boards()
	rapid.Check(t, func(t *rapid.T) {
		g := Group{Hardware: Hardware{
			Radio: rapid.SampledFrom(Profiles()).Draw(t, "radio"),
			Board: rapid.SampledFrom(boards).Draw(t, "board"),
		}}
		var m Meter
		var want, flows float64
		var octets, resent uint64
		var elapsed time.Duration
		moved := func(u Use, n int, how How) {
			c := u.Charge(&g.Radio)
			want, flows, octets, elapsed = want+c, flows+c, octets+uint64(n), elapsed+u.Tx+u.Rx
			if how&Again != 0 {
				resent += uint64(n)
			}
		}
		types := []mqttsn.Type{mqttsn.TypePublish, mqttsn.TypePuback, mqttsn.TypePingreq}
		for range rapid.IntRange(1, 50).Draw(t, "acts") {
			typ := rapid.SampledFrom(types).Draw(t, "type")
			how := rapid.SampledFrom([]How{First, Again, InHandshake, Lost, Again | Lost}).Draw(t, "how")
			n := rapid.IntRange(0, 300).Draw(t, "octets")
			d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "time"))
			switch rapid.SampledFrom([]string{"woke", "sent", "received", "waited", "slept"}).Draw(t, "act") {
			case "woke":
				m.Woke(&g)
				want += g.Board.Waking*ms(g.Board.Wake) + g.Radio.Access.charge() + g.Radio.Tail.charge()
				elapsed += g.Board.Wake + g.Radio.Access.Time
			case "sent":
				if m.Sent(&g, typ, n, how) == nil {
					u, _ := g.Radio.Link.Up(n, how&Lost != 0)
					moved(u, n, how)
				}
			case "received":
				if m.Received(&g, typ, n, how) == nil {
					u, _ := g.Radio.Link.Down(n)
					moved(u, n, how)
				}
			case "waited":
				m.Waited(&g, typ, d, how)
				c := g.Radio.Wait * ms(g.Radio.Link.Listen(d))
				want, flows, elapsed = want+c, flows+c, elapsed+d
			case "slept":
				m.Slept(&g, d)
				elapsed += d
			}
		}
		if m.Elapsed() != elapsed {
			t.Errorf("%v have passed; want %v", m.Elapsed(), elapsed)
		}
		want += g.Floor() * elapsed.Seconds()
		var got float64
		for b := range NumBuckets {
			got += m.Charge(b)
		}
		if math.Abs(got-want) > 1e-6*want+0.2 { // a nC for each act at most
			t.Errorf("the meter holds %v µC; want %v", got, want)
		}
		sum := g.Traffic.Handshake
		for _, f := range g.Traffic.Types {
			sum.add(f)
		}
		if !near(sum.Charge, flows) || sum.Octets != octets || sum.Resent != resent || g.Traffic.Octets() != octets {
			t.Errorf("by type: %+v, %d octets in all; want %v µC, %d octets, %d of them resent", sum, g.Traffic.Octets(), flows, octets, resent)
		}
	})
}
