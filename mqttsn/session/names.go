package session

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// What stands in a predefined topic for the client id, and for who the client has
// proved to be.
const (
	clientIDMark = "{clientid}"
	identityMark = "{identity}"
)

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

// Of returns c for clients who have proved to be identity. That is a copy only
// where it makes a difference, so that most share one.
func (c *Config) Of(identity string) *Config {
	if identity == c.Identity {
		return c
	}
	for _, topic := range c.Predefined {
		if strings.Contains(topic, identityMark) {
			of := *c
			of.Identity = identity
			return &of
		}
	}
	return c
}

// PredefinedTopic returns the topic that the predefined id stands for when
// clientID uses it. A client id or an identity that would say more than one level,
// a wildcard or a topic of the broker's own has no such topic; nor has a sender
// without one.
func (c *Config) PredefinedTopic(id uint16, clientID string) (string, bool) {
	template, ok := c.Predefined[id]
	byID, byIdentity := strings.Contains(template, clientIDMark), strings.Contains(template, identityMark)
	switch {
	case !byID && !byIdentity:
		return template, ok
	case byID && !oneLevel(clientID), byIdentity && !oneLevel(c.Identity):
		return "", false
	}
	topic := fill(template, clientID, c.Identity)
	return topic, c.ValidName([]byte(topic)) && (topic[0] == '$') == (template[0] == '$')
}

// fill puts both names into a template, of which what looks like a mark in one of
// them is no part.
func fill(template, clientID, identity string) string {
	parts := strings.Split(template, clientIDMark)
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], identityMark, identity)
	}
	return strings.Join(parts, clientID)
}

func oneLevel(name string) bool { return name != "" && !strings.ContainsAny(name, "/+#\x00") }

// wild reports whether messages come by other names than the filter: it has
// wildcards, or shares a subscription, MQTT 5 §4.8.2.
func wild(filter string) bool {
	return strings.ContainsAny(filter, "+#") || strings.HasPrefix(filter, "$share/")
}
