package main

import (
	"net/netip"
	"slices"
	"strings"

	"dormouse/core"
)

// sysReaders are who may subscribe to $SYS: clients from these networks, and
// these users.
type sysReaders struct {
	from  []netip.Prefix
	users []string
}

// authorize is core's question. All but $SYS is everyone's.
func (r sysReaders) authorize(who core.Identity, a core.Access) bool {
	if a.Do != core.ActSubscribe || !strings.HasPrefix(a.Topic, "$SYS") {
		return true
	}
	if level, _, _ := strings.Cut(a.Topic, "/"); level != "$SYS" {
		return true
	}
	return who.User != "" && slices.Contains(r.users, who.User) || r.near(who.Remote)
}

// near reports whether an address and port are of these networks. What is
// behind a forwarder has none: where it is, is not known.
func (r sysReaders) near(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := at.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(r.from, func(p netip.Prefix) bool { return p.Contains(addr) })
}
