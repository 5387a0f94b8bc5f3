package radio

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// longest bounds durations, so that no sum of them and a Time overflows.
const longest = 10 * 365 * 24 * time.Hour

// faults collects what is wrong, under the keys of a scenario file.
type faults struct {
	errs []error
}

func (f *faults) require(ok bool, format string, args ...any) {
	if !ok {
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

// share wants a probability. NaN is none.
func (f *faults) share(key string, v float64) {
	f.require(0 <= v && v <= 1, "%s is %v; it must be 0 to 1", key, v)
}

func (f *faults) duration(key string, d, least, most time.Duration) {
	f.require(least <= d && d <= most, "%s is %v; it must be %v to %v", key, d, least, most)
}

func (f *faults) err() error { return errors.Join(f.errs...) }

// Validate reports everything wrong with c, under the keys of a scenario file.
func (c Config) Validate() error {
	var f faults
	c.Up.validate(&f, "up.")
	c.Down.validate(&f, "down.")
	f.require(!c.HalfDuplex || c.Up.takesTime() || c.Down.takesTime(),
		"half_duplex is set, but datagrams take no time; set a rate or a preamble, up or down")
	c.NAT.validate(&f, "nat.")
	c.Outages.validate(&f, "outages.")
	return f.err()
}

func (l Link) takesTime() bool { return l.Rate > 0 || l.Preamble > 0 }

func (l Link) validate(f *faults, key string) {
	l.Loss.validate(f, key+"loss")
	l.Latency.validate(f, key+"latency")
	l.Reordering.validate(f, key+"reordering")
	f.require(l.Reordering.Share == 0 || l.Reordering.Delay.Mean != 0,
		"%sreordering.delay.mean is not set, so that nothing is held back", key)
	l.Duplication.validate(f, key+"duplication")
	f.require(l.MTU >= 0, "%smtu is %d; it must be above 0 octets, or 0 for no bound", key, l.MTU)
	f.require(l.Rate == 0 || 1 <= l.Rate && l.Rate <= 1e9,
		"%srate is %v; it must be 1 to 1e9 octets/s, or 0 for no bound", key, l.Rate)
	f.duration(key+"preamble", l.Preamble, 0, maxDelay)
	f.share(key+"duty_cycle", l.DutyCycle)
	f.require(l.DutyCycle == 0 || l.takesTime(),
		"%sduty_cycle is %v, but datagrams take no time; set %[1]srate or %[1]spreamble", key, l.DutyCycle)
}

func (d Detour) validate(f *faults, key string) {
	f.share(key+".share", d.Share)
	d.Delay.validate(f, key+".delay")
}

func (l Loss) validate(f *faults, key string) {
	if l.Bursts == (GilbertElliott{}) {
		f.share(key, l.Mean)
		return
	}
	before := len(f.errs)
	l.Bursts.validate(f, key)
	f.share(key+".mean", l.Mean)
	if len(f.errs) > before {
		return
	}
	mean := l.Bursts.MeanLoss()
	f.require(l.Mean == 0 || math.Abs(l.Mean-mean) <= 0.05*mean,
		"%s.mean is %v, but p, r, 1-h and 1-k make it %.4g; leave it out, or change them", key, l.Mean, mean)
}

func (g GilbertElliott) validate(f *faults, key string) {
	f.require(0 < g.P && g.P < 1, "%s.p is %v; it must be above 0 and below 1", key, g.P)
	f.require(0 < g.R && g.R < 1, "%s.r is %v; it must be above 0 and below 1", key, g.R)
	f.require(!(g.P+g.R >= 1), "%s.p and %[1]s.r add up to %v; in bursts they stay below 1: for loss without, set %[1]s alone",
		key, g.P+g.R)
	f.share(key+".1-h", g.LossBad)
	f.share(key+".1-k", g.LossGood)
	f.duration(key+".step", g.Step, time.Millisecond, maxDelay)
}

func (d Delay) validate(f *faults, key string) {
	f.duration(key+".mean", d.Mean, 0, maxDelay)
	spread := func(most time.Duration, why string) {
		f.require(0 <= d.Spread && d.Spread <= max(0, most),
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
		f.require(false, "%s.distribution is %q; it must be constant, uniform, normal or log-normal", key, d.Distribution)
	}
}

func (n NAT) validate(f *faults, key string) {
	f.duration(key+"every", n.Every, 0, longest)
	f.duration(key+"jitter", n.Jitter, 0, max(0, n.Every))
	f.duration(key+"idle", n.Idle, 0, longest)
}

func (o Outages) validate(f *faults, key string) {
	var over time.Duration
	for i, v := range o.Intervals {
		at := fmt.Sprintf("%sintervals[%d]", key, i)
		f.duration(at+".at", v.At, 0, longest)
		f.duration(at+".for", v.For, 1, longest)
		f.require(i == 0 || v.At >= over, "%s begins at %v, before the one above is over at %v; put them in order, and make one of two that overlap",
			at, v.At, over)
		over = min(max(over, v.At+v.For), 2*longest)
	}
	f.duration(key+"every", o.Every, 0, longest)
	f.duration(key+"for", o.For, 0, longest)
	f.require((o.Every > 0) == (o.For > 0) && o.For <= max(0, o.Every),
		"%sfor is %v each %v; it must be part of %[1]severy, or both be 0", key, o.For, o.Every)
}
