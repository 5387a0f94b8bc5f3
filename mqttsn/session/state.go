package session

import (
	"encoding/binary"
	"strings"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// What AskSave stores, all integers big-endian:
//
//	Version(1)=3 State(1) KeepAlive(4, seconds) Sleep(4, seconds; 0 unless
//	asleep) Left(4, seconds until the client is lost; 0: never), then for each
//	topic Kind(1; 0x80: refused, 0x40: told) Id(2) Length(2) Name(Length)
//
// A predefined topic is stored without its name: the configuration has it. In
// other names, which have no octet 0, one stands for the client id: it is part of
// most of them, and of each sleeper this is in memory, too. Version 2 knew
// nothing of that. In version 1, Version(1)=1 Sleep(4) came ahead of the topics,
// and none was told.
const (
	stateVersion    = 3
	stateVersion2   = 2
	stateActive     = 1
	stateAsleep     = 2
	stateRefused    = 0x80
	stateTold       = 0x40
	stateHeader     = 14
	stateHeaderV1   = 5
	stateTopicFixed = 5
	clientIDHere    = "\x00"
)

// stored is what was stored of a session.
type stored struct {
	state     State // Disconnected: it was not
	keepAlive time.Duration
	sleep     time.Duration
	left      time.Duration // until the client was to be lost; zero: never
	topics    []topic
}

// save asks the broker to store what must outlive this process, unless the
// session does not outlive even its connection. The client is about to be told
// the topic id telling, or none if that is zero.
func (s *Session) save(now clock.Time, tag uint32, telling uint16, out *Actions) {
	if s.clean {
		return
	}
	start := len(out.state)
	out.state = s.appendState(out.state, now, telling)
	s.saveTag = tag
	out.ask(Request{Kind: AskSave, Tag: tag, State: out.state[start:]})
}

func (s *Session) appendState(b []byte, now clock.Time, telling uint16) []byte {
	state, left := byte(stateActive), time.Duration(0)
	if d := s.supervised; d != 0 && s.state != Connecting {
		left = max(d.Sub(now), time.Second)
	}
	if s.sleep != 0 {
		state = stateAsleep
		if s.state == Awake { // what it has when it is back asleep
			left = sleepGrace(s.sleep)
		}
	}
	b = append(b, stateVersion, state)
	for _, d := range [...]time.Duration{s.keepAlive, s.sleep, left} {
		b = binary.BigEndian.AppendUint32(b, uint32(d/time.Second))
	}
	for i := range s.topics {
		t := &s.topics[i]
		kind, name := byte(t.kind), t.name
		if t.refused {
			kind |= stateRefused
		}
		if t.kept = t.told || t.kind == mqttsn.TopicNormal && t.id == telling; t.kept {
			kind |= stateTold
		}
		if t.kind == mqttsn.TopicPredefined {
			name = ""
		}
		b = append(b, kind)
		b = binary.BigEndian.AppendUint16(b, t.id)
		b = s.appendName(b, name)
	}
	return b
}

// appendName appends the length of a name and the name, shortened.
func (s *Session) appendName(b []byte, name string) []byte {
	before, after, found := strings.Cut(name, s.clientID)
	if found {
		after = clientIDHere + after
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(before)+len(after)))
	return append(append(b, before...), after...)
}

// restore takes in the topics that save stored. The ids are valid in the
// client's packets at once; in ours each has to be told again first, for the
// client may have rebooted since (rule 31, A20). For the same reason no name
// counts as refused. If nothing was stored, a clean session goes on with the
// topics that it has. It reports whether b could be read; if not, nothing is
// restored.
func (s *Session) restore(b []byte) bool {
	if len(b) > 0 {
		kept, ok := s.read(b)
		if !ok {
			return false
		}
		s.topics = kept.topics
	}
	s.retell()
	return true
}

// read makes out what save stored.
func (s *Session) read(b []byte) (k stored, ok bool) {
	seconds := func(at int) time.Duration {
		return time.Duration(binary.BigEndian.Uint32(b[at:])) * time.Second
	}
	switch {
	case len(b) >= stateHeaderV1 && b[0] == 1:
		b = b[stateHeaderV1:]
	case len(b) >= stateHeader && (b[0] == stateVersion || b[0] == stateVersion2):
		k = stored{keepAlive: seconds(2), sleep: seconds(6), left: seconds(10)}
		switch {
		case b[1] == stateActive && k.sleep == 0:
			k.state = Active
		case b[1] == stateAsleep && k.sleep != 0:
			k.state = Asleep
		default:
			return stored{}, false
		}
		b = b[stateHeader:]
	default:
		return stored{}, false
	}
	for len(b) > 0 {
		if len(b) < stateTopicFixed {
			return stored{}, false
		}
		t := topic{
			kind:    mqttsn.TopicKind(b[0] &^ (stateRefused | stateTold)),
			id:      binary.BigEndian.Uint16(b[1:]),
			refused: b[0]&stateRefused != 0,
			told:    b[0]&stateTold != 0,
			stored:  true,
		}
		length := int(binary.BigEndian.Uint16(b[3:]))
		b = b[stateTopicFixed:]
		if length > len(b) || t.kind > mqttsn.TopicShort {
			return stored{}, false
		}
		t.kept = t.told
		t.name = strings.Replace(string(b[:length]), clientIDHere, s.clientID, 1)
		b = b[length:]
		if t.kind != mqttsn.TopicPredefined && length == 0 || t.id == 0 || t.id == 0xFFFF {
			return stored{}, false
		}
		if _, taken := s.cfg.Predefined[t.id]; taken && t.kind == mqttsn.TopicNormal {
			continue // predefined since: one id must not mean two topics
		}
		if t.kind == mqttsn.TopicPredefined {
			name, ok := s.cfg.PredefinedTopic(t.id, s.clientID)
			if !ok {
				continue // no longer configured
			}
			t.name = name
		}
		k.topics = append(k.topics, t)
	}
	return k, true
}
