package radio

import (
	"math"
	"strings"
	"testing"
	"time"
)

// presetTable is the chains of the energy model's loss table, with the mean
// losses and bursts it states.
var presetTable = []struct {
	name        string
	loss, burst float64
}{
	{"good", 0.011, 2},
	{"indoor-15.4", 0.105, 4},
	{"harsh", 0.33, 5},
	{"nbiot-deep", 0.30, 20},
}

func preset(t *testing.T, name string) GilbertElliott {
	t.Helper()
	g, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPresets(t *testing.T) {
	for _, tt := range presetTable {
		l := Loss{Bursts: preset(t, tt.name), Mean: tt.loss}
		if got := l.MeanLoss(); math.Abs(got-tt.loss) > 0.001 {
			t.Errorf("%s loses %v, want %v", tt.name, got, tt.loss)
		}
		if got := l.MeanBurst(); got != tt.burst {
			t.Errorf("%s has bursts of %v, want %v", tt.name, got, tt.burst)
		}
		newModel(t, Config{Up: Link{Loss: l}}) // its stated mean is the computed one
	}
	if _, err := Preset("best"); err == nil || !strings.Contains(err.Error(), "good, indoor-15.4, harsh, nbiot-deep") {
		t.Errorf("the error for a preset that is not there names none: %v", err)
	}
}

func TestBernoulli(t *testing.T) {
	for _, p := range []float64{0, 0.01, 0.2, 1} {
		n := 0
		for _, x := range losses(sent(newModel(t, Config{Up: Link{Loss: Loss{Mean: p}}}), 1, million, time.Second)) {
			n += int(x)
		}
		nearShare(t, "loss", n, p)
	}
	l := Loss{Mean: 0.75}
	if loss, burst := l.MeanLoss(), l.MeanBurst(); loss != 0.75 || burst != 4 {
		t.Errorf("of three in four lost, the mean loss is %v and the mean burst %v; want 0.75 and 4", loss, burst)
	}
}

// TestMeanLoss: a device that sends one datagram each step sees the mean of
// the chain, with the variance of a chain.
func TestMeanLoss(t *testing.T) {
	for _, tt := range presetTable {
		g := preset(t, tt.name)
		n := 0.0
		for _, x := range losses(sent(newModel(t, Config{Up: Link{Loss: Loss{Bursts: g}}}), 1, million, g.Step)) {
			n += x
		}
		mean := g.P/(g.P+g.R)*g.LossBad + g.R/(g.P+g.R)*g.LossGood
		stay := 1 - g.P - g.R
		between := g.P * g.R / (g.P + g.R) / (g.P + g.R) * (g.LossBad - g.LossGood) * (g.LossBad - g.LossGood)
		sd := math.Sqrt((mean*(1-mean) + 2*between*stay/(1-stay)) / million)
		near(t, "loss of "+tt.name, n/million, mean, sd)
	}
}

// TestBursts: packets one step apart see netem's chain: after one in a burst
// the next is out of it with probability r, after one outside the next is in
// it with p, and so a burst has 1/r packets.
func TestBursts(t *testing.T) {
	for _, tt := range presetTable {
		g := preset(t, tt.name)
		g.LossBad, g.LossGood = 1, 0 // shows the state
		x := losses(sent(newModel(t, Config{Up: Link{Loss: Loss{Bursts: g}}}), 1, million, g.Step))
		var after [2]float64 // a packet in state i, ...
		var then [2]float64  // that many times one in the other
		for i := 1; i < len(x); i++ {
			was := int(x[i-1])
			after[was]++
			if x[i] != x[i-1] {
				then[was]++
			}
		}
		near(t, tt.name+" p", then[0]/after[0], g.P, math.Sqrt(g.P*(1-g.P)/after[0]))
		near(t, tt.name+" r", then[1]/after[1], g.R, math.Sqrt(g.R*(1-g.R)/after[1]))
		near(t, tt.name+" burst", after[1]/then[1], tt.burst, math.Sqrt((1-g.R)/g.R/g.R/then[1]))
	}
}

// TestSojourns: a link is bad for as long as it is, however often one looks.
func TestSojourns(t *testing.T) {
	const good, bad = 30 * time.Second, 10 * time.Second
	for _, step := range []time.Duration{10 * time.Millisecond, time.Second, time.Minute} {
		g := Fading(good, bad, 1, 0, step)
		gotGood, gotBad := g.Sojourns()
		if d := gotGood - good; d.Abs() > time.Microsecond {
			t.Errorf("in steps of %v it is good for %v, want %v", step, gotGood, good)
		}
		if d := gotBad - bad; d.Abs() > time.Microsecond {
			t.Errorf("in steps of %v it is bad for %v, want %v", step, gotBad, bad)
		}

		const look = 50 * time.Millisecond
		x := losses(sent(newModel(t, Config{Up: Link{Loss: Loss{Bursts: g}}}), 1, million, look))
		var lost, bursts float64
		for i := range x {
			lost += x[i]
			if i > 0 && x[i] > x[i-1] {
				bursts++
			}
		}
		// Bursts last exponentially long; those between two looks are missed.
		near(t, "seconds of a burst", lost/bursts*look.Seconds(), bad.Seconds(), bad.Seconds()/math.Sqrt(bursts)+look.Seconds())
	}
}

// TestTimePasses: a device that sends each quarter of an hour is not in one
// burst for a day. It sees the same mean loss, but each datagram by itself.
func TestTimePasses(t *testing.T) {
	g := preset(t, "nbiot-deep")
	m := newModel(t, Config{Up: Link{Loss: Loss{Bursts: g}}})
	x := losses(sent(m, 1, million, 15*time.Minute))
	n := 0
	for _, lost := range x {
		n += int(lost)
	}
	nearShare(t, "loss each quarter of an hour", n, g.MeanLoss())
	near(t, "correlation with the one before", correlation(x[1:], x[:million-1]), 0, 1e-3)

	// What is sent in the same moment is in the same burst, or not.
	g.LossBad, g.LossGood = 1, 0
	m = newModel(t, Config{Up: Link{Loss: Loss{Bursts: g}}})
	for device := range uint32(1000) {
		s := Device(device)
		first := m.Up(&s, start, 20)
		for range 100 {
			if f := m.Up(&s, start, 20); f != first {
				t.Fatalf("device %d: %+v after %+v at once", device, f, first)
			}
		}
	}
}

// TestFirstDatagram: devices do not all begin with a good link, even at the
// beginning of time.
func TestFirstDatagram(t *testing.T) {
	g := preset(t, "nbiot-deep")
	m := newModel(t, Config{Up: Link{Loss: Loss{Bursts: g}}})
	n := 0
	for i := range uint32(million) {
		s := Device(i)
		if m.Up(&s, 1, 20).Lost() {
			n++
		}
	}
	nearShare(t, "loss of first datagrams", n, g.MeanLoss())
}
