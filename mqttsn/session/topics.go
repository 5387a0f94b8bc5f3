package session

import (
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A topic is a name that the client has a shorter way to say. Of kind
// TopicNormal it is an id of ours, given once and never taken back or given to
// another name within the session. The other kinds say by what the client has
// subscribed to the name: a predefined id, or the name's own two octets.
//
// There are few, so they are searched from end to end: that costs a microsecond
// with 1,000 of them, and nothing to keep.
type topic struct {
	name    string
	id      uint16
	kind    mqttsn.TopicKind
	told    bool // the client has been told the id on this connection
	kept    bool // and AskSave has had that
	stored  bool // AskSave has had the topic, and it is stored
	refused bool // the client does not want the name
}

// topicNamed returns the entry of a name that has a normal id, or nil.
func (s *Session) topicNamed(name string) *topic {
	for i := range s.topics {
		if t := &s.topics[i]; t.kind == mqttsn.TopicNormal && t.name == name {
			return t
		}
	}
	return nil
}

// topicByID returns the entry of a normal id, or nil.
func (s *Session) topicByID(id uint16) *topic {
	for i := range s.topics {
		if t := &s.topics[i]; t.kind == mqttsn.TopicNormal && t.id == id {
			return t
		}
	}
	return nil
}

// room reports whether the client may have another topic, within the bounds on
// their number and on the length of their names together.
func (s *Session) room(name string) bool {
	octets := len(name)
	for i := range s.topics {
		octets += len(s.topics[i].name)
	}
	return len(s.topics) < s.cfg.TopicIDs && octets <= s.cfg.TopicOctets
}

// allot gives name the next normal id, or none if there is no room. Ids that
// are predefined are passed over: some clients look both kinds up in one table.
func (s *Session) allot(name string) *topic {
	if !s.room(name) {
		return nil
	}
	id := s.nextID()
	if id == 0 {
		return nil
	}
	s.topics = append(s.topics, topic{name: name, id: id, kind: mqttsn.TopicNormal})
	s.unsaved = true
	return &s.topics[len(s.topics)-1]
}

// nextID returns a normal id that nothing of the client has, nor had lately, or
// zero if there is none: what it sent before a CONNECT may come after it, and is
// not to mean another topic.
func (s *Session) nextID() uint16 {
	for i := range s.topics {
		if t := &s.topics[i]; t.kind == mqttsn.TopicNormal {
			s.lastID = max(s.lastID, t.id)
		}
	}
	for range 0xFFFF {
		s.lastID++
		_, predefined := s.cfg.Predefined[s.lastID]
		if s.lastID != 0 && s.lastID != 0xFFFF && !predefined && s.topicByID(s.lastID) == nil {
			return s.lastID
		}
	}
	return 0
}

// forgetUnstored forgets topics that nobody has heard of, if no answer is under
// way that may tell of one: there was no room to store them, and what is already
// stored has to fit when it is stored again.
func (s *Session) forgetUnstored() {
	if len(s.promises) == 0 {
		s.topics = slices.DeleteFunc(s.topics, func(t topic) bool { return !t.stored && !t.told })
	}
}

// saved notes that all is stored.
func (s *Session) saved() {
	s.unsaved = false
	for i := range s.topics {
		s.topics[i].stored = true
	}
}

// allotAtWish is allot for a request of the client, which has an allowance:
// TopicIDs at once, and then RegistersPerMinute.
func (s *Session) allotAtWish(now clock.Time, name string) *topic {
	one := time.Minute / time.Duration(s.cfg.RegistersPerMinute)
	whole := max(s.registers, now).Add(one)
	if whole.Sub(now) > one*time.Duration(s.cfg.TopicIDs) {
		return nil
	}
	t := s.allot(name)
	if t != nil {
		s.registers = whole
	}
	return t
}

// subscribedBy notes by what the client has subscribed to a name, in place of
// what was noted before. False means there is no room for it.
func (s *Session) subscribedBy(kind mqttsn.TopicKind, id uint16, name string) bool {
	for i := range s.topics {
		if t := &s.topics[i]; t.kind == kind && t.id == id && t.name == name {
			return true
		}
	}
	s.forgetKinds(name)
	if kind == mqttsn.TopicNormal || kind == mqttsn.TopicName {
		return true // it has its id already
	}
	if !s.room(name) {
		return false
	}
	s.topics = append(s.topics, topic{name: name, id: id, kind: kind})
	s.unsaved = true
	return true
}

// forgetKinds forgets by what the client has subscribed to a name, if not by
// the name itself.
func (s *Session) forgetKinds(name string) {
	for i := range s.topics {
		if t := &s.topics[i]; t.kind != mqttsn.TopicNormal && t.name == name {
			s.topics = append(s.topics[:i], s.topics[i+1:]...)
			s.unsaved = true
			return
		}
	}
}

// refuseName notes that the client does not want messages by the name of a
// normal id.
func (s *Session) refuseName(id uint16) {
	if t := s.topicByID(id); t != nil {
		t.refused = true
		s.unsaved = true
	}
}

// wanted takes back that the client refuses a name: it has said something else
// about a filter since. With wildcards that may be about any name.
func (s *Session) wanted(filter string) {
	for i := range s.topics {
		if t := &s.topics[i]; t.refused && (wild(filter) || t.name == filter) {
			t.refused = false
			s.unsaved = true
		}
	}
}

// retell has each id told to the client again before it is used, and takes back
// that it refuses a name: it may have rebooted, rule 31.
func (s *Session) retell() {
	for i := range s.topics {
		s.topics[i].told, s.topics[i].refused = false, false
	}
}

// tell notes that the client has been told a normal id. A message that waited
// for just that can go.
func (s *Session) tell(now clock.Time, id uint16, out *Actions) {
	t := s.topicByID(id)
	if t == nil {
		return
	}
	t.told = true
	s.unsaved = s.unsaved || !t.kept
	if s.busy() && s.slot.step == registering && s.slot.topic.ID == id {
		s.advance(now, out)
	}
}
