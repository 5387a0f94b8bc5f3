package sim

import (
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

// TestAir has datagrams land in the order of their arrival, and of their
// sending where that is the same.
func TestAir(t *testing.T) {
	var a air
	for i := range 1000 {
		a.put(datagram{at: clock.Time(1 + i*7919%97), device: int32(i)}, []byte{byte(i)}, nil)
	}
	var last datagram
	for range 1000 {
		d := a.take()
		if d.at < last.at || d.at == last.at && d.device < last.device {
			t.Fatalf("%d comes at %d after %d at %d", d.device, d.at, last.device, last.at)
		}
		if d.data[0] != byte(d.device) {
			t.Fatalf("%d has the data of %d", d.device, d.data[0])
		}
		a.release(d.data)
		last = d
	}
	if a.next() != 0 {
		t.Error("something is left")
	}
}

// TestIdleNAT has a NAT forget a device that says nothing for ten minutes.
func TestIdleNAT(t *testing.T) {
	p := sleepers(2)
	g := p.Groups[0]
	g.Radio.NAT.Idle = 9 * time.Minute
	w := newWorld(t, p)
	s := w.run()
	if s.Rebindings < 40 || s.Ledger.Uplink.Received != s.Ledger.Uplink.Sent {
		t.Errorf("%d rebindings, %+v; want one at each wake, and no harm from it", s.Rebindings, s.Ledger.Uplink)
	}
	w.f.Close(w.now)
	if n := w.f.Broken(); n != 0 {
		t.Errorf("%d invariants broken", n)
	}
}

// TestStrayAnswers has what is sent to an address that was given up reach
// nobody, and what is under way when it is, neither.
func TestStrayAnswers(t *testing.T) {
	p := sensors(1)
	p.Events = []Event{{At: 30 * time.Minute, Kind: Rebind}}
	w := newWorld(t, p)
	w.until(29 * time.Minute)
	old := w.f.devices[0].endpoint
	ping, _ := mqttsn.Append(nil, mqttsn.V12, &mqttsn.Pingreq{})
	heard := func() uint64 { return w.stats().Down.Types[mqttsn.TypePingreq].Datagrams }
	w.f.Receive(w.now, old, ping)
	w.until(29*time.Minute + time.Second)
	if heard() != 1 {
		t.Fatalf("%d PINGREQ were heard before the address changed; want 1", heard())
	}
	w.now = start.Add(30*time.Minute - time.Millisecond)
	w.f.Step(w.now)
	w.f.Receive(w.now, old, ping) // arrives 10 ms later
	w.until(30*time.Minute + time.Second)
	before := w.stats().Down.Radio.Outcomes[radio.Unbound]
	w.f.Receive(w.now, old, ping)
	w.until(30*time.Minute + 2*time.Second)
	if heard() != 1 {
		t.Errorf("%d PINGREQ were heard; want none by the old address", heard())
	}
	if n := w.stats().Down.Radio.Outcomes[radio.Unbound] - before; n != 1 {
		t.Errorf("%d counted as unbound; want 1", n)
	}
}

// TestOldAddress has what is sent to an address, once its last speaker has
// connected from another, be no word to that device.
func TestOldAddress(t *testing.T) {
	goodbye, _ := mqttsn.Append(nil, mqttsn.V12, &mqttsn.Disconnect{})
	for _, toOld := range []bool{true, false} {
		p := sleepers(1)
		p.Events = []Event{{At: 25 * time.Minute, Kind: Rebind}}
		w := newWorld(t, p)
		w.until(25*time.Minute - time.Second)
		old, before := w.f.devices[0].endpoint, w.stats().Connects
		w.gw.sessions, w.gw.at = map[string]*session{}, map[Endpoint]*session{} // it has to connect again
		w.until(50 * time.Minute)
		to := w.f.devices[0].endpoint
		if s := w.stats(); s.States[client.Asleep] != 1 || s.Connects == before || to == old {
			t.Fatalf("%v, connected %d times before and %d after, from %d to %d; want it asleep after another CONNECT, elsewhere",
				s.States, before, s.Connects, old, to)
		}
		want := uint64(1)
		if toOld {
			to, want = old, 0
		}
		w.f.Receive(w.now, to, goodbye)
		if n := w.f.Broken(); n != want {
			t.Errorf("to its old address %v: %d invariants broken, want %d", toOld, n, want)
		}
	}
}

// TestPool gives addresses out again as late as it can.
func TestPool(t *testing.T) {
	e := newEndpoints(6)
	p := e.newPool(0, 0, 3, true)
	at := []Endpoint{0, 1, 2}
	var given []Endpoint
	for k := range 6 {
		i := k % 3
		at[i] = e.rebind(&p, int32(i), at[i])
		given = append(given, at[i])
	}
	if want := []Endpoint{3, 4, 5, 0, 1, 2}; !slices.Equal(given, want) {
		t.Errorf("addresses were given out in the order %v; want %v", given, want)
	}
	for i, a := range at {
		if e.owner[a] != int32(i) || e.owner[a+3] != nobody {
			t.Errorf("owners are %v, device %d has %d", e.owner, i, a)
		}
	}
}

// lora is one sensor on LoRa that reports at QoS 1 as often as it is told.
func lora(every time.Duration) *Plan {
	p := sensors(1)
	g := p.Groups[0]
	h := energy.Hardware{Battery: energy.Batteries()[1], Celsius: 20}
	h.Radio, _ = energy.ProfileNamed("lora-sx1261-sf10")
	h.Board, _ = energy.BoardNamed("mcu-lora")
	g.Hardware = &h
	g.Workload.Reports.Every = every
	g.Workload.Sleep = workload.Sleep{Policy: workload.RadioOff}
	g.Radio.Up.Latency.Mean, g.Radio.Down.Latency.Mean = 500*time.Millisecond, 500*time.Millisecond
	p.Stages[0].For = 3 * time.Hour
	return p
}

// TestInfeasible has a radio not do what it cannot: what the duty cycle forbids
// is not sent, and says so.
func TestInfeasible(t *testing.T) {
	w := newWorld(t, lora(20*time.Second))
	s := w.run()
	duty := s.Up.Radio.Outcomes[radio.DutyCycle]
	if duty == 0 || s.Energy.Total.DutyCycle != int(duty) || len(s.Energy.Report.Infeasible) == 0 {
		t.Errorf("%d datagrams were beyond the duty cycle by the radio's count, %d by the meter's: %v", duty,
			s.Energy.Total.DutyCycle, s.Energy.Report.Infeasible)
	}
	p := lora(10 * time.Minute)
	p.Groups[0].Workload.Reports.Payload.Size = 60
	s = newWorld(t, p).run()
	if n := s.Up.Radio.Outcomes[radio.MTU]; n == 0 || s.Energy.Total.Payload != int(n) || s.Up.Types[mqttsn.TypePublish].Datagrams != n {
		t.Errorf("%d datagrams are too long by the radio's count, %d by the meter's", n, s.Energy.Total.Payload)
	}
}

// TestTimeOnTheAir is how long a report takes when the links say nothing of
// their rate, and when they do.
func TestTimeOnTheAir(t *testing.T) {
	to := func(p *Plan) time.Duration {
		s := newWorld(t, p).run()
		return time.Duration(s.Latency[ToAck].ValueAtQuantile(50)) * time.Microsecond
	}
	p := lora(10 * time.Minute)
	link := p.Groups[0].Hardware.Radio.Link
	up, _ := link.Up(27, false)
	down, _ := link.Down(7)
	want := time.Second + up.Tx + down.Rx
	if got := to(p); got < want*98/100 || got > want*102/100 {
		t.Errorf("PUBLISH to PUBACK takes %v; want a second and the hardware's time on the air, %v", got, want)
	}
	p.Groups[0].Radio.Up.Rate, p.Groups[0].Radio.Down.Preamble = 27, 100*time.Millisecond
	want = 2100 * time.Millisecond
	if got := to(p); got < want*98/100 || got > want*102/100 {
		t.Errorf("PUBLISH to PUBACK takes %v; want %v, as the links say", got, want)
	}
}

// TestRetriesCost has a lost answer cost what the client makes of it.
func TestRetriesCost(t *testing.T) {
	p := lora(10 * time.Minute)
	drain := func() energy.Drain {
		w := newWorld(t, p)
		w.run()
		w.f.Close(w.now)
		return w.stats().Energy.Report.Drain
	}
	before := drain()
	p.Groups[0].Radio.Down.Loss.Mean = 0.5
	after := drain()
	if before[energy.Retransmit] != 0 || after[energy.Retransmit] < before[energy.Tx]/2 {
		t.Errorf("retransmission takes %v mAh a day of %v without loss, %v with half of the answers lost",
			before[energy.Retransmit], before[energy.Tx], after[energy.Retransmit])
	}
}

// TestLostUplinkCosts has a link that repeats by itself do so before it loses a
// datagram.
func TestLostUplinkCosts(t *testing.T) {
	p := lora(10 * time.Minute)
	h := p.Groups[0].Hardware
	h.Radio, _ = energy.ProfileNamed("802154-nrf52840")
	p.Groups[0].Workload.Reports.QoS = 0
	tx := func() float64 {
		w := newWorld(t, p)
		w.until(time.Minute) // connected
		w.gw.mute = true
		w.run()
		return w.f.devices[0].meter.Charge(energy.Tx)
	}
	before := tx()
	p.Events = []Event{{At: time.Minute, Kind: Outage, For: 3 * time.Hour}}
	if after := tx(); after < 2*before {
		t.Errorf("sending takes %v µC, and %v if all is lost; want what the link's own repetition takes", before, after)
	}
}

// TestPowerOff has time without power cost nothing.
func TestPowerOff(t *testing.T) {
	p := lora(10 * time.Minute)
	p.Groups[0].Client = client.DefaultConfig()
	p.Events = []Event{{At: time.Hour, Kind: Reboot, For: time.Hour}}
	w := newWorld(t, p)
	w.run()
	w.f.Close(w.now)
	if got := time.Duration(w.stats().Energy.Total.Days * 24 * float64(time.Hour)); got < 2*time.Hour || got > 2*time.Hour+2*time.Minute {
		t.Errorf("%v are charged of a run of three hours, one of them without power", got)
	}
}
