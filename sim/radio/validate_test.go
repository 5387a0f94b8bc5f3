package radio

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	harsh := preset(t, "harsh")
	bursts := func(change func(*GilbertElliott)) Config {
		g := harsh
		change(&g)
		return Config{Up: Link{Loss: Loss{Bursts: g}}}
	}
	latency := func(d Delay) Config { return Config{Down: Link{Latency: d}} }
	intervals := func(v ...Interval) Config { return Config{Outages: Outages{Intervals: v}} }
	for _, tt := range []struct {
		c    Config
		want string // all of it; empty: nothing is wrong
	}{
		{Config{}, ""},
		{everything(), ""},
		{Config{Up: Link{Loss: Loss{Mean: 1.5}}}, "up.loss is 1.5; it must be 0 to 1"},
		{Config{Down: Link{Loss: Loss{Mean: -0.1}}}, "down.loss is -0.1; it must be 0 to 1"},
		{Config{Up: Link{Loss: Loss{Mean: math.NaN()}}}, "up.loss is NaN; it must be 0 to 1"},
		{Config{Up: Link{Loss: Loss{Bursts: harsh, Mean: 0.33}}}, ""},
		{Config{Up: Link{Loss: Loss{Bursts: harsh, Mean: 0.1}}},
			"up.loss.mean is 0.1, but p, r, 1-h and 1-k make it 0.33; leave it out, or change them"},
		{Config{Up: Link{Loss: Loss{Bursts: harsh, Mean: math.NaN()}}}, "up.loss.mean is NaN; it must be 0 to 1"},
		{bursts(func(g *GilbertElliott) { g.P = 0 }), "up.loss.p is 0; it must be above 0 and below 1"},
		{bursts(func(g *GilbertElliott) { g.R = 0 }), "up.loss.r is 0; it must be above 0 and below 1"},
		{bursts(func(g *GilbertElliott) { g.P, g.R = 0.5, 0.5 }),
			"up.loss.p and up.loss.r add up to 1; in bursts they stay below 1: for loss without, set up.loss alone"},
		{bursts(func(g *GilbertElliott) { g.LossBad = 2 }), "up.loss.1-h is 2; it must be 0 to 1"},
		{bursts(func(g *GilbertElliott) { g.LossGood = -1 }), "up.loss.1-k is -1; it must be 0 to 1"},
		{bursts(func(g *GilbertElliott) { g.Step = 0 }), "up.loss.step is 0s; it must be 1ms to 1h0m0s"},
		{Config{Up: Link{Loss: Loss{Bursts: Fading(0, time.Second, 1, 0, time.Second)}}}, "up.loss.p is 1; it must be above 0 and below 1\n" +
			"up.loss.r is 0; it must be above 0 and below 1\n" +
			"up.loss.p and up.loss.r add up to 1; in bursts they stay below 1: for loss without, set up.loss alone"},

		{latency(Delay{Mean: -1}), "down.latency.mean is -1ns; it must be 0s to 1h0m0s"},
		{latency(Delay{Mean: 2 * time.Hour}), "down.latency.mean is 2h0m0s; it must be 0s to 1h0m0s"},
		{latency(Delay{Mean: time.Second, Spread: 1}),
			"down.latency.spread is 1ns; with mean 1s it must be 0 to 0s: a constant does not vary, set down.latency.distribution"},
		{latency(Delay{Uniform, time.Second, time.Second + 1}),
			"down.latency.spread is 1.000000001s; with mean 1s it must be 0 to 1s: nothing arrives before it is sent"},
		{latency(Delay{Normal, 3 * time.Second, time.Second}), ""},
		{latency(Delay{Normal, 3 * time.Second, time.Second + 1}),
			"down.latency.spread is 1.000000001s; with mean 3s it must be 0 to 1s: nothing arrives before it is sent; log-normal spreads wider"},
		{latency(Delay{LogNormal, time.Second, 6 * time.Second}),
			"down.latency.spread is 6s; with mean 1s it must be 0 to 5s: no more than five times the mean"},
		{latency(Delay{LogNormal, time.Second, -1}),
			"down.latency.spread is -1ns; with mean 1s it must be 0 to 5s: no more than five times the mean"},
		{latency(Delay{"pareto", time.Second, 0}),
			`down.latency.distribution is "pareto"; it must be constant, uniform, normal or log-normal`},

		{Config{Up: Link{Reordering: Detour{Share: 0.1}}},
			"up.reordering.delay.mean is not set, so that nothing is held back"},
		{Config{Up: Link{Reordering: Detour{Share: 2, Delay: Delay{Mean: 1}}}}, "up.reordering.share is 2; it must be 0 to 1"},
		{Config{Up: Link{Duplication: Detour{Share: 2}}}, "up.duplication.share is 2; it must be 0 to 1"},
		{Config{Up: Link{Duplication: Detour{0.1, Delay{Mean: -1}}}}, "up.duplication.delay.mean is -1ns; it must be 0s to 1h0m0s"},

		{Config{Up: Link{MTU: -1}}, "up.mtu is -1; it must be above 0 octets, or 0 for no bound"},
		{Config{Up: Link{Rate: 0.5}}, "up.rate is 0.5; it must be 1 to 1e9 octets/s, or 0 for no bound"},
		{Config{Up: Link{Rate: math.Inf(1)}}, "up.rate is +Inf; it must be 1 to 1e9 octets/s, or 0 for no bound"},
		{Config{Up: Link{Preamble: -1}}, "up.preamble is -1ns; it must be 0s to 1h0m0s"},
		{Config{Up: Link{DutyCycle: 1.1, Rate: 1}}, "up.duty_cycle is 1.1; it must be 0 to 1"},
		{Config{Up: Link{DutyCycle: 0.01}}, "up.duty_cycle is 0.01, but datagrams take no time; set up.rate or up.preamble"},
		{Config{HalfDuplex: true}, "half_duplex is set, but datagrams take no time; set a rate or a preamble, up or down"},
		{Config{HalfDuplex: true, Down: Link{Preamble: 1}}, ""},

		{Config{NAT: NAT{Every: -1}}, "nat.every is -1ns; it must be 0s to 87600h0m0s"},
		{Config{NAT: NAT{Every: time.Minute, Jitter: time.Minute + 1}}, "nat.jitter is 1m0.000000001s; it must be 0s to 1m0s"},
		{Config{NAT: NAT{Jitter: 1}}, "nat.jitter is 1ns; it must be 0s to 0s"},
		{Config{NAT: NAT{Idle: -1}}, "nat.idle is -1ns; it must be 0s to 87600h0m0s"},

		{intervals(Interval{0, 1}, Interval{1, 1}), ""},
		{intervals(Interval{0, 0}), "outages.intervals[0].for is 0s; it must be 1ns to 87600h0m0s"},
		{intervals(Interval{-1, 1}), "outages.intervals[0].at is -1ns; it must be 0s to 87600h0m0s"},
		{intervals(Interval{0, 2}, Interval{1, 1}),
			"outages.intervals[1] begins at 1ns, before the one above is over at 2ns; put them in order, and make one of two that overlap"},
		{intervals(Interval{math.MaxInt64, math.MaxInt64}),
			"outages.intervals[0].at is 2562047h47m16.854775807s; it must be 0s to 87600h0m0s\n" +
				"outages.intervals[0].for is 2562047h47m16.854775807s; it must be 1ns to 87600h0m0s"},
		{Config{Outages: Outages{Every: time.Hour}}, "outages.for is 0s each 1h0m0s; it must be part of outages.every, or both be 0"},
		{Config{Outages: Outages{For: time.Hour}}, "outages.for is 1h0m0s each 0s; it must be part of outages.every, or both be 0"},
		{Config{Outages: Outages{Every: time.Hour, For: 2 * time.Hour}}, "outages.for is 2h0m0s each 1h0m0s; it must be part of outages.every, or both be 0"},
	} {
		got := ""
		if err := tt.c.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v:\n%s\nwant:\n%s", tt.c, got, tt.want)
		}
	}
}

// TestValidateReportsAll: everything that is wrong is in one error, and a
// model is not made of it.
func TestValidateReportsAll(t *testing.T) {
	_, err := New(Config{
		Up:         Link{Loss: Loss{Mean: 2}, MTU: -1},
		Down:       Link{Rate: -1, Latency: Delay{Mean: -1}},
		NAT:        NAT{Idle: -1},
		HalfDuplex: true,
	}, 1, start)
	if err == nil {
		t.Fatal("a model of impossible things")
	}
	for _, key := range []string{"up.loss", "up.mtu", "down.rate", "down.latency.mean", "nat.idle", "half_duplex"} {
		if !strings.Contains(err.Error(), key+" is ") {
			t.Errorf("%s is not in:\n%v", key, err)
		}
	}
}
