package auth

import (
	"fmt"
	"net/netip"
	"strings"

	"dormouse/core"
)

// A Rule allows or denies, to those whom all of its first five fields name. An
// empty one names everybody.
type Rule struct {
	At string // where it is written, for people: "acl.yaml:3"

	Role     string
	User     string // a name, or how names begin and then "*"
	Client   string // a client id, or how they begin and then "*"
	Listener string
	From     []netip.Prefix

	Deny               bool
	Publish, Subscribe bool   // what is allowed or denied
	Topic              string // a filter in which Client and Identity may stand, see ValidTopic

	// What is allowed goes up to that QoS, and with Retain to retained messages.
	// A Rule that denies has no use for them.
	MaxQoS core.QoS
	Retain bool
}

// String writes r as a configuration does.
func (r *Rule) String() string {
	var b strings.Builder
	add := func(key string, value any) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %v", key, value)
	}
	for _, name := range []struct{ key, value string }{{"role", r.Role}, {"user", r.User}, {"client", r.Client}, {"listener", r.Listener}} {
		if name.value != "" {
			add(name.key, fmt.Sprintf("%q", name.value))
		}
	}
	if r.From != nil {
		add("from", strings.ReplaceAll(fmt.Sprint(r.From), " ", ", "))
	}
	does := "all"
	switch {
	case !r.Subscribe:
		does = core.ActPublish.String()
	case !r.Publish:
		does = core.ActSubscribe.String()
	}
	if r.Deny {
		add("deny", does)
	} else {
		add("allow", does)
	}
	add("topic", fmt.Sprintf("%q", r.Topic))
	if !r.Deny && r.MaxQoS < 2 {
		add("max_qos", r.MaxQoS)
	}
	if !r.Deny && r.Publish && !r.Retain {
		add("retain", false)
	}
	return "{" + b.String() + "}"
}
