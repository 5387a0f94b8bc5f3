package drive

import (
	"slices"
	"time"

	"dormouse/sim"
)

const maxSamples = 1000

// samples are taken every so often and thinned out as they become many.
type samples struct {
	every  time.Duration
	tell   func(*sim.Stats)
	due    time.Duration // when the next is taken
	kept   []*sim.Stats
	stride int // every so many-th is kept
	skip   int // so many are not, before the next
}

func newSamples(p *sim.Plan, o *Options) samples {
	every := o.Every
	if every <= 0 {
		every = max(length(p)/200, time.Second)
	}
	return samples{every: every, tell: o.Sample, due: every, stride: 1}
}

// take takes s, of the time at.
func (a *samples) take(at time.Duration, s *sim.Stats) {
	for a.due <= at {
		a.due += a.every
	}
	s.At = at
	if a.skip > 0 {
		a.skip--
	} else {
		a.keep(s)
		a.skip = a.stride - 1
	}
	if a.tell != nil {
		a.tell(s)
	}
}

// keep keeps s without what is large.
func (a *samples) keep(s *sim.Stats) {
	k := *s
	k.Violations = nil
	k.Groups = slices.Clone(s.Groups)
	for i := range k.Groups {
		clear(k.Groups[i].Latency[:])
	}
	a.kept = append(a.kept, &k)
	if len(a.kept) < maxSamples {
		return
	}
	for i := range maxSamples / 2 {
		a.kept[i] = a.kept[2*i+1]
	}
	a.kept = slices.Delete(a.kept, maxSamples/2, maxSamples)
	a.stride *= 2
}
