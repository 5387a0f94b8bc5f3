package sim

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim/workload"
)

// sleepers is sensors that sleep, poll each 10 minutes, and are sent a command
// each half hour.
func sleepers(count int) *Plan {
	p := sensors(count)
	g := p.Groups[0]
	g.Workload.Reports.Every = 15 * time.Minute
	g.Workload.Sleep = workload.Sleep{Policy: workload.Sleeping, For: 20 * time.Minute, Poll: 10 * time.Minute}
	g.Workload.Commands = workload.Commands{Every: 30 * time.Minute, Topic: "cmd/%c", QoS: 1}
	p.Stages[0].For = 6 * time.Hour
	p.Settle = 30 * time.Minute
	return p
}

func TestSleepersPollAndReport(t *testing.T) {
	w := newWorld(t, sleepers(5))
	w.until(2 * time.Minute)
	if s := w.stats(); s.States[client.Asleep] != 5 {
		t.Errorf("states are %v after two minutes; want 5 asleep", s.States)
	}
	s := w.run()
	if u := s.Ledger.Uplink; u.Sent != 5*24 || u.Received != u.Sent {
		t.Errorf("%+v; want 4 reports an hour of each", u)
	}
	if d := s.Ledger.Downlink; d.Published != 5*12 || d.Delivered != d.Published {
		t.Errorf("%+v; want 2 commands an hour for each, all delivered", d)
	}
	// A report ends a sleep too, so that polls are fewer than six an hour.
	if s.Wakes < 5*6*3 || s.Wakes > 5*6*7 {
		t.Errorf("%d wakes", s.Wakes)
	}
	if s.Connects != 5+5*24 {
		t.Errorf("%d connects; want one of each device, and one more for each report", s.Connects)
	}
	if s.Deaf != 0 {
		t.Errorf("%d datagrams came to radios that were off", s.Deaf)
	}
	for _, l := range []Latency{ToConnect, ToAck, ToSubscriber, ToDrain, ToDevice} {
		if s.Latency[l] == nil {
			t.Errorf("no latency %v was measured", l)
		}
	}
	if p := s.Latency[ToDrain].ValueAtQuantile(50); p < 20_000 || p > 60_000 {
		t.Errorf("to drain takes %d µs; want one or two round trips of 20 ms", p)
	}
	for _, id := range []string{"meter-0", "meter-4"} {
		if c := w.gw.sessions[id].connect; c.CleanSession {
			t.Errorf("%s came back with a clean session, which forgets what it subscribed to", id)
		}
	}
}

func TestSleepTalkPollsInTheSameWake(t *testing.T) {
	p := sleepers(1)
	g := p.Groups[0]
	g.Client.Quirks |= client.SleepTalk
	g.Workload.Sleep.Poll = 18 * time.Minute
	s := newWorld(t, p).run()
	if s.Connects != 1 || s.Wakes != 24 && s.Wakes != 25 || s.Ledger.Uplink.Received != 24 {
		t.Errorf("%d connects, %d wakes, %d reports; want one connect, and a poll with each of 24 reports",
			s.Connects, s.Wakes, s.Ledger.Uplink.Received)
	}
}

// TestNap has a firmware sleep that wakes by connecting.
func TestNap(t *testing.T) {
	p := sleepers(2)
	p.Groups[0].Client = client.Zephyr()
	p.Groups[0].Firmware = Zephyr
	s := newWorld(t, p).run()
	if d := s.Ledger.Downlink; d.Published == 0 || d.Delivered != d.Published {
		t.Errorf("%+v; want all delivered", d)
	}
	if s.Wakes != 0 || s.Lost != 0 || s.Ledger.Uplink.Received != 2*24 {
		t.Errorf("%d wakes, %d lost, %+v", s.Wakes, s.Lost, s.Ledger.Uplink)
	}
}

// TestNapLost has a firmware that wakes by connecting, and cannot, start afresh.
func TestNapLost(t *testing.T) {
	p := sleepers(1)
	p.Groups[0].Client, p.Groups[0].Firmware = client.Zephyr(), Zephyr
	w := newWorld(t, p)
	w.until(time.Hour)
	subscribed := w.stats().Up.Types[mqttsn.TypeSubscribe].Datagrams
	w.gw.mute = true
	w.until(2 * time.Hour)
	w.gw.mute = false
	s := w.run()
	if n := s.Up.Types[mqttsn.TypeSubscribe].Datagrams; subscribed != 1 || n != 2 {
		t.Errorf("%d SUBSCRIBE before the gateway was silent, %d in all; want one, and one after", subscribed, n)
	}
}

func TestRadioOffIsDeaf(t *testing.T) {
	p := sleepers(1)
	p.Groups[0].Workload.Sleep = workload.Sleep{Policy: workload.RadioOff}
	s := newWorld(t, p).run()
	if s.Ledger.Uplink.Received != 24 {
		t.Errorf("%+v; want 24 reports", s.Ledger.Uplink)
	}
	if s.Deaf == 0 || s.Ledger.Downlink.Delivered > 2 {
		t.Errorf("%d datagrams unheard, %+v; want commands unheard but by chance", s.Deaf, s.Ledger.Downlink)
	}
}
