package radio

import (
	"fmt"
	"math"
	"strings"
	"time"

	"dormouse/mqttsn/clock"
)

// Loss says how many datagrams are lost, and whether they are lost together.
// With a Mean alone each is lost by itself (Bernoulli). With Bursts the mean
// follows from them; if it is stated too, it has to be that.
type Loss struct {
	Mean   float64 // share lost, 0 to 1; with Bursts, zero is not stated
	Bursts GilbertElliott
}

// GilbertElliott is a link that is good and bad in turn, with netem's meaning
// of its four parameters, "loss gemodel p r 1-h 1-k" in tc-netem(8).
//
// netem takes a step with each packet. Here the steps take time, so that a
// device that sends every quarter of an hour is not in one burst for a day:
// who sends one datagram each Step sees netem's chain exactly, who sends less
// often sees less of a burst. Cardoso and de Rezende (2009) found that such
// chains fit measured loss indoors badly; they are a model.
type GilbertElliott struct {
	P        float64       // probability that a good link is bad one Step later
	R        float64       // probability that a bad link is good one Step later
	LossBad  float64       // 1-h: share lost while the link is bad
	LossGood float64       // 1-k: share lost while it is good
	Step     time.Duration // the time between two packets that P and R speak of
}

// Fading returns the chain that stays good and bad for so long on average,
// in terms of packets that are sent one each step.
func Fading(good, bad time.Duration, lossBad, lossGood float64, step time.Duration) GilbertElliott {
	g, b := good.Seconds(), bad.Seconds()
	moved := -math.Expm1(-(1/g + 1/b) * step.Seconds())
	return GilbertElliott{
		P: b / (g + b) * moved, R: g / (g + b) * moved,
		LossBad: lossBad, LossGood: lossGood, Step: step,
	}
}

// presets have the numbers of the energy model's loss table, which are in
// packets. That these are a second apart is an assumption.
var presets = []struct {
	name string
	GilbertElliott
}{
	{"good", GilbertElliott{0.005, 0.5, 1, 0.001, time.Second}},         // 1.1 % lost
	{"indoor-15.4", GilbertElliott{0.03, 0.25, 0.9, 0.01, time.Second}}, // 10.5 %
	{"harsh", GilbertElliott{0.1, 0.2, 0.95, 0.02, time.Second}},        // 33 %
	{"nbiot-deep", GilbertElliott{0.02, 0.05, 1, 0.02, time.Second}},    // 30 %, in bursts of 20
}

// Preset returns the chain of that name: good, indoor-15.4, harsh or nbiot-deep.
func Preset(name string) (GilbertElliott, error) {
	var names []string
	for _, p := range presets {
		if p.name == name {
			return p.GilbertElliott, nil
		}
		names = append(names, p.name)
	}
	return GilbertElliott{}, fmt.Errorf("no loss preset %q; there are %s", name, strings.Join(names, ", "))
}

// badShare is how much of the time the link is bad.
func (g GilbertElliott) badShare() float64 { return g.P / (g.P + g.R) }

// MeanLoss is the share of datagrams lost in the long run.
func (g GilbertElliott) MeanLoss() float64 {
	return g.badShare()*g.LossBad + (1-g.badShare())*g.LossGood
}

// MeanBurst is how many packets in a row, one each Step, find the link bad.
func (g GilbertElliott) MeanBurst() float64 { return 1 / g.R }

// Sojourns is how long the link stays good and bad on average.
func (g GilbertElliott) Sojourns() (good, bad time.Duration) {
	bads, rate := g.badShare(), g.rate()
	return seconds(1 / (bads * rate)), seconds(1 / ((1 - bads) * rate))
}

// rate is how fast the link forgets which state it was in, per second: after
// t seconds it knows e^(-rate·t) of it, after one Step 1-P-R.
func (g GilbertElliott) rate() float64 { return -math.Log1p(-g.P-g.R) / g.Step.Seconds() }

// MeanLoss is the share of datagrams lost in the long run, outages aside.
func (l Loss) MeanLoss() float64 {
	if l.Bursts != (GilbertElliott{}) {
		return l.Bursts.MeanLoss()
	}
	return l.Mean
}

// MeanBurst is the mean burst of Bursts. Without, it is how many are lost in
// a row by chance; infinitely many if all are.
func (l Loss) MeanBurst() float64 {
	if l.Bursts != (GilbertElliott{}) {
		return l.Bursts.MeanBurst()
	}
	return 1 / (1 - l.Mean)
}

// A chain is a Loss made ready. Without bursts it is always good.
type chain struct {
	badShare          float64
	rate              float64 // per second
	lossGood, lossBad float64
}

func (l Loss) chain() chain {
	if b := l.Bursts; b != (GilbertElliott{}) {
		return chain{badShare: b.badShare(), rate: b.rate(), lossGood: b.LossGood, lossBad: b.LossBad}
	}
	return chain{lossGood: l.Mean}
}

// next returns whether the link is bad at now, as u decides, if it was so at
// last. A device finds it in either state at first, as often as it is in it.
func (c *chain) next(bad bool, last, now clock.Time, u float64) bool {
	if c.badShare == 0 {
		return false
	}
	known := 0.0
	if last != 0 {
		known = math.Exp(-c.rate * now.Sub(last).Seconds())
	}
	p := c.badShare * (1 - known)
	if bad {
		p += known
	}
	return u < p
}

func (c *chain) loss(bad bool) float64 {
	if bad {
		return c.lossBad
	}
	return c.lossGood
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
