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
