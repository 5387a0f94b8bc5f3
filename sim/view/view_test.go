package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/ledger"
	"dormouse/sim/radio"
)

func about(virtual bool) *About {
	return &About{
		Plan: &sim.Plan{
			Name: "mass-wake", Seed: 7, Settle: 10 * time.Second,
			Groups: []*sim.Group{{Name: "meters", Count: 9000}, {Name: "doors", Count: 1000}},
			Stages: []sim.Stage{{Name: "arrive", For: 30 * time.Second}, {Name: "wake", For: 60 * time.Second}},
		},
		Target:  "in-process Dormouse",
		Virtual: virtual,
	}
}

// at is a sample after some seconds, in which each group has sent ten reports
// a second.
func at(seconds int, more ...func(*sim.Stats)) *sim.Stats {
	s := &sim.Stats{At: time.Duration(seconds) * time.Second, Stage: "wake"}
	for i, name := range []string{"meters", "doors"} {
		g := sim.GroupStats{Name: name, Devices: 9000 - 8000*i}
		g.States[client.Asleep] = g.Devices - 100
		g.States[client.Active] = 100
		g.Ledger.Uplink = ledger.Uplink{Sent: uint64(10 * seconds), Acknowledged: uint64(9 * seconds), Received: uint64(10 * seconds)}
		g.Up.Datagrams, g.Down.Datagrams = uint64(20*seconds), uint64(20*seconds)
		g.Up.Radio.Sent = uint64(20 * seconds)
		g.Up.Radio.Outcomes[radio.Arrived] = uint64(15 * seconds)
		h := hdrhistogram.New(1, 3_600_000_000, 3)
		for n := range 99 {
			h.RecordValue(int64(1000 * (n + 1) * (1 + i)))
		}
		g.Latency[sim.ToAck] = h
		s.Groups = append(s.Groups, g)
	}
	for _, f := range more {
		f(s)
	}
	return s
}

func breaking(n int) func(*sim.Stats) {
	return func(s *sim.Stats) {
		s.Broken = uint64(n)
		for i := range n {
			s.Violations = append(s.Violations, ledger.Violation{
				Rule: ledger.SleeperHeard, At: time.Second, Group: "meters", Device: i, Text: "PUBLISH came\nwhile it slept"})
		}
	}
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// shown is what a screen of that size has on it, without colours.
func shown(t *testing.T, m *model, width, height int) string {
	t.Helper()
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	text := m.View().Content
	lines := strings.Split(text, "\n")
	if len(lines) > height {
		t.Errorf("%d lines on a terminal of %d", len(lines), height)
	}
	for _, l := range lines {
		if w := lipgloss.Width(l); w > width {
			t.Errorf("a line of %d cells on a terminal of %d: %q", w, width, l)
		}
	}
	return plain(text)
}

// plain takes the colours off.
func plain(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if s = after; found {
			_, s, _ = strings.Cut(s, "m")
		}
	}
	return b.String()
}

// TestScreen: the figures of a sample are on the screen, at every size that a
// terminal may have, and what is broken stays there when room is short.
func TestScreen(t *testing.T) {
	m := &model{about: about(true), keys: Keys{Quit: func() {}, Pause: func(bool) {}}}
	if got := m.View().Content; got != "" {
		t.Errorf("before the size is known it draws %q", got)
	}
	if got := shown(t, m, 80, 24); !strings.Contains(got, "mass-wake") || !strings.Contains(got, "yet to come") {
		t.Errorf("before the first sample it draws\n%s", got)
	}
	m.Update(sample{at(40), noon})
	m.Update(sample{at(50), noon.Add(2 * time.Second)})
	got := shown(t, m, 80, 60)
	for _, want := range []string{
		"mass-wake  10,000 devices  seed 7  in-process Dormouse",
		"50 %  50s of 1m40s", "wake 2 of 2", "10s left", "5 times as fast as the clock",
		"asleep            9,800", "active              200",
		"up                2,000  40/s", "lost                500  25.0 %",
		"sent              1,000", "received          1,000", "acknowledged        900",
		"acknowledge        66ms     194ms     198ms",
		"meters            9,000        500        500",
		"All invariants hold.", "q end   space pause   ? help",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not on the screen:\n%s", want, got)
		}
	}
	m.Update(sample{at(60, breaking(100)), noon.Add(3 * time.Second)})
	for width := 1; width < 200; width += 7 {
		for height := 1; height < 60; height += 3 {
			got := shown(t, m, width, height)
			if width >= 40 && height >= 12 {
				for _, want := range []string{"100 invariants broken", "datagram_to_sleeper", "q end"} {
					if !strings.Contains(got, want) {
						t.Errorf("at %d by %d %q is not on the screen:\n%s", width, height, want, got)
					}
				}
			}
		}
	}
	if tall, flat := shown(t, m, 80, 60), shown(t, m, 140, 30); !strings.Contains(flat, "acknowledge        66ms") ||
		strings.Index(flat, "reports") > strings.Index(flat, "asleep") || strings.Index(tall, "reports") < strings.Index(tall, "asleep") {
		t.Errorf("on a wide terminal there are no two columns:\n%s", flat)
	}
}

// TestKeys: q ends, once; space stops time and lets it go on, where that can
// be; ? shows what there is.
func TestKeys(t *testing.T) {
	var did []string
	m := &model{about: about(true), keys: Keys{
		Quit:  func() { did = append(did, "quit") },
		Pause: func(on bool) { did = append(did, fmt.Sprint("pause ", on)) },
	}}
	m.Update(sample{at(40), noon})
	press := func(keys ...rune) {
		for _, k := range keys {
			m.Update(tea.KeyPressMsg{Code: k, Text: string(k)})
		}
	}
	press('?')
	if got := shown(t, m, 80, 24); !strings.Contains(got, "Keys") {
		t.Errorf("? shows\n%s", got)
	}
	if got := shown(t, m, 40, 60); !strings.Contains(got, "acknowledgement") {
		t.Errorf("on a narrow terminal ? shows\n%s", got)
	}
	press('?', tea.KeySpace)
	if got := shown(t, m, 80, 24); !strings.Contains(got, "paused") || !strings.Contains(got, "space go on") {
		t.Errorf("when paused it shows\n%s", got)
	}
	press(tea.KeySpace)
	m.Update(sample{at(42), noon.Add(time.Hour)})
	m.Update(sample{at(48), noon.Add(time.Hour + 2*time.Second)})
	if got := shown(t, m, 80, 24); !strings.Contains(got, "17s left  3 times as fast as the clock") {
		t.Errorf("after an hour's pause it shows\n%s", got)
	}
	press('x', 'q', 'q')
	if got := shown(t, m, 80, 24); !strings.Contains(got, "ending") {
		t.Errorf("after q it shows\n%s", got)
	}
	if got, want := strings.Join(did, ", "), "pause true, pause false, quit"; got != want {
		t.Errorf("the keys did %q, want %q", got, want)
	}

	m = &model{about: about(false), keys: Keys{Quit: func() {}}}
	m.Update(sample{at(40), noon})
	press(tea.KeySpace)
	if got := shown(t, m, 80, 24); strings.Contains(got, "pause") || !strings.Contains(got, "1m left") {
		t.Errorf("by the wall clock it shows\n%s", got)
	}
}

// TestLines: a virtual run writes a line at each twentieth of it, one by the
// clock every five seconds, and what is broken is written as it comes, once.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	l := NewLines(&out, about(true))
	for s := range 101 {
		l.Show(at(s), noon)
	}
	if n := strings.Count(out.String(), "\n"); n != 1+21 {
		t.Errorf("%d lines, want a headline and 21:\n%s", n, &out)
	}
	if want := "mass-wake: 10,000 devices, 1m40s, seed 7, in-process Dormouse\n"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("it begins %q, want %q", out.String()[:80], want)
	}
	if want := " 50 %  50s  wake  9,800 asleep  200 active  reports 1,000 sent 1,000 received  up 40/s down 40/s  ack p50 66ms p99 194ms\n"; !strings.Contains(out.String(), want) {
		t.Errorf("there is no line %q in\n%s", want, &out)
	}

	out.Reset()
	l = NewLines(&out, about(false))
	for s := range 51 {
		var more []func(*sim.Stats)
		if s >= 20 {
			more = append(more, breaking(2))
		}
		l.Show(at(s, more...), noon.Add(time.Duration(s)*time.Second))
	}
	if n := strings.Count(out.String(), " %  "); n != 11 {
		t.Errorf("%d lines in 50 s, want 11:\n%s", n, &out)
	}
	if n := strings.Count(out.String(), "broken: datagram_to_sleeper at 1s, meters 1: PUBLISH came while it slept\n"); n != 1 {
		t.Errorf("the second violation is written %d times:\n%s", n, &out)
	}
	if !strings.Contains(out.String(), "2 BROKEN") {
		t.Errorf("no line says that invariants are broken:\n%s", &out)
	}
}

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "1.5s", 59 * time.Second: "59s", 90 * time.Second: "1m30s",
		time.Hour: "1h", 25*time.Hour + time.Minute: "1d1h", 7 * 24 * time.Hour: "7d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		3 * time.Microsecond: "3µs", 1234 * time.Microsecond: "1.2ms", 24 * time.Millisecond: "24ms",
		1234 * time.Millisecond: "1.23s", 12345 * time.Millisecond: "12.3s", 2 * time.Minute: "2m",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
	for part, want := range map[float64]string{0: "····", 0.001: "▏···", 0.5: "██··", 0.6: "██▍·", 1: "████"} {
		if got := gauge(4, part); got != want {
			t.Errorf("gauge(4, %v) = %q, want %q", part, got, want)
		}
	}
	if got := sparks([]float64{0, 5, 10}, 2); got != "▅█" {
		t.Errorf("sparks = %q", got)
	}
}
