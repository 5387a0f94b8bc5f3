package session

import "dormouse/mqttsn/clock"

// A work is what a session has only while it is busy. Each call that may need
// it takes one out of the caller's Actions, and puts it back unless the session
// is still busy then: a sensor at rest does without its 250 octets.
type work struct {
	retry clock.Time // Active, Awake: the exchange in the slot waits for an acknowledgement until then
	hold  clock.Time // the client, or the broker, asked to be left alone until then

	promises []promise
	slot     exchange // the message under way to the client, at most one
	repeats  *repeats // by what repeated requests are recognized
	opening  *opening // while Connecting
	newWill  *Will    // as a pending AskSetWill will have it
}

// done reports whether nothing in w matters any more.
func (w *work) done() bool {
	return w.retry == 0 && w.hold == 0 && len(w.promises) == 0 && w.slot.step == idle &&
		w.repeats == nil && w.opening == nil && w.newWill == nil
}

// clear empties w, keeping its room.
func (w *work) clear() { *w = work{promises: w.promises[:0]} }

// maxSpare is how many works are kept for those who will be busy.
const maxSpare = 64

// rouse gives s what it needs to be busy.
func (s *Session) rouse(out *Actions) {
	if s.work != nil {
		return
	}
	last := len(out.spare) - 1
	if last < 0 {
		s.work = new(work)
		return
	}
	s.work = out.spare[last]
	out.spare = out.spare[:last]
}

// calm takes it back if s is at rest.
func (s *Session) calm(out *Actions) {
	if !s.work.done() {
		return
	}
	if len(out.spare) < maxSpare {
		out.spare = append(out.spare, s.work)
	}
	s.work = nil
}
