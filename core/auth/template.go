package auth

import (
	"errors"
	"fmt"
	"strings"

	"dormouse/core"
)

// What may stand in the topic of a rule.
const (
	ClientMark   = "{clientid}" // the client id
	IdentityMark = "{identity}" // the user name
)

// A template is the topic of a rule, level by level.
type template []level

// A level is one of a topic or filter.
type level struct {
	text  string // as it is written
	marks []part // instead, if a name stands in it
}

// A part of a level is a text, or a name.
type part struct{ text string }

const (
	one  = "+"
	rest = "#"
)

func newTemplate(topic string) (t template) {
	for text := range strings.SplitSeq(topic, "/") {
		l := level{text: text}
		if strings.Contains(text, ClientMark) || strings.Contains(text, IdentityMark) {
			l.marks = cut(text)
		}
		t = append(t, l)
	}
	return t
}

// cut takes a level apart.
func cut(text string) (parts []part) {
	for text != "" {
		next := len(text)
		for _, mark := range []string{ClientMark, IdentityMark} {
			switch i := strings.Index(text, mark); {
			case i == 0:
				next = len(mark)
			case i > 0:
				next = min(next, i)
			}
		}
		parts = append(parts, part{text[:next]})
		text = text[next:]
	}
	return parts
}

// ValidTopic says why topic, with {clientid} and {identity} in it perhaps, cannot
// be that of a rule.
func ValidTopic(topic string) error {
	if topic == "" {
		return errors.New("the topic is empty; give one, or # for all")
	}
	bare := strings.NewReplacer(ClientMark, "", IdentityMark, "").Replace(topic)
	if strings.ContainsAny(bare, "{}") {
		return fmt.Errorf("%q has a brace that is neither %s nor %s, the only ones that are replaced", topic, ClientMark, IdentityMark)
	}
	if strings.Contains(topic, "\x00") {
		return fmt.Errorf("%q has a NUL in it, which no topic has", topic)
	}
	if first, _, _ := strings.Cut(topic, "/"); first == "$share" {
		return fmt.Errorf("%q: a rule is about what is shared; leave out $share and the name behind it", topic)
	}
	levels := strings.Split(topic, "/")
	for i, l := range levels {
		if len(l) > 1 && strings.ContainsAny(l, "+#") {
			return fmt.Errorf("%q: + and # fill their level", topic)
		}
		if l == rest && i < len(levels)-1 {
			return fmt.Errorf("%q: nothing may follow #", topic)
		}
	}
	return nil
}

// name returns what stands for p, if that is one, and whether p is a name.
func (p part) name(who *core.Identity) (string, bool) {
	switch p.text {
	case ClientMark:
		return who.ClientID, true
	case IdentityMark:
		return who.User, true
	}
	return p.text, false
}

// fits reports whether the names of l can stand in one level of a topic as they
// are: one with a "/" would say more than one, a wildcard more than itself.
func (l *level) fits(who *core.Identity) bool {
	for _, p := range l.marks {
		if name, is := p.name(who); is && (name == "" || name[0] == '$' || strings.ContainsAny(name, "/+#")) {
			return false
		}
	}
	return true
}

// is reports whether l is text, in which names stand for themselves.
func (l *level) is(text string, who *core.Identity) bool {
	if l.marks == nil {
		return l.text == text
	}
	for _, p := range l.marks {
		name, _ := p.name(who)
		var ok bool
		if text, ok = strings.CutPrefix(text, name); !ok {
			return false
		}
	}
	return text == ""
}

// covers reports whether all that q's topic or filter brings is below t. A name
// that fits no level is in no topic.
func (t template) covers(q *query) bool {
	left, more := q.access.Topic, true
	for i := range t {
		l := &t[i]
		if l.text == rest { // and what is above it
			return i > 0 || !ours(left)
		}
		if !more {
			return false
		}
		var text string
		text, left, more = strings.Cut(left, "/")
		switch {
		case text == rest:
			return false
		case l.text == one:
			if i == 0 && ours(text) {
				return false
			}
		case !l.fits(q.who) || !l.is(text, q.who):
			return false
		}
	}
	return !more
}

// ours reports whether a topic is none that wildcards match, MQTT 5 §4.7.2.
func ours(topic string) bool { return strings.HasPrefix(topic, "$") }

// denies reports whether a rule that denies t is about q: if t covers it. Of a
// filter that brings more than t, what is in t is not delivered, as long as
// somebody looks; otherwise, and in a share, where it would be lost to others, any
// of it will do. A name that fits no level may mean anything.
func (t template) denies(q *query, unseen bool) bool {
	some := q.access.Do == core.ActSubscribe && (unseen || q.access.Shared)
	left, more := q.access.Topic, true
	for i := range t {
		l := &t[i]
		if l.text == rest {
			return i > 0 || !ours(left)
		}
		if !more {
			return false
		}
		var text string
		text, left, more = strings.Cut(left, "/")
		wild := l.text == one || !l.fits(q.who)
		switch {
		case text == rest:
			return some && !(i == 0 && ours(l.text))
		case wild && l.text != one:
			return true
		case i == 0 && (wild && ours(text) || text == one && ours(l.text)):
			return false
		case wild, text == one && some, l.is(text, q.who):
		default:
			return false
		}
	}
	return !more || some && left == rest
}
