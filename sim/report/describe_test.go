package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"dormouse/sim"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// TestSettings pins what a report says that the scenario asked for, of a group
// that has something of everything.
func TestSettings(t *testing.T) {
	p := group(t, "all", 3, "lora-sx1262-sf7", "mcu-lora", "cr2032", radio.Loss{Bursts: radio.Fading(time.Minute, 5*time.Second, 0.9, 0, time.Second)})
	p.Session = sim.Session{CleanSession: true, Will: &sim.Will{Topic: "will/%i", QoS: 1}}
	p.Topics = append(p.Topics, sim.Topic{Name: "alarm", Kind: sim.Predefined, ID: 7}, sim.Topic{Name: "ab", Kind: sim.Short})
	p.Workload.Reports.Curve = make(workload.Curve, 24)
	p.Workload.Reports.Bursts = workload.Bursts{Share: 0.25, Count: 4}
	p.Workload.Reports.Payload.Size = 20
	p.Workload.Commands = workload.Commands{Every: time.Hour, At: []time.Duration{time.Minute}, Topic: "cmd/%i", QoS: 2, Deadline: 90 * time.Second}
	p.Workload.Sleep.Aligned = true
	p.Radio.Up.Reordering = radio.Detour{Share: 0.1, Delay: radio.Delay{Mean: 2 * time.Second}}
	p.Radio.Up.Duplication.Share, p.Radio.Up.MTU, p.Radio.Up.Rate, p.Radio.Up.Preamble, p.Radio.Up.DutyCycle = 0.02, 222, 680, 40*time.Millisecond, 0.01
	p.Radio.Down = radio.Link{}
	p.Radio.NAT = radio.NAT{Every: 10 * time.Minute, Idle: 2 * time.Minute}
	p.Radio.Outages = radio.Outages{Intervals: []radio.Interval{{}}, Every: time.Hour, For: time.Minute}
	p.Site = "cellar"
	p.Ills = workload.Ills{Drift: 50, RebootEvery: 24 * time.Hour, RebootFor: 5 * time.Second, Crying: 0.01, CryingRate: 60, Stuck: 0.02, StuckAfter: time.Hour}
	var b strings.Builder
	g := &Group{}
	g.describe(p, &sim.GroupStats{})
	for _, s := range g.Settings {
		fmt.Fprintf(&b, "%s: %s\n", s.Name, s.Value)
	}
	golden(t, "settings.txt", b.String())
}

// TestCaveat has the caveat of Gilbert and Elliott's chains where losses come
// in bursts, and nowhere else.
func TestCaveat(t *testing.T) {
	r := New(fabricated(t, 1))
	for _, g := range r.Groups {
		if got, want := len(g.Caveats) == 1, g.Name == "soil <probes>"; got != want {
			t.Errorf("%s has caveats %q", g.Name, g.Caveats)
		}
	}
	for _, steady := range []bool{false, true} {
		if steady {
			r.group("soil <probes>").Caveats = nil
		}
		if got := strings.Contains(written(t, r), "Cardoso and de Rezende (2009)"); got == steady {
			t.Errorf("losses are steady: %v; the page has the caveat: %v", steady, got)
		}
	}
}

// TestSources has every parameter's source on the page, and says which are
// assumed.
func TestSources(t *testing.T) {
	o := fabricated(t, 1)
	got := written(t, New(o))
	assumed := 0
	for _, g := range o.Plan.Groups {
		for _, s := range g.Hardware.Sources() {
			if !strings.Contains(got, fmt.Sprintf(`<td class="text">%s</td><td class="text">`, escaped(s.Parameter))) {
				t.Errorf("the source of %q is not on the page", s.Parameter)
			}
			if s.Assumed {
				assumed++
			}
		}
	}
	if n := strings.Count(got, `<span class="tag">assumed</span>`); n != assumed || n == 0 {
		t.Errorf("%d parameters are said to be assumed; want %d", n, assumed)
	}
}

// TestInfeasible says in red what the radio cannot do, whether the energy model
// found it or the link did.
func TestInfeasible(t *testing.T) {
	o := fabricated(t, 1)
	for _, byEnergy := range []bool{true, false} {
		if !byEnergy {
			o.Final.Groups[2].Energy.Report.Infeasible = nil
		}
		r := New(o)
		want := map[bool]string{
			true:  "soil <probes>: on lora-sx1261-sf10: 400 packets are longer than the radio carries: send less at once, or choose a faster setting",
			false: "soil <probes>: 355 datagrams going up were never sent: the hour's share of the air was used up",
		}[byEnergy]
		if got := r.Infeasible(); len(got) != 1 || got[0] != want {
			t.Errorf("infeasible: %q; want %q", got, want)
		}
		if !strings.Contains(written(t, r), `<li class="infeasible">infeasible: `+escaped(want)) {
			t.Errorf("the page does not say %q in red", want)
		}
	}
}

func written(t *testing.T, r *Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// escaped is s as html/template writes it.
func escaped(s string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "'", "&#39;", "+", "&#43;").Replace(s)
}
