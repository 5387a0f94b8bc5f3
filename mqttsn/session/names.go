package session

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// clientIDMark is what stands for the client id in a predefined topic.
const clientIDMark = "{clientid}"

// ValidName reports whether b is a topic name that a client may use: UTF-8
// without NUL and wildcards, within the bounds of c.
func (c *Config) ValidName(b []byte) bool {
	return c.validText(b) && bytes.IndexByte(b, '+') < 0 && bytes.IndexByte(b, '#') < 0
}

// ValidTarget reports whether a client may publish to the topic b: a name, and
// not one of the broker's own, which begin with "$".
func (c *Config) ValidTarget(b []byte) bool {
	return c.ValidName(b) && b[0] != '$'
}

// ValidFilter reports whether b is a topic filter that a client may use: a
// wildcard fills its level, and "#" is the last, MQTT 3.1.1 §4.7.1.
func (c *Config) ValidFilter(b []byte) bool {
	if !c.validText(b) {
		return false
	}
	for rest, more := b, true; more; {
		var level []byte
		level, rest, more = bytes.Cut(rest, []byte{'/'})
		if len(level) > 1 && bytes.ContainsAny(level, "+#") {
			return false
		}
		if more && len(level) == 1 && level[0] == '#' {
			return false
		}
	}
	return true
}

func (c *Config) validText(b []byte) bool {
	return len(b) > 0 && len(b) <= c.MaxTopicLength &&
		utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 &&
		bytes.Count(b, []byte{'/'}) < c.MaxTopicLevels
}

// ValidClientID reports whether b may name a client: UTF-8 without NUL, of 1
// to MaxClientID octets.
func (c *Config) ValidClientID(b []byte) bool {
	return len(b) > 0 && len(b) <= c.MaxClientID && utf8.Valid(b) && bytes.IndexByte(b, 0) < 0
}

// PredefinedTopic returns the topic that the predefined id stands for when
// clientID uses it. A client id that would say more than one level, a wildcard
// or a topic of the broker's own has no such topic; nor has a sender without one.
func (c *Config) PredefinedTopic(id uint16, clientID string) (string, bool) {
	template, ok := c.Predefined[id]
	if !ok || !strings.Contains(template, clientIDMark) {
		return template, ok
	}
	if clientID == "" || strings.ContainsAny(clientID, "/+#\x00") {
		return "", false
	}
	topic := strings.ReplaceAll(template, clientIDMark, clientID)
	return topic, c.ValidName([]byte(topic)) && (topic[0] == '$') == (template[0] == '$')
}

// wild reports whether messages come by other names than the filter: it has
// wildcards, or shares a subscription, MQTT 5 §4.8.2.
func wild(filter string) bool {
	return strings.ContainsAny(filter, "+#") || strings.HasPrefix(filter, "$share/")
}
