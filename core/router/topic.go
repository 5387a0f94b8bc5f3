// Package router finds who wants a message: filters by topic, for those who
// subscribe, and retained topics by filter, for those who come later.
package router

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is the kind of every error of this package.
var ErrInvalid = errors.New("invalid topic")

// Limits bound topics and filters.
type Limits struct {
	Length    int // octets; 1 to 65535
	Levels    int // 1 to 128
	Wildcards int // + and # in one filter; 0 to 128
}

// ValidTopic says what keeps s from being the topic of a message, MQTT 5
// §4.7.3: nothing, or an error of kind ErrInvalid.
func ValidTopic(s string, l Limits) error {
	if strings.ContainsAny(s, "+#") {
		return fmt.Errorf("%w: a wildcard", ErrInvalid)
	}
	return valid(s, l)
}

// ValidFilter says what keeps s from being a topic filter, MQTT 5 §4.7.1:
// nothing, or an error of kind ErrInvalid.
func ValidFilter(s string, l Limits) error {
	if err := valid(s, l); err != nil {
		return err
	}
	if !HasWildcard(s) {
		return nil
	}
	wildcards := 0
	for rest, more := s, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if !strings.ContainsAny(level, "+#") {
			continue
		}
		wildcards++
		switch {
		case len(level) > 1:
			return fmt.Errorf("%w: a wildcard must have its level to itself", ErrInvalid)
		case level == "#" && more:
			return fmt.Errorf("%w: # must be the last level", ErrInvalid)
		case wildcards > l.Wildcards:
			return fmt.Errorf("%w: more than %d wildcards", ErrInvalid, l.Wildcards)
		}
	}
	return nil
}

// HasWildcard reports whether the filter s can match more than one topic.
func HasWildcard(s string) bool { return strings.ContainsAny(s, "+#") }

// valid checks what topics and filters have in common. Control characters
// and non-characters, which MQTT 5 §1.5.4 allows us to refuse, are refused:
// topics end up in logs and on terminals.
func valid(s string, l Limits) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: empty", ErrInvalid)
	case len(s) > l.Length:
		return fmt.Errorf("%w: longer than %d octets", ErrInvalid, l.Length)
	case strings.Count(s, "/")+1 > l.Levels:
		return fmt.Errorf("%w: more than %d levels", ErrInvalid, l.Levels)
	}
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return fmt.Errorf("%w: not UTF-8", ErrInvalid)
			}
		case isControl(r):
			return fmt.Errorf("%w: control character %U", ErrInvalid, r)
		case isNonCharacter(r):
			return fmt.Errorf("%w: non-character %U", ErrInvalid, r)
		}
	}
	return nil
}

// IsUnwelcome reports whether r is a control character or a non-character:
// whoever gets one in a string may hang up, MQTT 5 §1.5.4.
func IsUnwelcome(r rune) bool { return isControl(r) || isNonCharacter(r) }

func isControl(r rune) bool      { return r < ' ' || 0x7f <= r && r < 0xa0 }
func isNonCharacter(r rune) bool { return r&0xfffe == 0xfffe || 0xfdd0 <= r && r <= 0xfdef }
