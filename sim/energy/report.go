package energy

// A Drain is what a device takes from its battery, in mAh a day, by bucket.
type Drain [NumBuckets]float64

// Sum is over all buckets.
func (d Drain) Sum() (sum float64) {
	for _, v := range d {
		sum += v
	}
	return sum
}

const microcoulombsPerMAh = 3.6e6

// Drain is the mean over the meter's time; zero if there was none.
func (m *Meter) Drain() Drain {
	var t Total
	t.Add(m)
	return t.Drain()
}

// A Total sums meters.
type Total struct {
	Devices   int
	Days      float64             // of all devices
	Charge    [NumBuckets]float64 // µC
	Payload   int                 // packets refused for their length
	DutyCycle int                 // packets refused for the duty cycle
}

// Add adds one device.
func (t *Total) Add(m *Meter) {
	t.Devices++
	t.Days += m.elapsed.Hours() / 24
	for b := range t.Charge {
		t.Charge[b] += m.Charge(Bucket(b))
	}
	payload, duty := m.Refused()
	t.Payload += payload
	t.DutyCycle += duty
}

// Drain is that of the mean device.
func (t *Total) Drain() (d Drain) {
	if t.Days == 0 {
		return d
	}
	for b := range d {
		d[b] = t.Charge[b] / microcoulombsPerMAh / t.Days
	}
	return d
}

// A Report is what a user reads about a group.
type Report struct {
	Drain Drain // of the mean device
	Life  Life  // of the mean device

	// Infeasible says what the radio could not carry; the figures leave it
	// out, so they hold for no device that exists. Empty if there is nothing.
	Infeasible []string

	// Pulse is set if the radio asks for more than the battery gives at a time.
	Pulse       bool
	Peak, Limit float64 // mA; a Limit of 0 is not known

	Advice      []Advice // what saves most comes first
	Assumptions []string // parameters without a public source
}

// Report sums up what a group's meters, added to t, and its traffic say.
// topics are the names that its devices registered, for the advice.
func (g *Group) Report(t *Total, topics []string) Report {
	d := t.Drain()
	r := Report{
		Drain: d,
		Life:  g.Battery.Life(d.Sum(), g.Celsius),
		Peak:  g.Peak(),
		Limit: g.Battery.Pulse,
	}
	r.Pulse = r.Limit > 0 && r.Peak > r.Limit
	r.Infeasible = g.infeasible(t)
	r.Advice = g.advise(t, d, topics)
	for _, s := range g.Sources() {
		if s.Assumed {
			r.Assumptions = append(r.Assumptions, s.Parameter+" (source: "+s.From+")")
		}
	}
	return r
}

// A Delta is one report less another.
type Delta struct {
	Drain Drain   // mAh a day; negative is better
	Years float64 // of life; a lower bound on the change if either is Capped
	Bound bool
}

// Against compares r with a baseline.
func (r *Report) Against(base *Report) Delta {
	d := Delta{Years: r.Life.Years - base.Life.Years, Bound: r.Life.Capped || base.Life.Capped}
	for b := range d.Drain {
		d.Drain[b] = r.Drain[b] - base.Drain[b]
	}
	return d
}
