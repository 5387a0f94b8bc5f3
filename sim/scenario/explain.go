package scenario

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// Explain says in words what a run with o would be: who takes part, what
// happens, what has to come out, and what the figures on batteries rest on.
// The error is [strict.Problems], or that of w.
func (s *Scenario) Explain(w io.Writer, o Overrides) error {
	b := s.build(o)
	if len(b.problems) > 0 {
		return b.problems.Tidy()
	}
	e := &explainer{plan: b.plan}
	e.all()
	if b.script != 1 {
		e.line("")
		e.line("The stages take %s times what the file says, and the devices' own times %s.", figure(b.script), figure(b.own))
	}
	_, err := io.WriteString(w, e.b.String())
	return err
}

type explainer struct {
	b    strings.Builder
	plan *sim.Plan
}

func (e *explainer) line(format string, args ...any) {
	fmt.Fprintf(&e.b, format+"\n", args...)
}

// figure writes a number with three digits that count.
func figure(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// percent writes a share.
func percent(share float64) string { return figure(share*100) + " %" }

func (e *explainer) all() {
	p := e.plan
	devices := 0
	for _, g := range p.Groups {
		devices += g.Count
	}
	e.line("%s: %s", p.Name, cmp.Or(p.About, "no word on what it shows"))
	e.line("%s in %s, %s and %s to settle, seed %d.", count(devices, "device"), count(len(p.Groups), "group"),
		duration(p.Duration()), duration(p.Settle), p.Seed)
	for _, g := range p.Groups {
		e.line("")
		e.group(g)
	}
	e.line("")
	e.line("Stages")
	at := time.Duration(0)
	for i := range p.Stages {
		e.stage(at, &p.Stages[i])
		at += p.Stages[i].For
	}
	if len(p.Events) > 0 {
		e.line("")
		e.line("Faults")
		for i := range p.Events {
			e.event(&p.Events[i])
		}
	}
	for i, t := range p.Thresholds {
		if i == 0 {
			e.line("")
			e.line("The run fails unless")
		}
		e.line("  %s", t.Text)
	}
	if p.Forgets {
		e.line("")
		e.line("The gateway loses its sessions when it is killed: what it owed then is forgiven, and counted.")
	}
	e.sources()
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " " + what
}

func (e *explainer) group(g *sim.Group) {
	e.line("%s: %s, %s firmware, client ids %s", g.Name, count(g.Count, "device"), g.Firmware, g.ClientID)
	e.workload(&g.Workload, g)
	e.radio(&g.Radio, g.Site)
	e.transport(g)
	e.line("  unanswered, a packet is sent again after %s, %d times", duration(g.Client.RetryInterval), g.Client.MaxRetries)
	if w := g.Session.Will; w != nil {
		e.line("  lost, its will is published to %s at QoS %d", w.Topic, w.QoS)
	}
	if i := g.Ills; i != (workload.Ills{}) {
		e.ills(&i)
	}
	if h := g.Hardware; h != nil {
		e.line("  made of %s, %s and %s at %s °C", h.Radio.Name, h.Board.Name, h.Battery.Name, figure(h.Celsius))
		e.air(g)
	}
}

// transport says how devices speak to the gateway, if it is not in the clear.
func (e *explainer) transport(g *sim.Group) {
	d := g.DTLS
	if d == nil {
		return
	}
	keys := "made up for the run"
	if d.KeyFile != "" {
		keys = "of " + d.KeyFile
	}
	e.line("  speaks DTLS as %s, with pre-shared keys %s: each datagram is %d octets longer, and %d to it", d.Identity, keys, d.Sealing(false), d.Sealing(true))
	if d.CID {
		e.line("  knows connection ids: one handshake, whatever its address")
	} else {
		e.line("  knows no connection ids: a handshake whenever it wakes")
	}
}

// workload says what devices do.
func (e *explainer) workload(w *workload.Config, g *sim.Group) {
	r, c, s := &w.Reports, &w.Commands, &w.Sleep
	if r.Every > 0 {
		how := ""
		switch {
		case r.Aligned:
			how = ", all at once"
		case r.Jitter > 0:
			how = ", give or take " + duration(r.Jitter)
		}
		if r.Curve.Peak() > 1 {
			how += fmt.Sprintf(", up to %s times as often by the hour of the day", figure(r.Curve.Peak()))
		}
		if b := r.Bursts; b.Share > 0 {
			how += fmt.Sprintf(", %s of them followed by %d more", percent(b.Share), b.Count)
		}
		var names []string
		for _, t := range g.Topics {
			names = append(names, t.Name)
		}
		const few = 3
		if len(names) > few {
			names = append(names[:few:few], fmt.Sprintf("and %d more", len(names)-few))
		}
		e.line("  reports every %s%s, %d octets of %s at QoS %d, to %s", duration(r.Every), how, size(r.Payload),
			cmp.Or(r.Payload.Format, "fixed"), r.QoS, strings.Join(names, ", "))
	} else {
		e.line("  reports nothing")
	}
	if c.Every > 0 || len(c.At) > 0 {
		when := ""
		if c.Every > 0 {
			when = " every " + duration(c.Every)
		}
		for _, at := range c.At {
			when += ", " + duration(at) + " into the stage"
		}
		who := "each device"
		if c.Broadcast {
			who = "all in one message"
		}
		by := ""
		if c.Deadline > 0 {
			by = ", to arrive within " + duration(c.Deadline)
		}
		e.line("  is told, %s,%s: %d octets at QoS %d%s", who, strings.TrimPrefix(when, ","), size(c.Payload), c.QoS, by)
	}
	switch s.Policy {
	case workload.Sleeping:
		together := ""
		if s.Aligned {
			together = ", all at once"
		}
		e.line("  sleeps for up to %s, and asks for messages every %s%s", duration(s.For), duration(s.Interval()), together)
	case workload.RadioOff:
		e.line("  has its radio off but to report, and hears nothing in between")
	default:
		e.line("  listens all the time")
	}
}

func (e *explainer) radio(c *radio.Config, site string) {
	say := func(way string, l *radio.Link) {
		lost := "nothing"
		if l.Loss != (radio.Loss{}) {
			lost = percent(l.Loss.MeanLoss())
		}
		text := fmt.Sprintf("  %s: %s lost", way, lost)
		if l.Loss.Bursts != (radio.GilbertElliott{}) {
			text += fmt.Sprintf(" in bursts of %s", figure(l.Loss.MeanBurst()))
		}
		text += ", takes " + duration(l.Latency.Mean)
		if l.Latency.Spread > 0 {
			text += fmt.Sprintf("±%s, %s", duration(l.Latency.Spread), l.Latency.Distribution)
		}
		if l.MTU > 0 {
			text += fmt.Sprintf(", at most %d octets", l.MTU)
		}
		if l.DutyCycle > 0 {
			text += fmt.Sprintf(", %s of the time", percent(l.DutyCycle))
		}
		e.line("%s", text)
	}
	if c.Up == c.Down {
		say("radio", &c.Up)
	} else {
		say("radio up", &c.Up)
		say("radio down", &c.Down)
	}
	if n := c.NAT; n.Every > 0 {
		e.line("  gets another address every %s", duration(n.Every))
	}
	if n := c.NAT; n.Idle > 0 {
		e.line("  its address is another's after %s of silence", duration(n.Idle))
	}
	if o := c.Outages; len(o.Intervals) > 0 || o.Every > 0 {
		e.line("  its cell has outages: %s", outages(o))
	}
	if site != "" {
		e.line("  stands in %s, with outages: %s", site, outages(e.plan.Sites[site]))
	}
}

func outages(o radio.Outages) string {
	var parts []string
	for _, iv := range o.Intervals {
		parts = append(parts, fmt.Sprintf("at %s for %s", duration(iv.At), duration(iv.For)))
	}
	if o.Every > 0 {
		parts = append(parts, fmt.Sprintf("one every %s, for %s", duration(o.Every), duration(o.For)))
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}

func (e *explainer) ills(i *workload.Ills) {
	var parts []string
	if i.Drift > 0 {
		parts = append(parts, fmt.Sprintf("clocks wrong by up to %s ppm", figure(i.Drift)))
	}
	if i.RebootEvery > 0 {
		parts = append(parts, "a reboot every "+duration(i.RebootEvery))
	}
	if i.Crying > 0 {
		parts = append(parts, fmt.Sprintf("%s report %s times as often", percent(i.Crying), figure(i.CryingRate)))
	}
	if i.Stuck > 0 {
		parts = append(parts, fmt.Sprintf("%s fall silent for ever", percent(i.Stuck)))
	}
	e.line("  ills: %s", strings.Join(parts, ", "))
}

// air says how much of what the radio may do the devices need.
func (e *explainer) air(g *sim.Group) {
	allowed := g.Hardware.Radio.DutyCycle
	if allowed == 0 {
		return
	}
	var seconds float64
	for _, l := range loads(g) {
		if u, err := use(g, l); err == nil && !l.down {
			seconds += u.Tx.Seconds() * l.hourly
		}
	}
	e.line("  needs %s of the air in the busiest hour if nothing is lost, and may have %s", percent(seconds/3600), percent(allowed))
	if g.Client.Quirks.Has(client.SleepTalk) {
		e.line("  publishes while asleep, without a CONNECT")
	}
}

func (e *explainer) stage(at time.Duration, st *sim.Stage) {
	e.line("  %s  %s, for %s", duration(at), st.Name, duration(st.For))
	for _, g := range e.plan.Groups { // in the order of the file
		if r, ok := st.Arrive[g.Name]; ok {
			spread := ""
			if r.Spread == sim.Normal {
				spread = ", most of them half way"
			}
			e.line("    %s: switched on over %s%s", g.Name, duration(r.Over), spread)
		}
		if w, ok := st.Workloads[g.Name]; ok {
			e.line("    %s, from here on", g.Name)
			before := e.b.Len()
			e.workload(&w, g)
			indented := "    " + strings.ReplaceAll(strings.TrimSuffix(e.b.String()[before:], "\n"), "\n", "\n    ")
			text := e.b.String()[:before] + indented + "\n"
			e.b.Reset()
			e.b.WriteString(text)
		}
	}
}

func (e *explainer) event(ev *sim.Event) {
	whom := cmp.Or(ev.Group, "all")
	if ev.Share < 1 {
		whom = percent(ev.Share) + " of " + whom
	}
	lasts := ""
	if ev.For > 0 {
		lasts = ", for " + duration(ev.For)
	}
	switch ev.Kind {
	case sim.Restart:
		e.line("  %s  the gateway is killed, and started again%s", duration(ev.At), strings.Replace(lasts, ", for", " after", 1))
	case sim.Set:
		e.line("  %s  %s changes", duration(ev.At), ev.Group)
	default:
		e.line("  %s  %s: %s%s", duration(ev.At), ev.Kind, whom, lasts)
	}
}

// sources lists where the figures of the hardware come from, each once.
func (e *explainer) sources() {
	var lines []string
	bursts := false
	for _, g := range e.plan.Groups {
		for _, l := range []*radio.Link{&g.Radio.Up, &g.Radio.Down} {
			bursts = bursts || l.Loss.Bursts != (radio.GilbertElliott{})
		}
		if g.Hardware == nil {
			continue
		}
		h := g.Hardware
		for _, p := range []struct {
			name    string
			sources []energy.Source
		}{{h.Radio.Name, h.Radio.Sources}, {h.Board.Name, h.Board.Sources}, {h.Battery.Name, h.Battery.Sources}} {
			for _, s := range p.sources {
				from := s.From
				if s.Assumed {
					from = "assumed; " + from
				}
				if line := fmt.Sprintf("  %s: %s (%s)", p.name, s.Parameter, from); !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
			}
		}
	}
	if len(lines) > 0 {
		e.line("")
		e.line("What the figures on batteries rest on")
		e.line("%s", strings.Join(lines, "\n"))
	}
	if bursts {
		e.line("")
		e.line("Loss in bursts is a Gilbert-Elliott chain, which fits measured loss indoors badly (Cardoso and de Rezende, 2009).")
	}
}
