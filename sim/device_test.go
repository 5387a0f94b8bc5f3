package sim

import (
	"slices"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim/payload"
	"dormouse/sim/workload"
)

func (w *world) run() *GroupStats {
	w.until(w.f.plan.Duration() + w.f.plan.Settle)
	return w.stats()
}

// TestCommandsWaitForDevices has nothing sent to who has not been there yet.
func TestCommandsWaitForDevices(t *testing.T) {
	p := sleepers(2)
	p.Stages = []Stage{{Name: "before", For: 3 * time.Hour}, {Name: "after", For: 3 * time.Hour, Arrive: map[string]Ramp{"meters": {}}}}
	w := newWorld(t, p)
	w.until(3 * time.Hour)
	if n := w.stats().Ledger.Downlink.Published; n != 0 {
		t.Errorf("%d commands were sent to devices that are off", n)
	}
	if d := w.run().Ledger.Downlink; d.Published != 2*6 && d.Published != 2*6-1 || d.Delivered != d.Published {
		t.Errorf("%+v; want two an hour for each, from its arrival on", d)
	}
}

func TestReportsThatWait(t *testing.T) {
	p := sensors(1)
	w := newWorld(t, p)
	w.gw.mute = true
	w.until(30 * time.Minute)
	s := w.stats()
	if s.Ledger.Uplink.Sent != 0 || s.Skipped < 24 || s.Skipped > 26 {
		t.Errorf("%d sent, %d skipped without a gateway; want %d of 30 to wait", s.Ledger.Uplink.Sent, s.Skipped, maxWaiting)
	}
	w.gw.mute = false
	s = w.run()
	if u := s.Ledger.Uplink; u.Received != u.Sent || u.Sent+s.Skipped != 60 {
		t.Errorf("%+v and %d skipped; want 60 in all", u, s.Skipped)
	}
	if w.f.devices[0].waiting != 0 {
		t.Errorf("%d reports wait at the end", w.f.devices[0].waiting)
	}
}

func TestCongestion(t *testing.T) {
	w := newWorld(t, sensors(1))
	w.gw.congest = true
	w.until(31 * time.Minute)
	u := w.stats().Ledger.Uplink
	if u.Refused < 5 || u.Refused > 7 || u.Sent != u.Refused {
		t.Errorf("%+v; want one try each T_WAIT of 5 minutes", u)
	}
}

func TestGatewayForgets(t *testing.T) {
	p := sleepers(3)
	p.Forgets = true
	p.Groups[0].Workload.Reports.Every = 0 // who connects to report does not notice
	w := newWorld(t, p)
	w.until(time.Hour)
	w.gw.restart(w.now)
	s := w.run()
	if s.Lost != 3 || s.Connects < 6 {
		t.Errorf("%d lost, %d connects; want each device to notice once", s.Lost, s.Connects)
	}
	for n := range 3 {
		if s := w.gw.sessions[w.f.groups[0].clientID.of(n)]; s == nil || s.filter == "" {
			t.Errorf("device %d is not subscribed again", n)
		}
	}
}

func TestWill(t *testing.T) {
	p := sensors(3)
	p.Groups[0].Session = Session{KeepAlive: time.Minute, Will: &Will{Topic: "gone/%c", Payload: "gone", QoS: 1}}
	w := newWorld(t, p)
	w.until(time.Minute)
	s := w.gw.sessions["meter-2"]
	if s == nil || s.will == nil || string(s.will.Topic) != "gone/meter-2" || string(s.message) != "gone" {
		t.Fatalf("the gateway has the session %+v; want the will of meter-2", s)
	}
	w.f.Heard(w.now, "gone/meter-2", []byte("gone"), true)
	w.f.Heard(w.now, "gone/meter-7", []byte("gone"), false)
	w.f.Heard(w.now, "gone/meter-2", []byte("other"), false)
	if n := w.stats().Ledger.Wills.Fired; n != 0 {
		t.Errorf("%d wills counted that are retained, of strangers, or none", n)
	}
	w.f.Heard(w.now, "gone/meter-2", []byte("gone"), false)
	if n := w.stats().Ledger.Wills.Fired; n != 1 {
		t.Errorf("%d wills counted; want that of meter-2", n)
	}
}

// TestFrom: the numbers in patterns begin where the group says.
func TestFrom(t *testing.T) {
	p := sensors(3)
	p.Groups[0].From = 8
	p.Groups[0].Session = Session{KeepAlive: time.Minute, Will: &Will{Topic: "gone/%c", Payload: "gone", QoS: 1}}
	w := newWorld(t, p)
	w.until(time.Minute)
	for id, want := range map[string]bool{"meter-0": false, "meter-7": false, "meter-8": true, "meter-10": true, "meter-11": false} {
		if _, ok := w.gw.sessions[id]; ok != want {
			t.Errorf("there is a session of %s: %v, want %v", id, ok, want)
		}
	}
	for _, topic := range []string{"gone/meter-0", "gone/meter-7", "gone/meter-11", "gone/meter-10"} {
		if n := w.stats().Ledger.Wills.Fired; n != 0 {
			t.Errorf("before %s %d wills are counted", topic, n)
		}
		w.f.Heard(w.now, topic, []byte("gone"), false)
	}
	if n := w.stats().Ledger.Wills.Fired; n != 1 {
		t.Errorf("%d wills are counted, want that of meter-10", n)
	}
}

func TestIlls(t *testing.T) {
	p := sensors(20)
	p.Groups[0].Ills = workload.Ills{RebootEvery: 30 * time.Minute, RebootFor: 10 * time.Second, Stuck: 0.25, StuckAfter: time.Minute}
	w := newWorld(t, p)
	s := w.run()
	if s.Reboots < 15 || s.Reboots > 60 {
		t.Errorf("%d reboots; want some 2 of each of 15", s.Reboots)
	}
	if s.Connects != 20+s.Reboots {
		t.Errorf("%d connects; want one of each device, and one more for each of %d reboots", s.Connects, s.Reboots)
	}
	if s.States[Off] < 4 || s.States[Off] > 5 {
		t.Errorf("states are %v; want 5 stuck", s.States)
	}
}

func TestEvents(t *testing.T) {
	at := func(kind EventKind) Event { return Event{At: 30*time.Minute + 100*time.Millisecond, Kind: kind} }
	run := func(p *Plan, e Event) (*world, *GroupStats) {
		p.Events = []Event{e}
		w := newWorld(t, p)
		return w, w.run()
	}

	if w, s := run(sensors(4), at(Leave)); s.States[Off] != 4 || len(w.gw.at) != 0 {
		t.Errorf("leave: states are %v, %d connected; want all off, after a goodbye", s.States, len(w.gw.at))
	}
	if w, s := run(sensors(4), at(Stuck)); s.States[Off] != 4 || len(w.gw.at) != 4 {
		t.Errorf("stuck: states are %v, %d connected; want all off, without a word", s.States, len(w.gw.at))
	}
	e := at(Reboot)
	e.For, e.Share = time.Minute, 0.5
	if _, s := run(sensors(4), e); s.Reboots != 2 || s.Connects != 6 {
		t.Errorf("reboot: %d reboots, %d connects; want 2 of 4", s.Reboots, s.Connects)
	}
	quiet := sleepers(4)
	quiet.Groups[0].Workload.Sleep.Poll = 19 * time.Minute
	quiet.Groups[0].Workload.Reports.Every = 0
	quiet.Events = []Event{at(WakeUp)}
	w := newWorld(t, quiet)
	w.until(30 * time.Minute)
	before := w.stats().Wakes
	w.until(31 * time.Minute)
	if n := w.stats().Wakes - before; n != 4 {
		t.Errorf("wake: %d woke; want all 4 at once", n)
	}

	e = at(Outage)
	e.For = 10 * time.Minute
	if _, s := run(sensors(4), e); s.Ledger.Uplink.TimedOut != 4 || s.Lost != 4 || s.States[client.Active] != 4 {
		t.Errorf("outage: %+v, %d lost, states %v; want one report of each to time out", s.Ledger.Uplink, s.Lost, s.States)
	}
}

func TestRebinding(t *testing.T) {
	for _, kind := range []EventKind{Rebind, Reuse} {
		p := sensors(4)
		p.Events = []Event{{At: 30*time.Minute + 100*time.Millisecond, Kind: kind}}
		w := newWorld(t, p)
		if n := w.f.Endpoints(); kind == Rebind && n != 8 || kind == Reuse && n != 4 {
			t.Errorf("%s: %d endpoints for 4 devices", kind, n)
		}
		w.until(30 * time.Minute)
		var before, after []Endpoint
		for i := range w.f.devices {
			before = append(before, w.f.devices[i].endpoint)
		}
		s := w.run()
		for i := range w.f.devices {
			e := w.f.devices[i].endpoint
			after = append(after, e)
			if w.f.ends.owner[e] != int32(i) || e == before[i] {
				t.Errorf("%s: device %d has endpoint %d, and had %d", kind, i, e, before[i])
			}
		}
		slices.Sort(after)
		if len(slices.Compact(after)) != 4 {
			t.Errorf("%s: endpoints are %v", kind, after)
		}
		if kind == Rebind && (s.Lost != 4 || s.Connects != 8) {
			t.Errorf("%d lost, %d connects; want the gateway to know none of the new addresses", s.Lost, s.Connects)
		}
		if s.Rebindings != 4 {
			t.Errorf("%s: %d rebindings counted; want 4", kind, s.Rebindings)
		}
	}
}

func TestStages(t *testing.T) {
	p := sensors(10)
	busy := p.Groups[0].Workload
	busy.Reports.Every = 6 * time.Second
	p.Stages = []Stage{
		{Name: "ramp", For: 10 * time.Minute, Arrive: map[string]Ramp{"meters": {Over: 10 * time.Minute}}},
		{Name: "calm", For: 10 * time.Minute},
		{Name: "storm", For: 10 * time.Minute, Workloads: map[string]workload.Config{"meters": busy}},
	}
	w := newWorld(t, p)
	w.until(5 * time.Minute)
	if s := w.stats(); s.States[Off] != 5 {
		t.Errorf("states are %v in the middle of the ramp; want half off", s.States)
	}
	w.until(20 * time.Minute)
	calm := w.stats().Ledger.Uplink.Sent
	if w.f.Stage(w.now-1) != "calm" || w.f.Stage(w.now) != "storm" || w.f.Stage(w.now.Add(time.Hour)) != "settle" {
		t.Errorf("stages are %s, %s, %s", w.f.Stage(w.now-1), w.f.Stage(w.now), w.f.Stage(w.now.Add(time.Hour)))
	}
	w.until(30 * time.Minute)
	if storm := w.stats().Ledger.Uplink.Sent - calm; calm > 160 || storm < 990 || storm > 1000 {
		t.Errorf("%d reports before the storm, %d in it; want 1000 in it", calm, storm)
	}
	sent := w.stats().Ledger.Uplink.Sent
	if s := w.run(); s.Ledger.Uplink.Sent != sent || !w.f.Settled() {
		t.Errorf("%d reports while it settles; settled is %v", s.Ledger.Uplink.Sent-sent, w.f.Settled())
	}
}

func TestNormalRamp(t *testing.T) {
	r := Ramp{Over: time.Hour, Spread: Normal}
	var last time.Duration
	middle := 0
	for n := range 1000 {
		at := r.of(n, 1000)
		if at < last || at > time.Hour {
			t.Fatalf("device %d comes at %v, the one before at %v", n, at, last)
		}
		if at > 20*time.Minute && at < 40*time.Minute {
			middle++
		}
		last = at
	}
	if middle < 640 || middle > 720 {
		t.Errorf("%d of 1000 in the middle third, which is one standard deviation either side; want 68 %%", middle)
	}
}

func TestApply(t *testing.T) {
	w := newWorld(t, sensors(2))
	w.until(10 * time.Minute)
	changed := *w.f.plan.Groups[0]
	changed.Workload.Reports.Every = time.Second
	changed.Count = 3
	if err := w.f.Apply(w.now, &Change{Group: &changed}); err == nil {
		t.Error("another count was accepted")
	}
	changed.Count = 2
	if err := w.f.Apply(w.now, &Change{Group: &changed}); err != nil {
		t.Fatal(err)
	}
	before := w.stats().Ledger.Uplink.Sent
	w.until(11 * time.Minute)
	if n := w.stats().Ledger.Uplink.Sent - before; n < 118 || n > 121 {
		t.Errorf("%d reports in a minute; want one a second of both", n)
	}
}

func TestBroadcast(t *testing.T) {
	p := sensors(9)
	p.Groups[0].Workload.Commands = workload.Commands{Every: 10 * time.Minute, Topic: "all/%g", QoS: 1, Broadcast: true}
	w := newWorld(t, p)
	s := w.run()
	if d := s.Ledger.Downlink; d.Delivered < 5*9 || d.Delivered > 6*9 {
		t.Errorf("%+v; want 6 broadcasts an hour to 9 devices", d)
	}
	if s.Latency[ToDevice] == nil || s.Latency[ToDevice].TotalCount() < 5*9 {
		t.Error("not each delivery was measured")
	}
}

// TestOneBroadcastAtATime has a change of the workload replace the plans for the
// next broadcast, not add to them.
func TestOneBroadcastAtATime(t *testing.T) {
	p := sensors(3)
	p.Groups[0].Workload.Commands = workload.Commands{Every: 10 * time.Minute, Topic: "all/%g", QoS: 1, Broadcast: true}
	w := newWorld(t, p)
	w.until(time.Minute)
	before := len(w.f.agenda)
	for range 5 {
		changed := *p.Groups[0]
		if err := w.f.Apply(w.now, &Change{Group: &changed}); err != nil {
			t.Fatal(err)
		}
	}
	w.until(11 * time.Minute)
	if n := len(w.f.agenda); n != before {
		t.Errorf("%d appointments after five changes; want %d as before", n, before)
	}
}

func TestTopics(t *testing.T) {
	p := sensors(2)
	p.Groups[0].Topics = []Topic{
		{Name: "a/%i"}, {Name: "b/all", Kind: Predefined, ID: 7}, {Name: "xy", Kind: Short}, {Name: "n/%i", Numbered: true},
	}
	w := newWorld(t, p)
	w.gw.names = map[uint16]string{7: "b/all"}
	s := w.run()
	if u := s.Ledger.Uplink; u.Sent == 0 || u.Received != u.Sent {
		t.Errorf("%+v; want all received", u)
	}
	if have := w.gw.sessions["meter-1"].topics; !slices.Contains(have, "n/1/1") || !slices.Contains(have, "n/1/15") || len(have) != 16 {
		t.Errorf("registered are %v; want a/1, and n/1/1 to n/1/15", have)
	}
	want := []Subscription{{"a/+", 2}, {"b/all", 2}, {"xy", 2}, {"n/+/+", 2}}
	if got := w.f.Filters(); !slices.Equal(got, want) {
		t.Errorf("filters are %v; want %v", got, want)
	}
}

func TestForeignMessages(t *testing.T) {
	w := newWorld(t, sensors(2))
	w.until(time.Minute)
	c := payload.Config{}
	w.f.Heard(w.now, "dev/0/temp", c.Append(nil, payload.Reading{Tag: payload.Tag{Device: 77, Sequence: 1}}), false)
	w.f.Heard(w.now, "dev/0/temp", []byte("hello"), false)
	w.f.Receive(w.now, 1, []byte("no packet"))
	w.until(2 * time.Minute)
	if n := w.stats().Ledger.Uplink.Received; n > 4 {
		t.Errorf("%d received", n)
	}
	if n := w.stats().Down.Types[mqttsn.TypePublish].Datagrams; n != 0 {
		t.Errorf("%d PUBLISH heard", n)
	}
}
