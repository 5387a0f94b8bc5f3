package radio

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// below is the share of a normal distribution below z standard deviations.
func below(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// TestDistributions: as many datagrams as should take less than each of some
// times do, and their mean is the mean.
func TestDistributions(t *testing.T) {
	const mean, spread = time.Second, 300 * time.Millisecond
	sigma := math.Sqrt(math.Log(1 + 0.09))
	for _, tt := range []struct {
		Distribution
		sd    float64                 // seconds
		share func(x float64) float64 // below x seconds
	}{
		{Uniform, 0.3 / math.Sqrt(3), func(x float64) float64 { return min(1, max(0, (x-0.7)/0.6)) }},
		{Normal, 0.3, func(x float64) float64 {
			return min(1, max(0, (below((x-1)/0.3)-below(-3))/(below(3)-below(-3))))
		}},
		{LogNormal, 0.3, func(x float64) float64 { return below((math.Log(x) + sigma*sigma/2) / sigma) }},
	} {
		t.Run(string(tt.Distribution), func(t *testing.T) {
			m := newModel(t, Config{Up: Link{Latency: Delay{tt.Distribution, mean, spread}}})
			points := []float64{0.05, 0.2, 0.5, 0.72, 0.9, 1, 1.1, 1.28, 1.5, 1.85, 3}
			less := make([]int, len(points))
			sum := 0.0
			for i, f := range sent(m, 1, million, time.Second) {
				x := f.At.Sub(start.Add(time.Duration(i) * time.Second)).Seconds()
				sum += x
				for j, p := range points {
					if x < p {
						less[j]++
					}
				}
			}
			near(t, "mean", sum/million, mean.Seconds(), tt.sd/1000)
			for j, p := range points {
				nearShare(t, fmt.Sprintf("share below %v s", p), less[j], tt.share(p))
			}
		})
	}
	for _, f := range sent(newModel(t, Config{Up: Link{Latency: Delay{Mean: mean}}}), 1, 1000, 0) {
		if f.At != start.Add(mean) {
			t.Fatalf("a constant latency of %v took %v", mean, f.At.Sub(start))
		}
	}
}

// TestExtremeDraws: the most unlikely draws stay above the least delay, and
// three of the longest added to a time do not overflow it.
func TestExtremeDraws(t *testing.T) {
	const least = 0.5 / (1 << 52)
	for _, d := range []Delay{
		{},
		{Mean: maxDelay},
		{Uniform, maxDelay, maxDelay},
		{Normal, maxDelay, maxDelay / cutOff},
		{LogNormal, maxDelay, maxDelay * maxSpread},
		{LogNormal, 1, 0},
		{LogNormal, 0, 0},
	} {
		s := d.sampler()
		shortest, longest := s.draw(least), s.draw(1-least)
		if shortest < d.Min() || longest < shortest || longest > math.MaxInt64/4 {
			t.Errorf("%+v takes %v to %v; its minimum is %v", d, shortest, longest, d.Min())
		}
	}
	if d := (Delay{Normal, time.Minute, 20 * time.Second}); d.Min() != 0 {
		t.Errorf("the minimum of %+v is %v, want 0", d, d.Min())
	}
	if d := (Delay{Uniform, time.Minute, 20 * time.Second}); d.Min() != 40*time.Second {
		t.Errorf("the minimum of %+v is %v, want 40 s", d, d.Min())
	}
}
