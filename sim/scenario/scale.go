package scenario

import (
	"math"
	"slices"
	"strings"
	"time"

	"dormouse/configs/strict"
	"dormouse/sim/radio"
)

// times multiplies a duration, to the nanosecond.
func times(d time.Duration, factor float64) time.Duration {
	if factor == 1 {
		return d
	}
	return time.Duration(math.Round(float64(d) * factor))
}

// pace finds how the run's times are to be multiplied, to last as long as it is
// asked to.
func (b *builder) pace(asked time.Duration) bool {
	b.script, b.own = 1, 1
	var stated time.Duration
	for i := range b.file.Stages {
		stated += min(b.file.Stages[i].For, longest)
		if stated > longest {
			b.complain(b.where("stages"), "the stages take more than ten years together")
			return false
		}
	}
	if asked <= 0 || stated == 0 {
		return true
	}
	if asked > longest {
		b.complain(strict.Place{}, "%s is longer than ten years", duration(asked))
		return false
	}
	b.script = float64(asked) / float64(stated)
	if b.script < 1 && b.file.Scale == all {
		b.own = b.script
	}
	return true
}

// scaled returns g with its own times multiplied. keys are where what is in it
// was stated, for complaints about what gets too short.
func (b *builder) scaled(g group, keys ...string) group {
	g.Radio.Outages = b.outages(g.Radio.Outages)
	if b.own == 1 {
		return g
	}
	k := b.own
	multiply := func(ds ...*time.Duration) {
		for _, d := range ds {
			*d = times(*d, k)
		}
	}
	w := &g.Workload
	asleep := w.Sleep.For
	multiply(&w.Reports.Every, &w.Reports.Jitter, &w.Reports.Bursts.Spacing,
		&w.Commands.Every, &w.Commands.Jitter, &w.Commands.Deadline,
		&w.Sleep.For, &w.Sleep.Poll, &w.Sleep.Jitter, &w.Sleep.Linger,
		&g.Ills.RebootEvery, &g.Ills.RebootFor, &g.Ills.StuckAfter,
		&g.Radio.NAT.Every, &g.Radio.NAT.Jitter, &g.Radio.NAT.Idle,
		&g.KeepAlive)
	w.Commands.At = slices.Clone(w.Commands.At)
	for i := range w.Commands.At {
		multiply(&w.Commands.At[i])
	}
	b.least(w.Sleep.For, time.Second, asleep, "sleep.for", keys)
	w.Sleep.For, g.KeepAlive = seconds(w.Sleep.For), seconds(g.KeepAlive)

	retry := clientOf(g.Firmware).RetryInterval
	if g.Retry.Interval != nil {
		retry = *g.Retry.Interval
	}
	interval := times(retry, k)
	if b.least(interval, 100*time.Millisecond, retry, "retry.interval", keys[len(keys)-1:]) {
		g.Retry.Interval = &interval
	}
	return g
}

// seconds rounds up to whole ones: the protocol knows no others.
func seconds(d time.Duration) time.Duration {
	return (d + time.Second - 1) / time.Second * time.Second
}

// outages multiplies outages: stated ones with the script, random ones with
// the devices' own times.
func (b *builder) outages(o radio.Outages) radio.Outages {
	o.Intervals = slices.Clone(o.Intervals)
	for i := range o.Intervals {
		iv := &o.Intervals[i]
		iv.At, iv.For = times(iv.At, b.script), times(iv.For, b.script)
	}
	o.Every, o.For = times(o.Every, b.own), times(o.For, b.own)
	return o
}

// least complains of a time that scaling has made too short, and reports
// whether it is long enough.
func (b *builder) least(d, least, stated time.Duration, key string, sections []string) bool {
	if stated == 0 || d >= least || stated < least {
		return true
	}
	var keys []string
	for _, s := range sections {
		keys = append(keys, s+"."+key)
	}
	length := times(b.plan.Duration(), float64(least)/(float64(stated)*b.own)) - time.Millisecond
	b.complain(b.exactly(keys...), "%s is %s, which in a run so short comes to %s; %s is the least: let the run take %s, or say in short: what it is then",
		strings.Join([]string{sections[len(sections)-1], key}, "."), duration(stated), duration(d), duration(least), duration(seconds(length)))
	return false
}
