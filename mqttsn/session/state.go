package session

import (
	"encoding/binary"
	"time"

	"dormouse/mqttsn"
)

// What AskSave stores, all integers big-endian:
//
//	Version(1)=1 Sleep(4, seconds; 0 unless asleep), then for each topic
//	Kind(1; 0x80: refused) Id(2) Length(2) Name(Length)
//
// A predefined topic is stored without its name: the configuration has it.
const (
	stateVersion    = 1
	stateRefused    = 0x80
	stateHeader     = 5
	stateTopicFixed = 5
)

// save asks the broker to store what must outlive this process, unless the
// session does not outlive even its connection.
func (s *Session) save(tag uint32, out *Actions) {
	if s.clean {
		return
	}
	start := len(out.state)
	out.state = s.appendState(out.state)
	s.saveTag = tag
	out.ask(Request{Kind: AskSave, Tag: tag, State: out.state[start:]})
}

func (s *Session) appendState(b []byte) []byte {
	b = append(b, stateVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(s.sleep/time.Second))
	for i := range s.topics {
		t := &s.topics[i]
		kind, name := byte(t.kind), t.name
		if t.refused {
			kind |= stateRefused
		}
		if t.kind == mqttsn.TopicPredefined {
			name = ""
		}
		b = append(b, kind)
		b = binary.BigEndian.AppendUint16(b, t.id)
		b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
		b = append(b, name...)
	}
	return b
}

// restore takes in what save stored. The ids are valid in the client's packets
// at once; in ours each has to be told again first, for the client may have
// rebooted since (rule 31, A20). For the same reason no name counts as refused.
// If nothing was stored, a clean session goes on with the topics that it has.
// It reports whether b could be read; if not, nothing is restored.
func (s *Session) restore(b []byte) bool {
	if len(b) == 0 {
		s.retell()
		return true
	}
	if len(b) < stateHeader || b[0] != stateVersion {
		return false
	}
	sleep := time.Duration(binary.BigEndian.Uint32(b[1:])) * time.Second
	var topics []topic
	for b = b[stateHeader:]; len(b) > 0; {
		if len(b) < stateTopicFixed {
			return false
		}
		t := topic{kind: mqttsn.TopicKind(b[0] &^ stateRefused), id: binary.BigEndian.Uint16(b[1:])}
		length := int(binary.BigEndian.Uint16(b[3:]))
		b = b[stateTopicFixed:]
		if length > len(b) || t.kind > mqttsn.TopicShort {
			return false
		}
		t.name = string(b[:length])
		b = b[length:]
		if t.kind != mqttsn.TopicPredefined && length == 0 || t.id == 0 || t.id == 0xFFFF {
			return false
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
		topics = append(topics, t)
	}
	s.topics, s.sleep = topics, sleep
	return true
}
