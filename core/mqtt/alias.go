package mqtt

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// unalias gives a PUBLISH the topic that its Topic Alias stands for, or has it
// stand for its topic, MQTT 5 §3.3.2.3.4. Aliases end with the connection.
//
// mochi would do that too late, behind its check of the topic, and keep the
// whole packet for the topic in it. Of a topic that is too long no more is
// kept than makes it so: all aliases of a client take no more than
// TopicAliasMaximum times the longest topic.
func (c *conn) unalias(pk *packets.Packet) packets.Code {
	p := &pk.Properties
	if !p.TopicAliasFlag {
		return packets.CodeSuccess
	}
	alias := p.TopicAlias
	if alias == 0 || int(alias) > c.server.o.TopicAliasMaximum {
		return packets.ErrTopicAliasInvalid // [MQTT-3.3.2-8] [MQTT-3.3.2-9]
	}
	p.TopicAlias, p.TopicAliasFlag = 0, false
	if pk.TopicName != "" {
		longest := c.server.broker.MaxTopicLength()
		if c.aliases == nil {
			c.aliases = make(map[uint16]string)
		}
		c.aliases[alias] = strings.Clone(pk.TopicName[:min(len(pk.TopicName), longest+1)])
		return packets.CodeSuccess
	}
	topic, known := c.aliases[alias]
	if !known {
		return packets.ErrProtocolViolationNoTopic
	}
	pk.TopicName = topic
	return packets.CodeSuccess
}

// A shorthand is the aliases by which a client that wants some gets topics
// from us, MQTT 5 §3.3.2.3.4: first come, first served, until the connection
// ends. They are given as packets are encoded, and so never travel with a
// message. A nil one gives none.
type shorthand struct {
	most    int // aliases, from 1 on
	aliases map[string]uint16
}

// newShorthand returns one for a client that takes so many aliases, bounded as
// those are that it may set itself.
func newShorthand(asked uint16, bound int) *shorthand {
	most := min(int(asked), bound)
	if most == 0 {
		return nil
	}
	return &shorthand{most: most, aliases: make(map[string]uint16)}
}

// aliasLength is what a Topic Alias takes of a packet, in octets. Topics that
// are no longer go without.
const aliasLength = 3

// shorten puts the alias of its topic into a PUBLISH: in place of the topic if
// the client knows it, beside it if it is fresh. To be known, a fresh one must
// be learned once its packet is sure to be sent.
func (s *shorthand) shorten(pk *packets.Packet) (alias uint16, fresh bool) {
	if s == nil || len(pk.TopicName) <= aliasLength {
		return 0, false
	}
	alias, known := s.aliases[pk.TopicName]
	switch {
	case known:
		pk.TopicName = ""
	case len(s.aliases) < s.most:
		alias = uint16(len(s.aliases) + 1)
	default:
		return 0, false
	}
	pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = alias, true
	return alias, !known
}

// learn notes that the client knows topic by alias from now on.
func (s *shorthand) learn(topic string, alias uint16) {
	s.aliases[strings.Clone(topic)] = alias // not to keep the message for it
}
