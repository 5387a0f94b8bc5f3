package router

import (
	"fmt"
	"strings"
)

const sharePrefix = "$share/"

// CutShare takes apart "$share/{ShareName}/{filter}", MQTT 5 §4.8.2. If s does
// not begin that way, it is itself the filter and not shared.
func CutShare(s string) (name, filter string, shared bool) {
	rest, shared := strings.CutPrefix(s, sharePrefix)
	if !shared {
		return "", s, false
	}
	name, filter, _ = strings.Cut(rest, "/")
	return name, filter, true
}

// ValidSubscription says what keeps s from being subscribed to, as a filter or
// a shared one: nothing, or an error of kind ErrInvalid. The limits bound the
// share name and the filter each for itself.
func ValidSubscription(s string, l Limits) error {
	name, filter, shared := CutShare(s)
	switch {
	case !shared:
	case strings.ContainsAny(name, "+#"):
		return fmt.Errorf("%w: a wildcard in the share name", ErrInvalid) // [MQTT-4.8.2-2]
	default:
		if err := valid(name, l); err != nil { // [MQTT-4.8.2-1]
			return fmt.Errorf("share name: %w", err)
		}
	}
	return ValidFilter(filter, l)
}
