package gateway

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A pace is how far one client has used up its PublishRate: when all that it
// published will have been earned. A client that connects anew has all of it.
type pace struct{ messages, octets clock.Time }

// paced reports whether the client of t may publish p now. What it may not is
// dropped unanswered: to refuse it would be to say of a repetition that the
// message was not taken.
func (s *shard) paced(t *seat, p *mqttsn.Publish) bool {
	rate := &s.g.cfg.PublishRate
	if rate.Messages == 0 && rate.Octets == 0 {
		return true
	}
	if n := len(s.slots) - len(s.paces); n > 0 {
		s.paces = append(s.paces, make([]pace, n)...)
	}
	used := &s.paces[t.slot]
	messages, some := earned(used.messages, 1, rate.Messages, s.now)
	octets, all := earned(used.octets, len(p.Payload), rate.Octets, s.now)
	if !some || !all {
		s.drop(beyondRate)
		return false
	}
	*used = pace{messages, octets}
	return true
}

// earned returns when n more will have been earned at so many per second, if
// there may be so many at now: what a second earns, or one message of more.
func earned(already clock.Time, n, perSecond int, now clock.Time) (clock.Time, bool) {
	if perSecond == 0 {
		return already, true
	}
	from := max(already, now)
	until := from.Add(time.Duration(float64(n) / float64(perSecond) * float64(time.Second)))
	return until, from == now || until.Sub(now) <= time.Second
}
