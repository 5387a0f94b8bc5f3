package drive

import (
	"cmp"
	"slices"
	"time"

	"dormouse/sim"
)

// A fault is a restart of the gateway.
type fault struct {
	at, down time.Duration
}

// faultsOf returns the restarts of p, in order.
func faultsOf(p *sim.Plan) (all []fault) {
	for _, e := range p.Events {
		if e.Kind == sim.Restart {
			all = append(all, fault{at: e.At, down: e.For})
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return all
}
