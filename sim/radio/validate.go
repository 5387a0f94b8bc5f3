package radio

import (
	"fmt"
	"math"
	"time"

	"dormouse/sim/mistakes"
)

// longest bounds durations, so that no sum of them and a Time overflows.
const longest = 10 * 365 * 24 * time.Hour

// Validate reports everything wrong with c, under the keys of a scenario file.
func (c Config) Validate() error {
	var m mistakes.List
	c.Up.validate(&m, "up.")
	c.Down.validate(&m, "down.")
	m.Require(!c.HalfDuplex || c.Up.takesTime() || c.Down.takesTime(),
		"half_duplex is set, but datagrams take no time; set a rate or a preamble, up or down")
	c.NAT.validate(&m, "nat.")
	c.Outages.validate(&m, "outages.")
	return m.Err()
}

func (l Link) takesTime() bool { return l.Rate > 0 || l.Preamble > 0 }

func (l Link) validate(m *mistakes.List, key string) {
	l.Loss.validate(m, key+"loss")
	l.Latency.validate(m, key+"latency")
	l.Reordering.validate(m, key+"reordering")
	m.Require(l.Reordering.Share == 0 || l.Reordering.Delay.Mean != 0,
		"%sreordering.delay.mean is not set, so that nothing is held back", key)
	l.Duplication.validate(m, key+"duplication")
	m.Require(l.MTU >= 0, "%smtu is %d; it must be above 0 octets, or 0 for no bound", key, l.MTU)
	m.Require(l.Rate == 0 || 1 <= l.Rate && l.Rate <= 1e9,
		"%srate is %v; it must be 1 to 1e9 octets/s, or 0 for no bound", key, l.Rate)
	m.Duration(key+"preamble", l.Preamble, 0, maxDelay)
	m.Share(key+"duty_cycle", l.DutyCycle)
	m.Require(l.DutyCycle == 0 || l.takesTime(),
		"%sduty_cycle is %v, but datagrams take no time; set %[1]srate or %[1]spreamble", key, l.DutyCycle)
}

func (d Detour) validate(m *mistakes.List, key string) {
	m.Share(key+".share", d.Share)
	d.Delay.validate(m, key+".delay")
}

func (l Loss) validate(m *mistakes.List, key string) {
	if l.Bursts == (GilbertElliott{}) {
		m.Share(key, l.Mean)
		return
	}
	before := len(*m)
	l.Bursts.validate(m, key)
	m.Share(key+".mean", l.Mean)
	if len(*m) > before {
		return
	}
	mean := l.Bursts.MeanLoss()
	m.Require(l.Mean == 0 || math.Abs(l.Mean-mean) <= 0.05*mean,
		"%s.mean is %v, but p, r, 1-h and 1-k make it %.4g; leave it out, or change them", key, l.Mean, mean)
}

func (g GilbertElliott) validate(m *mistakes.List, key string) {
	m.Require(0 < g.P && g.P < 1, "%s.p is %v; it must be above 0 and below 1", key, g.P)
	m.Require(0 < g.R && g.R < 1, "%s.r is %v; it must be above 0 and below 1", key, g.R)
	m.Require(!(g.P+g.R >= 1), "%s.p and %[1]s.r add up to %v; in bursts they stay below 1: for loss without, set %[1]s alone",
		key, g.P+g.R)
	m.Share(key+".1-h", g.LossBad)
	m.Share(key+".1-k", g.LossGood)
	m.Duration(key+".step", g.Step, time.Millisecond, maxDelay)
}

func (d Delay) validate(m *mistakes.List, key string) {
	m.Duration(key+".mean", d.Mean, 0, maxDelay)
	spread := func(most time.Duration, why string) {
		m.Require(0 <= d.Spread && d.Spread <= max(0, most),
			"%s.spread is %v; with mean %v it must be 0 to %v: %s", key, d.Spread, d.Mean, max(0, most), why)
	}
	switch d.Distribution {
	case Constant, "":
		spread(0, "a constant does not vary, set "+key+".distribution")
	case Uniform:
		spread(d.Mean, "nothing arrives before it is sent")
	case Normal:
		spread(d.Mean/cutOff, "nothing arrives before it is sent; log-normal spreads wider")
	case LogNormal:
		spread(min(d.Mean, maxDelay)*maxSpread, "no more than five times the mean")
	default:
		m.Require(false, "%s.distribution is %q; it must be constant, uniform, normal or log-normal", key, d.Distribution)
	}
}

func (n NAT) validate(m *mistakes.List, key string) {
	m.Duration(key+"every", n.Every, 0, longest)
	m.Duration(key+"jitter", n.Jitter, 0, max(0, n.Every))
	m.Duration(key+"idle", n.Idle, 0, longest)
}

func (o Outages) validate(m *mistakes.List, key string) {
	var over time.Duration
	for i, v := range o.Intervals {
		at := fmt.Sprintf("%sintervals[%d]", key, i)
		m.Duration(at+".at", v.At, 0, longest)
		m.Duration(at+".for", v.For, 1, longest)
		m.Require(i == 0 || v.At >= over, "%s begins at %v, before the one above is over at %v; put them in order, and make one of two that overlap",
			at, v.At, over)
		over = min(max(over, v.At+v.For), 2*longest)
	}
	m.Duration(key+"every", o.Every, 0, longest)
	m.Duration(key+"for", o.For, 0, longest)
	m.Require((o.Every > 0) == (o.For > 0) && o.For <= max(0, o.Every),
		"%sfor is %v each %v; it must be part of %[1]severy, or both be 0", key, o.For, o.Every)
}
