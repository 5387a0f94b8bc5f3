package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes what r came to in few lines, for a terminal.
func (r *Result) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }
	line("%s: %s", r.Name, r.Verdict())
	for _, s := range r.Broke() {
		line("  %s", s)
	}
	for _, s := range r.Warnings() {
		line("  warning: %s", s)
	}
	m := r.All.Metrics
	count := func(name string) string { return thousands(m[name]) }
	line("  run\t%s, %s in %s, seed %d", devices(m["devices"]), seconds(r.Ran), seconds(r.Elapsed), r.Seed)
	if m["reports.sent"] > 0 {
		line("  reports\tsent %s, acknowledged %s, timed out %s, refused %s, in flight %s",
			count("reports.sent"), count("reports.acknowledged"), count("reports.timed_out"), count("reports.refused"), count("reports.in_flight"))
		line("  subscriber\tgot %s, duplicates %s, missing %s, lost %s", count("reports.received"), count("reports.duplicates"),
			count("reports.missing"), r.All.figure("reports.lost_share", Share))
	}
	if m["commands.published"] > 0 {
		line("  commands\taccepted %s, delivered %s, late %s, missing %s, lost %s", count("commands.accepted"), count("commands.delivered"),
			count("commands.late"), count("commands.missing"), r.All.figure("commands.lost_share", Share))
	}
	for _, l := range latencies {
		if m[l.name+".count"] > 0 && !r.timeless() {
			line("  %s\tp50 %s, p99 %s, max %s", strings.ReplaceAll(l.name, "_", " "),
				seconds(m[l.name+".p50"]), seconds(m[l.name+".p99"]), seconds(m[l.name+".max"]))
		}
	}
	line("  radio\tup %s datagrams (%s lost, %s sent again), down %s (%s lost)", count("datagrams.up"),
		r.All.figure("loss.up", Share), r.All.figure("retransmissions.share", Share), count("datagrams.down"), r.All.figure("loss.down", Share))
	for _, g := range r.Groups {
		if s := g.dtls(); s != "" {
			line("  dtls\t%s", s)
		}
	}
	for _, g := range r.Groups {
		if e := g.Energy; e != nil {
			line("  battery\t%s: %s, %s", g.Name, e.Life, g.figure("battery.mah_per_day", Charge))
			if len(e.Advice) > 0 {
				line("\t%s: %s", g.Name, e.Advice[0].Text)
			}
		}
	}
	if len(r.Used) > 0 {
		line("  machine\t%s", r.used())
	}
	line("  again\t%s", r.Command)
	return t.Flush()
}

// timeless is whether all that was measured took no time: the shortest that is
// told from longer ones, a microsecond.
func (r *Result) timeless() bool {
	for _, l := range r.All.Latencies {
		if l.Max > 1e-6 {
			return false
		}
	}
	return r.Virtual && len(r.All.Latencies) > 0
}

// Verdict is what to make of the run, in a word or two.
func (r *Result) Verdict() string {
	switch {
	case !r.Passed:
		return "FAILED"
	case r.Cut != "":
		return "cut short"
	}
	return "passed"
}

// figure is the figure of that name for people; a dash if it was not measured.
func (g *Group) figure(name string, u Unit) string {
	v, ok := g.Metrics[name]
	if !ok {
		return "–"
	}
	return quantity(v, u)
}

// Broke is what went wrong, one sentence each: thresholds, then invariants by
// rule.
func (r *Result) Broke() (all []string) {
	for _, f := range r.Failures {
		all = append(all, f.Text)
	}
	if r.Broken == 0 {
		return all
	}
	s := "1 invariant is broken"
	if r.Broken > 1 {
		s = thousands(float64(r.Broken)) + " invariants are broken"
	}
	if len(r.Violations) > 0 {
		v := &r.Violations[0]
		s += fmt.Sprintf("; the first: %s of %s, device %d, after %s: %s", strings.ReplaceAll(v.Rule, "_", " "), v.Group, v.Device, seconds(v.At), v.Text)
	}
	return append(all, s)
}

// Warnings is what to know before any figure is believed.
func (r *Result) Warnings() (all []string) {
	if r.Cut != "" {
		when := fmt.Sprintf("after %s of %s", seconds(r.Ran), seconds(r.Planned))
		if r.Ran > r.Planned {
			when = "while it settled"
		}
		s := fmt.Sprintf("the run ended early, %s (%s)", when, r.Cut)
		if len(r.Thresholds) > 0 {
			s += "; it is not held to its thresholds"
		}
		all = append(all, s)
	}
	if r.Shed > 0 {
		all = append(all, fmt.Sprintf("this machine dropped %s datagrams, not the radio: the figures are not to be believed; simulate fewer devices",
			thousands(float64(r.Shed))))
	}
	for _, g := range r.Groups {
		if g.Metrics["handshakes.failed"] > 0 && g.Metrics["handshakes"] == 0 {
			all = append(all, g.Name+": no handshake came to anything: is it DTLS that the gateway speaks there, and does it know these identities and keys?")
		}
	}
	if r.Silent > unanswered {
		all = append(all, fmt.Sprintf("the gateway was asked, and answered nothing, for the last %s", seconds(r.Silent)))
	}
	if r.Late > tolerable {
		all = append(all, fmt.Sprintf("this machine was up to %s late in having devices do what was due: times from there on may be its fault, not the gateway's",
			seconds(r.Late)))
	}
	if r.timeless() {
		all = append(all, "times say nothing: in virtual time a gateway takes none, nor does this radio; run against a server with -h or --serve, or give the radio a latency")
	}
	for _, s := range r.Infeasible() {
		all = append(all, "infeasible: "+s)
	}
	for _, g := range r.Groups {
		if g.Energy != nil && g.Energy.Pulse != "" {
			all = append(all, g.Name+": "+g.Energy.Pulse)
		}
	}
	return all
}
