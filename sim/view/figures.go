package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/ledger"
	"dormouse/sim/radio"
)

// totals are the figures of all groups together.
type totals struct {
	devices  int
	states   [sim.NumStates]int
	ledger   ledger.Counts
	up, down uint64 // datagrams
	resent   uint64
	carried  uint64 // handed to the radio, both ways
	lost     uint64 // of those
	wakes    uint64
	connects uint64
	ended    uint64 // connections, without a goodbye
}

func sum(s *sim.Stats) (t totals) {
	for i := range s.Groups {
		g := &s.Groups[i]
		t.devices += g.Devices
		for state, n := range g.States {
			t.states[state] += n
		}
		t.ledger.Add(&g.Ledger)
		t.up += g.Up.Datagrams
		t.down += g.Down.Datagrams
		t.resent += g.Up.Resent + g.Down.Resent
		t.carried += g.Up.Radio.Sent + g.Down.Radio.Sent
		t.lost += lost(&g.Up.Radio) + lost(&g.Down.Radio)
		t.wakes += g.Wakes
		t.connects += g.Connects
		t.ended += g.Lost
	}
	return t
}

// lost is what did not arrive.
func lost(c *radio.Counts) uint64 { return c.Sent - c.Outcomes[radio.Arrived] }

// rates are per second of the run's own time.
type rates struct{ up, down, reports, received float64 }

// since returns the rates between two samples.
func since(s, before *sim.Stats) (r rates) {
	seconds := (s.At - before.At).Seconds()
	if seconds <= 0 {
		return r
	}
	now, then := sum(s), sum(before)
	per := func(n, m uint64) float64 { return float64(n-m) / seconds }
	return rates{
		up:       per(now.up, then.up),
		down:     per(now.down, then.down),
		reports:  per(now.ledger.Uplink.Sent, then.ledger.Uplink.Sent),
		received: per(now.ledger.Uplink.Received, then.ledger.Uplink.Received),
	}
}

// A spread is the percentiles of a latency.
type spread struct {
	p50, p99, max time.Duration
	n             int64
}

// quantiles returns those of all groups together; ok is false if there was
// nothing to measure.
func quantiles(s *sim.Stats, l sim.Latency) (q spread, ok bool) {
	var all = s.Groups[:0:0]
	for i := range s.Groups {
		if h := s.Groups[i].Latency[l]; h != nil && h.TotalCount() > 0 {
			all = append(all, s.Groups[i])
		}
	}
	if len(all) == 0 {
		return q, false
	}
	h := all[0].Latency[l]
	if len(all) > 1 {
		h = h.Clone()
		for i := range all[1:] {
			h.Merge(all[1+i].Latency[l])
		}
	}
	us := func(v int64) time.Duration { return time.Duration(v) * time.Microsecond }
	return spread{us(h.ValueAtQuantile(50)), us(h.ValueAtQuantile(99)), us(h.Max()), h.TotalCount()}, true
}

// progress is how much of the run is done, 0 to 1.
func progress(s *sim.Stats, a *About) float64 {
	whole := a.whole()
	if whole <= 0 {
		return 1
	}
	return min(1, float64(s.At)/float64(whole))
}

// shownStates are the states, those first in which devices are most.
var shownStates = []struct {
	state int
	name  string
}{
	{int(client.Asleep), "asleep"},
	{int(client.Active), "active"},
	{int(client.Awake), "awake"},
	{int(client.Dozing), "dozing"},
	{int(client.Connecting), "connecting"},
	{int(client.Leaving), "leaving"},
	{int(client.Disconnected), "disconnected"},
	{sim.Off, "off"},
}

// shownLatencies are what they are called.
var shownLatencies = []struct {
	latency sim.Latency
	name    string
}{
	{sim.ToConnect, "connect"},
	{sim.ToAck, "acknowledge"},
	{sim.ToSubscriber, "to subscriber"},
	{sim.ToDrain, "drain"},
	{sim.ToDevice, "to device"},
}

// broken says what happened, in one line.
func broken(v *ledger.Violation) string {
	return fmt.Sprintf("broken: %s at %s, %s %d: %s", v.Rule, span(v.At), v.Group, v.Device, oneLine(v.Text))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// count writes n with a comma at each thousand.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate writes a number per second.
func rate(r float64) string {
	if r > 0 && r < 10 {
		return strconv.FormatFloat(r, 'f', 1, 64) + "/s"
	}
	return count(uint64(r+0.5)) + "/s"
}

// share writes n of all in percent.
func share(n, all uint64) string {
	if all == 0 {
		return "-"
	}
	p := 100 * float64(n) / float64(all)
	if p > 0 && p < 1 {
		return strconv.FormatFloat(p, 'f', 2, 64) + " %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

// span writes a time by its two largest units: 3d4h, 2m10s, 1.5s.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(a time.Duration, of time.Duration, big, small string, rest time.Duration) string {
		if b := a % of / rest; b > 0 {
			return fmt.Sprintf("%d%s%d%s", a/of, big, b, small)
		}
		return fmt.Sprintf("%d%s", a/of, big)
	}
	switch {
	case d >= day:
		return two(d, day, "d", "h", time.Hour)
	case d >= time.Hour:
		return two(d, time.Hour, "h", "m", time.Minute)
	case d >= time.Minute:
		return two(d, time.Minute, "m", "s", time.Second)
	default:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + "s"
	}
}

// short writes a latency in three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return span(d)
}
