package view

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// The colours are the terminal's own sixteen, so that they fit its background.
var (
	bold  = lipgloss.NewStyle().Bold(true)
	faint = lipgloss.NewStyle().Faint(true)
	good  = lipgloss.NewStyle().Foreground(lipgloss.Green)
	bad   = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	warn  = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	mark  = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
)

const (
	gap       = 3  // between two columns, in cells
	wide      = 96 // from here on there are two columns
	leastSize = 24 // narrower is not worth drawing
)

// draw is the screen: a head, the figures in one column or two, what is broken,
// and the keys. Each line is cut to the width, and there are no more of them
// than there is room for; the figures give way first.
func (m *model) draw() string {
	width, height := m.width, m.height
	if width == 0 || height == 0 {
		return "" // it is not known yet
	}
	if width < leastSize {
		return cut(width, "too narrow")
	}
	if m.help {
		text := lipgloss.NewStyle().Width(width).Render(strings.Join(m.helpText(), "\n"))
		return strings.Join(clip(strings.Split(text, "\n"), width, height), "\n")
	}
	head := m.head(width)
	if m.last == nil {
		return strings.Join(clip(append(head, "", faint.Render("The first sample is yet to come.")), width, height), "\n")
	}
	foot := []string{m.keyLine()}
	worst := m.verdict(width, max(1, min(8, height/4)))
	room := height - len(head) - len(foot) - len(worst) - 2
	lines := append(head, "")
	lines = append(lines, clip(m.figures(width), width, max(0, room))...)
	for len(lines) < height-len(worst)-len(foot)-1 {
		lines = append(lines, "")
	}
	lines = append(lines, worst...)
	lines = append(lines, "")
	return strings.Join(clip(append(lines, foot...), width, height), "\n")
}

// clip cuts lines to a width, and to so many of them.
func clip(lines []string, width, height int) []string {
	lines = lines[:min(len(lines), height)]
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = cut(width, l)
	}
	return out
}

func cut(width int, s string) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	return lipgloss.NewStyle().MaxWidth(width).Render(s)
}

// head is what runs, how far it is, and how long it will take.
func (m *model) head(width int) []string {
	a := m.about
	title := bold.Render(a.Plan.Name) + faint.Render(fmt.Sprintf("  %s  seed %d  %s", a.devices(), a.Plan.Seed, a.Target))
	if m.last == nil {
		return []string{title}
	}
	done := progress(m.last.Stats, a)
	state := ""
	switch {
	case m.ending:
		state = warn.Render("ending")
	case m.paused:
		state = warn.Render("paused")
	default:
		if left, ok := m.left(); ok {
			state = fmt.Sprintf("%s left", span(left.Round(time.Second)))
		}
	}
	if times, ok := m.pace(); ok {
		v := fmt.Sprintf("%s times as fast as the clock", count(uint64(times+0.5)))
		state = strings.TrimPrefix(state+"  "+faint.Render(v), "  ")
	}
	where := fmt.Sprintf("%3.0f %%  %s of %s  ", 100*done, span(m.last.At), span(a.whole()))
	bar := gauge(max(10, min(40, width-lipgloss.Width(where)-2)), done)
	lines := []string{title, mark.Render(bar) + " " + where}
	rest := m.stage() + "  " + state
	if lipgloss.Width(lines[1])+lipgloss.Width(rest) <= width {
		lines[1] += rest
		return lines
	}
	return append(lines, rest)
}

// stage is which one it is.
func (m *model) stage() string {
	s := m.last.Stage
	for i := range m.about.Plan.Stages {
		if m.about.Plan.Stages[i].Name == s {
			return bold.Render(s) + faint.Render(fmt.Sprintf(" %d of %d", i+1, len(m.about.Plan.Stages)))
		}
	}
	return bold.Render(s)
}

// figures are the blocks in one column or two.
func (m *model) figures(width int) []string {
	f := sum(m.last.Stats)
	left := [][]string{m.states(&f, width), m.traffic(&f)}
	right := [][]string{m.messages(&f), m.latencies()}
	if len(m.last.Groups) > 1 {
		right = append(right, m.groups())
	}
	if width < wide {
		return stack(append(left, right...))
	}
	half := (width - gap) / 2
	a := lipgloss.NewStyle().Width(half + gap).Render(strings.Join(clip(stack(left), half, 1<<10), "\n"))
	b := strings.Join(clip(stack(right), half, 1<<10), "\n")
	return strings.Split(lipgloss.JoinHorizontal(lipgloss.Top, a, b), "\n")
}

// stack puts blocks below each other.
func stack(blocks [][]string) (lines []string) {
	for _, b := range blocks {
		if len(b) == 0 {
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, b...)
	}
	return lines
}

func (m *model) states(f *totals, width int) []string {
	lines := []string{bold.Render("devices")}
	if width >= wide {
		width = width / 2
	}
	room := max(4, min(40, width-28))
	for _, s := range shownStates {
		n := f.states[s.state]
		if n == 0 {
			continue
		}
		part := float64(n) / float64(max(1, f.devices))
		lines = append(lines, fmt.Sprintf("%-13s%10s ", s.name, count(uint64(n)))+mark.Render(gauge(room, part)))
	}
	return lines
}

func (m *model) traffic(f *totals) []string {
	var r rates
	if m.before != nil {
		r = since(m.last.Stats, m.before.Stats)
	}
	row := func(name string, n uint64, also string) string {
		return fmt.Sprintf("%-13s%10s  %s", name, count(n), faint.Render(also))
	}
	lines := []string{
		bold.Render("radio"),
		row("up", f.up, rate(r.up)),
		row("down", f.down, rate(r.down)),
		row("sent again", f.resent, share(f.resent, f.up+f.down)),
		row("lost", f.lost, share(f.lost, f.carried)),
		row("wakes", f.wakes, ""),
	}
	if s := m.last.Shed; s > 0 {
		lines = append(lines, bad.Render(fmt.Sprintf("%-13s%10s  by this machine: do not believe the figures", "shed", count(s))))
	}
	return lines
}

func (m *model) messages(f *totals) []string {
	u, d, w := &f.ledger.Uplink, &f.ledger.Downlink, &f.ledger.Wills
	row := func(name string, n uint64, style lipgloss.Style) string {
		return fmt.Sprintf("%-13s", name) + style.Render(fmt.Sprintf("%10s", count(n)))
	}
	plain := lipgloss.NewStyle()
	some := func(n uint64, s lipgloss.Style) lipgloss.Style {
		if n == 0 {
			return plain
		}
		return s
	}
	lines := []string{
		bold.Render("reports") + "  " + mark.Render(sparks(m.reports, 24)),
		row("sent", u.Sent, plain),
		row("acknowledged", u.Acknowledged, plain),
		row("received", u.Received, plain),
		row("timed out", u.TimedOut, some(u.TimedOut, warn)),
		row("refused", u.Refused, some(u.Refused, warn)),
		row("duplicates", u.Duplicates, plain),
	}
	if d.Published > 0 {
		lines = append(lines, "", bold.Render("commands"),
			row("published", d.Published, plain),
			row("delivered", d.Delivered, plain),
			row("late", d.Late, some(d.Late, warn)))
	}
	if w.Fired+w.Missing > 0 {
		lines = append(lines, "", row("wills", w.Fired, plain))
	}
	return lines
}

func (m *model) latencies() (lines []string) {
	for _, l := range shownLatencies {
		q, ok := quantiles(m.last.Stats, l.latency)
		if !ok {
			continue
		}
		if len(lines) == 0 {
			lines = append(lines, bold.Render("latency")+faint.Render(fmt.Sprintf("%16s%10s%10s", "p50", "p99", "max")))
		}
		lines = append(lines, fmt.Sprintf("%-13s%10s%10s%10s", l.name, short(q.p50), short(q.p99), short(q.max)))
	}
	return lines
}

// groups are a line each: how they fare.
func (m *model) groups() []string {
	lines := []string{bold.Render("groups") + faint.Render(fmt.Sprintf("%17s%11s%11s", "devices", "sent", "received"))}
	for i := range m.last.Groups {
		g := &m.last.Groups[i]
		lines = append(lines, fmt.Sprintf("%-13s%10s%11s%11s", cut(13, g.Name), count(uint64(g.Devices)),
			count(g.Ledger.Uplink.Sent), count(g.Ledger.Uplink.Received)))
	}
	return lines
}

// verdict is whether all is well, and the latest of what is not.
func (m *model) verdict(width, room int) []string {
	s := m.last.Stats
	if s.Broken == 0 {
		return []string{good.Render("All invariants hold.")}
	}
	text := fmt.Sprintf("%s invariants broken", count(s.Broken))
	if s.Broken == 1 {
		text = "1 invariant broken"
	}
	lines := []string{bad.Render(text)}
	latest := s.Violations[max(0, len(s.Violations)-(room-1)):]
	for i := range latest {
		lines = append(lines, cut(width, warn.Render(broken(&latest[i]))))
	}
	return lines
}

func (m *model) keyLine() string {
	keys := "q end   "
	if m.keys.Pause != nil {
		keys += "space pause   "
		if m.paused {
			keys = "q end   space go on   "
		}
	}
	return faint.Render(keys + "? help")
}

func (m *model) helpText() []string {
	lines := []string{
		bold.Render("Keys"),
		"q, Ctrl-C   end the run and report what there is",
	}
	if m.keys.Pause != nil {
		lines = append(lines, "space       stop virtual time, or let it go on")
	}
	return append(lines,
		"?           this page, and back",
		"",
		bold.Render("What is shown"),
		"devices     how many are in each state of MQTT-SN 1.2 §6.14",
		"radio       datagrams by the devices' end; rates by the run's own time",
		"reports     what devices published; received: by the MQTT subscriber, each once",
		"commands    what was published to devices; late: after their deadline",
		"latency     connect: CONNECT to CONNACK; acknowledge: PUBLISH to its last answer;",
		"            drain: PINGREQ to PINGRESP; to device: from the broker's acknowledgement",
		"",
		"In another terminal, \"dormouse sim set GROUP KEY=VALUE\" changes a group.",
	)
}

// gauge is a bar of so many cells, of which a part is filled, to an eighth.
func gauge(cells int, part float64) string {
	eighths := int(part*float64(8*cells) + 0.5)
	if part > 0 {
		eighths = max(1, eighths)
	}
	eighths = min(eighths, 8*cells)
	bar := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		bar += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return bar + strings.Repeat("·", cells-(eighths+7)/8)
}

// sparks draws the latest rates as small columns, the highest of them full.
func sparks(rates []float64, cells int) string {
	rates = rates[max(0, len(rates)-cells):]
	var top float64
	for _, r := range rates {
		top = max(top, r)
	}
	if top == 0 {
		return ""
	}
	columns := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, r := range rates {
		b.WriteRune(columns[min(len(columns)-1, int(r/top*float64(len(columns))))])
	}
	return b.String()
}
