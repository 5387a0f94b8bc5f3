package auth

import (
	"net/netip"

	"dormouse/core"
)

// sysTopics is the broker's figures.
const sysTopics = "$SYS/#"

// BuiltIn are the rules behind all others: $SYS is for some networks and users
// alone, and a bridge may say whether it is connected, which Mosquitto must.
func BuiltIn(from []netip.Prefix, users []string) []Rule {
	var rules []Rule
	if len(from) > 0 {
		rules = append(rules, Rule{At: "sys_topics.allow", Subscribe: true, Topic: sysTopics, MaxQoS: 2, From: from})
	}
	for _, u := range users {
		rules = append(rules, Rule{At: "sys_topics.users", Subscribe: true, Topic: sysTopics, MaxQoS: 2, User: u})
	}
	return append(rules,
		Rule{At: "sys_topics", Deny: true, Subscribe: true, Topic: sysTopics},
		Rule{At: "built in", Publish: true, Topic: "$SYS/broker/connection/" + ClientMark + "/state", MaxQoS: core.QoS(2), Retain: true},
	)
}
