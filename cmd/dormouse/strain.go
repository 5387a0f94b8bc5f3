package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core"
	"dormouse/mqttsn/clock"
)

const (
	// strainLook is how often it is looked whether all keeps up.
	strainLook = 100 * time.Millisecond

	// behindAfter is how long the store may take to answer. A memory card may
	// take most of a second for one sync.
	behindAfter = 2 * time.Second
)

// A strain watches whether the edges and the store keep up, and has core and
// the gateways take less while they do not.
type strain struct {
	broker *core.Broker
	tell   func(behind bool) // the edges
	late   func() bool       // an edge does not keep up
	log    zerolog.Logger

	// follow is the store's: what it is given is called once all is answered that was
	// asked before. nil: nothing is kept.
	follow func(then func(error))
	asked  time.Time // zero: it has been answered
	behind bool
	answer atomic.Bool // it has come
}

func (s *server) newStrain() *strain {
	n := &strain{
		broker: s.broker,
		log:    s.log.With().Str("component", "server").Logger(),
		late: func() bool {
			for _, f := range s.fronts {
				if f.Strained(clock.Now()) {
					return true
				}
			}
			return false
		},
		tell: func(behind bool) {
			for _, f := range s.fronts {
				f.SetBehind(behind)
			}
		},
	}
	if s.kept.Store != nil {
		n.follow = s.kept.Follow
	}
	return n
}

// look tells core how things stand, and the log if that has changed.
func (n *strain) look(now time.Time) {
	is, behind := core.NoStrain, n.isBehind(now)
	n.tell(behind)
	switch {
	case behind:
		is = core.Behind
	case n.late():
		is = core.Late
	}
	was := n.broker.Strain()
	if is == was {
		return
	}
	n.broker.SetStrain(is)
	e := n.log.Warn()
	if is < was {
		e = n.log.Info()
	}
	e.Str("event", "strain").Stringer("strain", is).Msg(strains[is])
}

var strains = [...]string{
	core.NoStrain: "all keeps up again: everybody is let in",
	core.Late:     "sensors send more than can be looked at: nobody new is let in and QoS 0 is dropped; add cores, or have sensors report less often",
	core.Behind:   "the disk does not keep up: nobody new is let in, QoS 0 is dropped, and what sensors publish at QoS 1 and 2 is to come again; see dormouse_store_sync_seconds, and have a faster one",
}

// isBehind reports whether the store takes too long to answer, going by a
// question that says nothing. It is behind no more once it takes half of that.
func (n *strain) isBehind(now time.Time) bool {
	if n.follow == nil {
		return false
	}
	if n.asked.IsZero() {
		n.asked = now
		n.answer.Store(false)
		n.follow(func(error) { n.answer.Store(true) })
	}
	took := now.Sub(n.asked)
	if n.answer.Load() {
		n.asked = time.Time{}
		n.behind = n.behind && took > behindAfter/2
	}
	n.behind = n.behind || took > behindAfter
	return n.behind
}

// watch looks until ctx is done.
func (n *strain) watch(ctx context.Context) {
	t := time.NewTicker(strainLook)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			n.look(now)
		case <-ctx.Done():
			return
		}
	}
}
