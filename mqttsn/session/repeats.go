package session

import (
	"hash/crc32"
	"time"

	"dormouse/mqttsn/clock"
)

// repeats is the little that a session remembers of requests it has answered,
// to know them again when the answer was lost. It is bounded and short-lived:
// a client repeats within its own T_RETRY, 10 s to 15 s.
type repeats struct {
	published  [4]answered // QoS 1, the last few (rule 37)
	oldest     uint8
	subscribed answered // the last one (rule 48)
	suback     promise
}

// answered is a request by its MsgId and digest, when it was last seen, and
// how often since it was answered first.
type answered struct {
	at      clock.Time
	sum     uint32
	id      uint16
	repeats uint8
}

// maxRepeats is the greatest N_RETRY, 1.2 §7.2. A client that says the same
// more often, under the same MsgId, means it.
const maxRepeats = 5

func (a *answered) is(now clock.Time, id uint16, sum uint32, window time.Duration) bool {
	if a.at == 0 || a.id != id || a.sum != sum || now.Sub(a.at) > window {
		return false
	}
	if a.repeats == maxRepeats {
		*a = answered{}
		return false
	}
	a.at = now // the next repeat counts from this one
	a.repeats++
	return true
}

// repeatWindow is how long a request is known again, rule 37.
func (s *Session) repeatWindow() time.Duration { return 2 * s.cfg.RetryInterval }

// remembered returns the session's memory, made when first needed.
func (s *Session) remembered() *repeats {
	if s.repeats == nil {
		s.repeats = new(repeats)
	}
	return s.repeats
}

func (r *repeats) publish(now clock.Time, p promise) {
	r.published[r.oldest] = answered{at: now, sum: p.sum, id: p.id}
	r.oldest = (r.oldest + 1) % uint8(len(r.published))
}

func (r *repeats) subscribe(now clock.Time, p promise) {
	r.subscribed, r.suback = answered{at: now, sum: p.sum, id: p.id}, p
}

// forgetSubscribe: the client has no longer what its last SUBSCRIBE brought it.
func (s *Session) forgetSubscribe() {
	if s.repeats != nil {
		s.repeats.subscribed = answered{}
	}
}

// isPublish reports whether a QoS 1 PUBLISH has been taken before.
func (s *Session) isPublish(now clock.Time, id uint16, sum uint32) bool {
	if s.repeats == nil {
		return false
	}
	for i := range s.repeats.published {
		if s.repeats.published[i].is(now, id, sum, s.repeatWindow()) {
			return true
		}
	}
	return false
}

// isSubscribe reports whether a SUBSCRIBE is the last one again.
func (s *Session) isSubscribe(now clock.Time, id uint16, sum uint32) bool {
	return s.repeats != nil && s.repeats.subscribed.is(now, id, sum, s.repeatWindow())
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// digest condenses a request: its fixed fields, and its text or payload. Two
// that share a MsgId and a digest are taken for one. The fields do not seed the
// checksum: as a seed, a bit of theirs and a bit of the text cancel out, and
// "100" to one topic id is "102" to another.
func digest(fields uint32, b []byte) uint32 {
	return fields ^ crc32.Checksum(b, castagnoli)
}
