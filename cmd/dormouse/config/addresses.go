package config

import (
	"fmt"
	"net/netip"

	"dormouse/configs/strict"
)

// An opening is an address that is to be opened, and by what.
type opening struct {
	network string // "tcp" or "udp"
	address netip.AddrPort
	by      string
	at      strict.Place
}

// addresses complains about those that cannot be opened beside another.
func (r *reader) addresses(c *Config) {
	var all []opening
	for i := range c.Listeners {
		l, key := &c.Listeners[i], fmt.Sprintf("listeners[%d]", i)
		at, set := r.at[key+".address"]
		if !set {
			at = r.at[key]
		}
		if !r.bad[key] && l.Address.IsValid() {
			all = append(all, opening{l.Network(), l.Address.AddrPort, fmt.Sprintf("listener %q", l.Name), at})
		}
	}
	if c.Admin.Enabled && !r.bad["admin"] {
		at, set := r.at["admin.listen"]
		admin := opening{"tcp", c.Admin.Listen.AddrPort, "admin.listen", at}
		if set {
			all = append(all, admin)
		} else {
			all = append([]opening{admin}, all...) // to blame who is set
		}
	}
	for i, o := range all {
		for _, other := range all[:i] {
			if o.meets(other) {
				r.complain(o.at, "%v is open already: %s is at %v; give each its own", o.address, other.by, other.address)
				break
			}
		}
	}
}

// meets reports whether the system opens one but not both. TCP's 0.0.0.0 is
// opened as [::], which takes IPv4 in. UDP is opened for sharing: there the
// nearest address is meant.
func (o opening) meets(other opening) bool {
	a, b := o.address.Addr().Unmap(), other.address.Addr().Unmap()
	return o.network == other.network && o.address.Port() == other.address.Port() && o.address.Port() != 0 &&
		(a == b || o.network == "tcp" && (a.IsUnspecified() || b.IsUnspecified()))
}
