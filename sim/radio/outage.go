package radio

import (
	"slices"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim/chance"
	"dormouse/sim/mistakes"
)

// Outages says when nothing is carried, in either direction. What is on the
// air when an outage begins is lost, what is sent when it is over is not.
type Outages struct {
	Intervals []Interval // in the order of time, none overlapping

	// One more in each Every, at a random moment of it, lasting For. Zero: none.
	Every, For time.Duration
}

// An Interval is one outage, by the time since the start.
type Interval struct {
	At, For time.Duration
}

// A Site is a place with outages of its own, such as a building without
// power, for all whose Config refers to it: devices of one group or of many.
type Site struct {
	outages outages
}

// NewSite returns a site. The error is what is wrong with o, all of it.
// Intervals count from start. Give each site a seed of its own.
func NewSite(o Outages, seed uint64, start clock.Time) (*Site, error) {
	var m mistakes.List
	o.validate(&m, "")
	if err := m.Err(); err != nil {
		return nil, err
	}
	return &Site{*newOutages(o, chance.Mix(seed), start)}, nil
}

// outages are Outages made ready. The random ones are not kept but computed,
// whoever asks, in whatever order.
type outages struct {
	Outages
	key   uint64
	start clock.Time
}

func newOutages(o Outages, key uint64, start clock.Time) *outages {
	o.Intervals = slices.Clone(o.Intervals)
	return &outages{Outages: o, key: key, start: start}
}

// meet reports whether something was amiss at any moment from on to off, both
// included. Nothing ever is where there are no outages, o == nil.
func (o *outages) meet(on, off clock.Time) bool {
	if o == nil {
		return false
	}
	from, to := on.Sub(o.start), off.Sub(o.start)
	// The first outage that is not over at from is the only candidate: those
	// before it are over, those after it begin later.
	i, _ := slices.BinarySearchFunc(o.Intervals, from, func(v Interval, t time.Duration) int {
		if v.At+v.For <= t {
			return -1
		}
		return 1
	})
	if i < len(o.Intervals) && o.Intervals[i].At <= to {
		return true
	}
	return o.Every > 0 && o.meetRandom(from, to)
}

func (o *outages) meetRandom(from, to time.Duration) bool {
	// Division rounds towards zero, so that none is before the start.
	first, last := int64(from/o.Every), int64(to/o.Every)
	for n := first; n <= min(last, first+2); n++ { // in between, one is met whole
		u := event(o.key, forOutage, 0, n).of(0)
		at := time.Duration(n)*o.Every + time.Duration(u*float64(o.Every-o.For))
		if at <= to && from < at+o.For {
			return true
		}
	}
	return false
}
