package e2e

import "net/netip"

// transports are the ways of programs' MQTT to the broker, and where each ends.
var transports = map[string]func(b *broker) netip.AddrPort{
	"tcp": func(b *broker) netip.AddrPort { return b.tcp },
}

// url returns what programs want that are given one address for all.
func (b *broker) url(transport string) string {
	if transport == "websockets" {
		return "ws://" + transports[transport](b).String() + "/mqtt"
	}
	return "mqtt://" + transports[transport](b).String()
}
