package workload

import (
	"fmt"
	"math"
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/sim/mistakes"
)

// longest bounds durations, so that no sum of them and a Time overflows, and
// shortest is how finely a fleet keeps time.
const (
	longest  = 10 * 365 * 24 * time.Hour
	shortest = time.Millisecond
)

// maxSleep is the longest sleep duration there is, 1.2 §5.4.21.
const maxSleep = math.MaxUint16 * time.Second

// maxDrift is a clock that is wrong by a tenth, as an oscillator without a
// crystal can be. In ppm.
const maxDrift = 100_000

// A list is what is wrong, under the keys of a scenario file.
type list struct{ mistakes.List }

// period wants the time between two of something, or 0 for none of it.
func (l *list) period(key string, d time.Duration) {
	l.Require(d == 0 || shortest <= d && d <= longest, "%s is %v; it must be %v to %v, or 0 for none", key, d, shortest, longest)
}

// Validate reports everything wrong with c, under the keys of a scenario file.
// Each error begins with its key. What is said of reports or commands that
// there are none of is not looked at.
func (c *Config) Validate() error {
	var l list
	c.Reports.validate(&l)
	c.Commands.validate(&l)
	c.Sleep.validate(&l)
	return l.Err()
}

func (r *Reports) validate(l *list) {
	before := len(l.List)
	l.period("reports.every", r.Every)
	if r.Every == 0 {
		return
	}
	r.Curve.validate(l)
	if len(l.List) == before {
		// The rest is measured by these.
		least := time.Duration(float64(r.Every) / r.Curve.Peak())
		if len(r.Curve) == 0 {
			l.Require(0 <= r.Jitter && r.Jitter <= least/2,
				"reports.jitter is %v; it must be 0 to half of reports.every, which is %v", r.Jitter, least/2)
		} else {
			l.Require(0 <= r.Jitter && r.Jitter <= least/2,
				"reports.jitter is %v; it must be 0 to half of the time between two reports in the busiest hour of reports.curve, which is %v",
				r.Jitter, least/2)
		}
		r.Bursts.validate(l, r.Every)
	}
	l.Require(mqttsn.QoSMinusOne <= r.QoS && r.QoS <= 2, "reports.qos is %d; it must be -1, 0, 1 or 2", r.QoS)
	if err := r.Payload.Validate(); err != nil {
		l.Require(false, "reports.payload.%w", err)
	}
}

func (c Curve) validate(l *list) {
	if len(c) == 0 {
		return
	}
	l.Require(len(c) == 24, "reports.curve has %d figures; it must have 24, one for each hour from midnight on", len(c))
	sum := 0.0
	for h, v := range c {
		l.Require(0 <= v && v <= 1e6, "reports.curve[%d] is %v; it must be 0 to 1e6", h, v)
		sum += v
	}
	l.Require(sum != 0, "reports.curve is 0 all day; for no reports set reports.every to 0")
}

func (b *Bursts) validate(l *list, every time.Duration) {
	l.Share("reports.bursts.share", b.Share)
	if b.Share == 0 {
		return
	}
	l.Require(1 <= b.Count && b.Count <= 1e6, "reports.bursts.count is %d; it must be 1 to 1000000", b.Count)
	l.Require(shortest <= b.Spacing && b.Spacing < every,
		"reports.bursts.spacing is %v; it must be %v or more, and less than reports.every, which is %v", b.Spacing, shortest, every)
	l.Require(b.Spacing <= 0 || time.Duration(b.Count) < (every+b.Spacing-1)/b.Spacing,
		"reports.bursts.count is %d, and that many reports %v apart take longer than reports.every, which is %v",
		b.Count, b.Spacing, every)
}

func (m *Commands) validate(l *list) {
	l.period("commands.every", m.Every)
	for k, at := range m.At {
		l.Duration(fmt.Sprintf("commands.at[%d]", k), at, 0, longest)
		if first := slices.Index(m.At, at); first < k {
			l.Require(false, "commands.at[%d] is %v, as commands.at[%d] is; leave it out", k, at, first)
		}
	}
	if m.Every == 0 && len(m.At) == 0 {
		return
	}
	l.Require(m.Every <= 0 || 0 <= m.Jitter && m.Jitter <= m.Every/2,
		"commands.jitter is %v; it must be 0 to half of commands.every, which is %v", m.Jitter, m.Every/2)
	l.Require(m.Every != 0 || m.Jitter == 0, "commands.jitter is %v, which is for commands.every; commands.at is exact", m.Jitter)
	l.Require(m.Topic != "", "commands.topic is not set; commands need one")
	l.Require(0 <= m.QoS && m.QoS <= 2, "commands.qos is %d; it must be 0, 1 or 2", m.QoS)
	l.Duration("commands.deadline", m.Deadline, 0, longest)
	if err := m.Payload.Validate(); err != nil {
		l.Require(false, "commands.payload.%w", err)
	}
}

func (p *Sleep) validate(l *list) {
	l.Duration("sleep.linger", p.Linger, 0, longest)
	switch p.Policy {
	case Sleeping:
		p.validateTimes(l)
		return
	case RadioOff:
	case Listening:
		l.Require(p.Linger == 0, "sleep.linger is %v, but sleep.policy is to listen: the radio stays on", p.Linger)
	default:
		l.Require(false, "sleep.policy is %q; it must be %s or %s, or empty to listen", p.Policy, Sleeping, RadioOff)
		return
	}
	for _, d := range []struct {
		key string
		is  time.Duration
	}{{"for", p.For}, {"poll", p.Poll}, {"jitter", p.Jitter}} {
		l.Require(d.is == 0, "sleep.%s is %v, but sleep.policy is not %s", d.key, d.is, Sleeping)
	}
	l.Require(!p.Aligned, "sleep.aligned is set, but sleep.policy is not %s", Sleeping)
}

func (p *Sleep) validateTimes(l *list) {
	before := len(l.List)
	l.Require(time.Second <= p.For && p.For <= maxSleep && p.For%time.Second == 0,
		"sleep.for is %v; it must be whole seconds, %v to %v", p.For, time.Second, maxSleep)
	if len(l.List) > before {
		return // the rest is measured by it
	}
	l.Require(p.Poll == 0 || shortest <= p.Poll && p.Poll <= p.For,
		"sleep.poll is %v; it must be %v to sleep.for, which is %v: who wakes later is lost to the gateway", p.Poll, shortest, p.For)
	if len(l.List) > before {
		return
	}
	every := p.Interval()
	l.Require(0 <= p.Jitter && p.Jitter < every,
		"sleep.jitter is %v; it must be 0 or more, and less than the time between two wakes, which is %v", p.Jitter, every)
	l.Require(!p.Aligned || p.Jitter >= every || every+p.Jitter <= p.For,
		"sleep.jitter is %v, and who is early by that once and on time then sleeps for %v; sleep.for is %v", p.Jitter, every+p.Jitter, p.For)
}

// Validate reports everything wrong with i, under the keys of a scenario file.
// Each error begins with its key.
func (i *Ills) Validate() error {
	var l list
	l.Require(0 <= i.Drift && i.Drift <= maxDrift, "ills.drift is %v; it must be 0 to %d ppm", i.Drift, maxDrift)
	l.Require(i.RebootEvery == 0 || time.Second <= i.RebootEvery && i.RebootEvery <= longest,
		"ills.reboot_every is %v; it must be %v to %v, or 0 for never", i.RebootEvery, time.Second, longest)
	l.Duration("ills.reboot_for", i.RebootFor, 0, longest)
	l.Share("ills.crying", i.Crying)
	l.Require(!(i.Crying > 0) || 1 <= i.CryingRate && i.CryingRate <= 1e6,
		"ills.crying_rate is %v; it must be 1 to 1e6 times as often", i.CryingRate)
	l.Share("ills.stuck", i.Stuck)
	l.Duration("ills.stuck_after", i.StuckAfter, 0, longest)
	return l.Err()
}

// Bear reports what keeps devices from having both c and i, each valid, under
// a key of a scenario file: who cries has to have the time for it.
func (i *Ills) Bear(c *Config) error {
	if c.Reports.Every == 0 || i.Crying == 0 || float64(c.Reports.Every)/i.CryingRate >= float64(shortest) {
		return nil
	}
	return fmt.Errorf("ills.crying_rate is %v; with reports.every of %v it must be %v at most, for reports %v apart",
		i.CryingRate, c.Reports.Every, float64(c.Reports.Every)/float64(shortest), shortest)
}
