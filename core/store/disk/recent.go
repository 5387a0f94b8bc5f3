package disk

import "strings"

// maxRecent is how many topics one half of recents holds.
const maxRecent = 1 << 13

// recents knows which message the topics retain that were asked for last: a
// sensor says the same again and again, and what it said before has to go. It
// holds twice maxRecent topics at most; of the older half those that nobody
// asks for are forgotten together, when the younger is full.
type recents struct{ young, old map[string]*uint64 }

// find returns where the number of the topic's message is, or nil.
func (r *recents) find(topic string) *uint64 {
	if seq := r.young[topic]; seq != nil {
		return seq
	}
	seq := r.old[topic]
	if seq != nil {
		r.add(topic, seq)
	}
	return seq
}

// set notes the number of the topic's message.
func (r *recents) set(topic string, seq uint64) {
	if at := r.find(topic); at != nil {
		*at = seq
		return
	}
	r.add(topic, &seq)
}

func (r *recents) add(topic string, seq *uint64) {
	if len(r.young) >= maxRecent {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = make(map[string]*uint64)
	}
	r.young[strings.Clone(topic)] = seq // it may lie in a packet
}

// forget notes that the topic retains nothing.
func (r *recents) forget(topic string) {
	delete(r.young, topic)
	delete(r.old, topic)
}
