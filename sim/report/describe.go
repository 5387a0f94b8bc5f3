package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// describe adds to g what the plan says of it, and what to make of that.
func (g *Group) describe(p *sim.Group, s *sim.GroupStats) {
	add := func(name, format string, args ...any) {
		g.Settings = append(g.Settings, Setting{name, fmt.Sprintf(format, args...)})
	}
	add("firmware", "%s: T_RETRY %s, N_RETRY %d", p.Firmware, spell(p.Client.RetryInterval), p.Client.MaxRetries)
	session := "kept while the device is away"
	if p.Session.CleanSession {
		session = "clean at each connection"
	}
	add("session", "keep alive %s, %s%s", interval(p.Session.KeepAlive, "none"), session, willOf(p.Session.Will))
	if d := p.DTLS; d != nil {
		how := "known by their connection ids: one handshake, whatever their address"
		if !d.CID {
			how = "without connection ids: a handshake at each wake"
		}
		add("transport", "DTLS 1.2 with pre-shared keys, %s", how)
		g.Caveats = append(g.Caveats, sealed)
	}
	for _, t := range p.Topics {
		add("topic", "%s, %s", t.Name, topicKind(t))
	}
	describeReports(&p.Workload.Reports, add)
	if c := &p.Workload.Commands; c.Every > 0 || len(c.At) > 0 {
		add("commands", "%s, QoS %d on %s%s", each(c.Every, c.At), c.QoS, c.Topic, within(c.Deadline))
	}
	describeSleep(&p.Workload.Sleep, add)
	describeLink("radio, up", &p.Radio.Up, add)
	describeLink("radio, down", &p.Radio.Down, add)
	if n := p.Radio.NAT; n != (radio.NAT{}) {
		add("NAT", "another address each %s; a binding lasts %s after the last datagram", interval(n.Every, "never"), interval(n.Idle, "for ever"))
	}
	if o := p.Radio.Outages; o.Every > 0 || len(o.Intervals) > 0 {
		add("outages", "%d stated, and one of %s in each %s", len(o.Intervals), spell(o.For), interval(o.Every, "never"))
	}
	if p.Site != "" {
		add("site", "%s", p.Site)
	}
	describeIlls(&p.Ills, add)
	if bursty(p.Radio.Up.Loss) || bursty(p.Radio.Down.Loss) {
		g.Caveats = append(g.Caveats, bursts)
	}
	g.describeEnergy(p.Hardware, s.Energy)
}

// bursts is what to bear in mind where losses come in bursts.
const bursts = "Losses come in bursts, from a Gilbert-Elliott chain that time advances. " +
	"Cardoso and de Rezende (2009) found that such chains fit measured loss indoors badly, and propose a hidden Markov model; " +
	"Jiao (2002) found that chains at the level of packets are not homogeneous. Take the length of bursts as a model, not as a measurement."

// sealed is what of the charge of DTLS is counted, and what is assumed.
const sealed = "The octets of DTLS are those that pion's handshakes and our records had in this run. " +
	"What computing takes is assumed: 50 µs for a record and 5 ms for a handshake with a pre-shared key."

func bursty(l radio.Loss) bool { return l.Bursts != (radio.GilbertElliott{}) }

func describeReports(r *workload.Reports, add func(string, string, ...any)) {
	if r.Every == 0 {
		add("reports", "none")
		return
	}
	size := "as short as can be"
	if r.Payload.Size > 0 {
		size = fmt.Sprintf("of %d octets", r.Payload.Size)
	}
	extra := ""
	if r.Aligned {
		extra += ", all devices at once"
	}
	if len(r.Curve) > 0 {
		extra += ", varying over the day"
	}
	if r.Bursts.Share > 0 {
		extra += fmt.Sprintf(", %s of them followed by %d more", percent(r.Bursts.Share), r.Bursts.Count)
	}
	add("reports", "each %s ± %s, QoS %d, %s %s%s", spell(r.Every), spell(r.Jitter), r.QoS, r.Payload.Format, size, extra)
}

func describeSleep(s *workload.Sleep, add func(string, string, ...any)) {
	switch s.Policy {
	case workload.Sleeping:
		poll := s.Poll
		if poll == 0 {
			poll = s.For * 3 / 4
		}
		at := ""
		if s.Aligned {
			at = ", all devices at once"
		}
		add("sleep", "for up to %s, asking for messages each %s%s", spell(s.For), spell(poll), at)
	case workload.RadioOff:
		add("sleep", "none; the radio is off between reports")
	default:
		add("sleep", "none; the radio is always on")
	}
}

func describeLink(name string, l *radio.Link, add func(string, string, ...any)) {
	var parts []string
	say := func(ok bool, format string, args ...any) {
		if ok {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	mean := l.Loss.MeanLoss()
	say(mean > 0, "%s lost", percent(mean))
	say(bursty(l.Loss), "in bursts of %s", significant(l.Loss.MeanBurst(), 2))
	say(l.Latency.Mean > 0, "latency %s", spell(l.Latency.Mean))
	say(l.Latency.Spread > 0, "%s with a spread of %s", l.Latency.Distribution, spell(l.Latency.Spread))
	say(l.Reordering.Share > 0, "%s held back for %s", percent(l.Reordering.Share), spell(l.Reordering.Delay.Mean))
	say(l.Duplication.Share > 0, "%s duplicated", percent(l.Duplication.Share))
	say(l.MTU > 0, "MTU %d octets", l.MTU)
	say(l.Rate > 0, "%s octets/s", significant(l.Rate, 3))
	say(l.Preamble > 0, "preamble %s", spell(l.Preamble))
	say(l.DutyCycle > 0, "duty cycle %s", percent(l.DutyCycle))
	if len(parts) == 0 {
		parts = []string{"perfect: everything arrives, once and at once"}
	}
	add(name, "%s", strings.Join(parts, ", "))
}

func describeIlls(i *workload.Ills, add func(string, string, ...any)) {
	if i.Drift > 0 {
		add("clock drift", "up to %s ppm", significant(i.Drift, 3))
	}
	if i.RebootEvery > 0 {
		add("reboots", "each %s on average, %s without power", spell(i.RebootEvery), spell(i.RebootFor))
	}
	if i.Crying > 0 {
		add("crying", "%s of the devices report %s times as often", percent(i.Crying), significant(i.CryingRate, 3))
	}
	if i.Stuck > 0 {
		add("stuck", "%s of the devices fall silent, after %s on average", percent(i.Stuck), spell(i.StuckAfter))
	}
}

// describeEnergy adds the battery's report, if there is a battery.
func (g *Group) describeEnergy(h *energy.Hardware, s *sim.EnergyStats) {
	if h == nil || s == nil {
		return
	}
	r := &s.Report
	e := &Energy{
		Radio: h.Radio.Name, Board: h.Board.Name, Battery: fmt.Sprintf("%s at %s °C", h.Battery.Name, significant(h.Celsius, 3)),
		Life: lifeOf(r.Life), Capped: r.Life.Capped,
		Infeasible: slices.Concat([]string{}, r.Infeasible),
		Advice:     []Advice{}, Sources: []Source{},
	}
	if r.Pulse {
		e.Pulse = fmt.Sprintf("%s asks for %s mA, and %s gives %s mA: add a capacitor, or take another battery",
			h.Radio.Name, significant(r.Peak, 3), h.Battery.Name, significant(r.Limit, 3))
	}
	for _, a := range r.Advice {
		e.Advice = append(e.Advice, Advice{a.Text, a.Saves})
	}
	for _, src := range h.Sources() {
		e.Sources = append(e.Sources, Source{src.Parameter, src.From, src.Assumed})
	}
	g.Energy = e
}

func lifeOf(l energy.Life) string {
	if l.Capped {
		return l.String()
	}
	return years(l.Years)
}

func willOf(w *sim.Will) string {
	if w == nil {
		return ""
	}
	return fmt.Sprintf(", will on %s at QoS %d", w.Topic, w.QoS)
}

func topicKind(t sim.Topic) string {
	switch t.Kind {
	case sim.Predefined:
		return fmt.Sprintf("predefined as %d", t.ID)
	case sim.Short:
		return "short"
	}
	return "registered"
}

func each(every time.Duration, at []time.Duration) string {
	switch {
	case every == 0:
		return fmt.Sprintf("%d in each stage", len(at))
	case len(at) == 0:
		return fmt.Sprintf("each %s", spell(every))
	}
	return fmt.Sprintf("each %s, and %d more in each stage", spell(every), len(at))
}

func within(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf(", to arrive within %s", spell(d))
}

func interval(d time.Duration, none string) string {
	if d == 0 {
		return none
	}
	return spell(d)
}

// spell writes a time that a scenario states.
func spell(d time.Duration) string { return seconds(d.Seconds()) }
