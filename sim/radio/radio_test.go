package radio

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"dormouse/mqttsn/clock"
)

const start = clock.Time(1000 * time.Hour)

// million is how many datagrams the statistics are over.
const million = 1_000_000

func newModel(t testing.TB, c Config) *Model {
	t.Helper()
	m, err := New(c, 1, start)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// near fails if got is further from want than one run in 90,000 would be, if
// it is normally distributed with standard deviation sd. The seeds are fixed:
// what passes once passes always.
func near(t *testing.T, what string, got, want, sd float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 4.4*sd) {
		t.Errorf("%s is %.6g; want %.6g, give or take %.2g", what, got, want, 4.4*sd)
	}
}

// nearShare is near for the share of a million that something befell.
func nearShare(t *testing.T, what string, n int, want float64) {
	t.Helper()
	near(t, what, float64(n)/million, want, math.Sqrt(want*(1-want)/million))
}

// sent is the fates of n datagrams that device sends up, one each interval.
func sent(m *Model, device uint32, n int, interval time.Duration) []Fate {
	s, fates := Device(device), make([]Fate, n)
	for i := range fates {
		fates[i] = m.Up(&s, start.Add(time.Duration(i)*interval), 20)
	}
	return fates
}

// losses are 1 for each that is lost, 0 for each that is not.
func losses(fates []Fate) []float64 {
	x := make([]float64, len(fates))
	for i, f := range fates {
		if f.Lost() {
			x[i] = 1
		}
	}
	return x
}

// correlation is near zero, with standard deviation 1/√n, if x and y have
// nothing to do with each other and neither has anything to do with itself.
func correlation(x, y []float64) float64 {
	var sx, sy, sxx, syy, sxy float64
	for i := range x {
		sx, sy = sx+x[i], sy+y[i]
		sxx, syy, sxy = sxx+x[i]*x[i], syy+y[i]*y[i], sxy+x[i]*y[i]
	}
	n := float64(len(x))
	return (n*sxy - sx*sy) / math.Sqrt((n*sxx-sx*sx)*(n*syy-sy*sy))
}

// everything is a radio on which everything may happen.
func everything() Config {
	bad, _ := Preset("harsh")
	l := Link{
		Loss:        Loss{Bursts: bad},
		Latency:     Delay{LogNormal, 300 * time.Millisecond, 200 * time.Millisecond},
		Reordering:  Detour{0.1, Delay{Uniform, time.Second, time.Second}},
		Duplication: Detour{0.1, Delay{Normal, time.Second, 300 * time.Millisecond}},
		MTU:         100, Rate: 1000, Preamble: time.Millisecond, DutyCycle: 0.5,
	}
	return Config{
		Up: l, Down: l,
		NAT:     NAT{Every: time.Hour, Jitter: time.Minute, Idle: 10 * time.Minute},
		Outages: Outages{Intervals: []Interval{{time.Hour, time.Minute}}, Every: 2 * time.Hour, For: time.Minute},
	}
}

func TestPerfectRadio(t *testing.T) {
	m, s := newModel(t, Config{}), Device(1)
	want := Fate{Off: start, At: start}
	for range 1000 {
		if f := m.Up(&s, start, 1<<16); f != want {
			t.Fatalf("Up gives %+v, want %+v", f, want)
		}
		if f := m.Down(&s, start, 1<<16); f != want {
			t.Fatalf("Down gives %+v, want %+v", f, want)
		}
	}
	if m.Rebound(&s, start.Add(1000*time.Hour)) {
		t.Error("a NAT that is not there has rebound")
	}
}

// TestSeed: a seed gives the same run again, another seed or another device
// another run.
func TestSeed(t *testing.T) {
	run := func(seed uint64, device uint32) []Fate {
		c := everything()
		c.Outages = Outages{} // which have luck of their own
		m, err := New(c, seed, start)
		if err != nil {
			t.Fatal(err)
		}
		return sent(m, device, 1000, time.Second)
	}
	first := run(1, 1)
	if !slices.Equal(run(1, 1), first) {
		t.Error("the same seed gives other fates")
	}
	if slices.Equal(run(2, 1), first) {
		t.Error("another seed gives the same fates")
	}
	if slices.Equal(run(1, 2), first) {
		t.Error("another device has the same fates")
	}
}

// TestNobodyElseMatters: what befalls one direction of one device is the same
// whatever the other direction and other devices do.
func TestNobodyElseMatters(t *testing.T) {
	c := everything()
	m := newModel(t, c)
	alone := sent(m, 1, 10_000, time.Second)
	s, other := Device(1), Device(2)
	for i, want := range alone {
		now := start.Add(time.Duration(i) * time.Second)
		for range i % 3 {
			m.Up(&other, now, 50)
			m.Down(&s, now, 50)
		}
		if f := m.Up(&s, now, 20); f != want {
			t.Fatalf("datagram %d has fate %+v, and alone %+v", i, f, want)
		}
	}
}

// TestIndependence: directions, devices and datagrams are lost independently
// of each other, and so are the troubles of one datagram.
func TestIndependence(t *testing.T) {
	c := Config{
		Up: Link{
			Loss:        Loss{Mean: 0.3},
			Latency:     Delay{Uniform, time.Second, time.Second},
			Duplication: Detour{Share: 0.3},
		},
		Down: Link{Loss: Loss{Mean: 0.3}},
	}
	m := newModel(t, c)
	fates := sent(m, 1, million, time.Second)
	up1, up2 := losses(fates), losses(sent(m, 2, million, time.Second))
	s, back := Device(1), make([]Fate, million)
	for i := range back {
		back[i] = m.Down(&s, start, 20)
	}
	var late, copied []float64
	for i, f := range fates {
		if f.Lost() {
			continue
		}
		late = append(late, float64(f.At.Sub(start.Add(time.Duration(i)*time.Second))))
		copied = append(copied, 0)
		if f.Copy != 0 {
			copied[len(copied)-1] = 1
		}
	}
	for _, tt := range []struct {
		what string
		x, y []float64
	}{
		{"up and down", up1, losses(back)},
		{"one device and the next", up1, up2},
		{"one device and the next, a datagram later", up1[1:], up2[:million-1]},
		{"a datagram and the next", up1[1:], up1[:million-1]},
		{"latency and duplication", late, copied},
		{"latency and the next", late[1:], late[:len(late)-1]},
	} {
		near(t, "correlation of "+tt.what, correlation(tt.x, tt.y), 0, 1/math.Sqrt(float64(len(tt.x))))
	}

	// The first datagrams of a fleet are not alike either.
	first := 0
	for i := range uint32(million) {
		s := Device(i)
		if m.Up(&s, start, 20).Lost() {
			first++
		}
	}
	nearShare(t, "share of a million devices whose first datagram is lost", first, 0.3)
}

// TestChangedModel: a group is changed while it runs.
func TestChangedModel(t *testing.T) {
	worst := newModel(t, Config{Up: Link{Loss: Loss{Mean: 1}}})
	s := Device(1)
	bad := newModel(t, everything())
	for i := range 1000 {
		bad.Up(&s, start.Add(time.Duration(i)*time.Second), 20)
	}
	later := start.Add(time.Hour)
	if f := newModel(t, Config{}).Up(&s, later, 20); f != (Fate{Off: later, At: later}) {
		t.Errorf("after the change to a perfect radio: %+v", f)
	}
	s.bound = start
	if newModel(t, Config{}).Rebound(&s, later) {
		t.Error("a binding ends although there is no NAT any more")
	}
	if f := worst.Up(&s, later, 20); f != (Fate{Outcome: Chance, Off: later}) {
		t.Errorf("after the change to the worst: %+v", f)
	}
}

func TestCounts(t *testing.T) {
	var c Counts
	for _, f := range []Fate{{At: 1}, {At: 1, Copy: 2}, {Outcome: Chance}, {Outcome: MTU}, {Outcome: DutyCycle}, {Outcome: DutyCycle}} {
		c.Add(f)
	}
	want := Counts{Sent: 6, Copies: 1, Outcomes: [numOutcomes]uint64{Arrived: 2, Chance: 1, MTU: 1, DutyCycle: 2}}
	if c != want {
		t.Errorf("counted %+v, want %+v", c, want)
	}
	if n := c.Infeasible(); n != 3 {
		t.Errorf("%d are infeasible, want 3", n)
	}
	var labels []string
	for o := range numOutcomes {
		labels = append(labels, o.String())
	}
	if got := fmt.Sprint(labels); got != "[arrived loss outage no NAT binding MTU duty cycle]" {
		t.Errorf("outcomes are called %v", got)
	}
}

// TestSmall: there may be a million devices in one slice.
func TestSmall(t *testing.T) {
	if n := unsafe.Sizeof(State{}); n > 48 {
		t.Errorf("a State has %d octets", n)
	}
	var flat func(t reflect.Type) bool
	flat = func(t reflect.Type) bool {
		switch t.Kind() {
		case reflect.Array:
			return flat(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				if !flat(t.Field(i).Type) {
					return false
				}
			}
			return true
		}
		return t.Kind() <= reflect.Float64 && t.Kind() != reflect.Uintptr
	}
	if !flat(reflect.TypeFor[State]()) {
		t.Error("a State holds pointers")
	}

	c := everything()
	c.HalfDuplex = true
	site, err := NewSite(Outages{Every: time.Hour, For: time.Minute}, 1, start)
	if err != nil {
		t.Fatal(err)
	}
	c.Site = site
	m, s, now := newModel(t, c), Device(1), start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Minute)
		m.Rebound(&s, now)
		m.Up(&s, now, 20)
		m.Down(&s, now, 20)
	}); n != 0 {
		t.Errorf("a datagram up and one down allocate %v times", n)
	}
}

func BenchmarkUp(b *testing.B) {
	m, s, now := newModel(b, everything()), Device(1), start
	for b.Loop() {
		now = now.Add(time.Second)
		m.Up(&s, now, 20)
	}
}
