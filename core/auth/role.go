package auth

import (
	"net/netip"
	"slices"
	"strings"
)

// A Role is given to those whom all of its fields name; an empty one names
// everybody. One name may be given for several reasons.
type Role struct {
	Name      string
	Anonymous bool     // to those without a user name alone
	Users     []string // names, or how they begin and then "*"
	Listeners []string
	From      []netip.Prefix
}

// MaxRoles is how many names of roles there may be.
const MaxRoles = 64

type role struct {
	*Role
	bit uint64
}

// rolesOf is the roles of who asks: what our own configuration gives, and what
// came with the name.
func (l *ACL) rolesOf(q *query) uint64 {
	if q.knowsRoles {
		return q.roles
	}
	q.knowsRoles = true
	for i := range l.roles {
		if r := &l.roles[i]; r.given(q) {
			q.roles |= r.bit
		}
	}
	if q.who.Roles == "" {
		return q.roles
	}
	for name := range strings.SplitSeq(q.who.Roles, " ") {
		if i := slices.Index(l.names, name); i >= 0 {
			q.roles |= 1 << i
		}
	}
	return q.roles
}

func (r *Role) given(q *query) bool {
	if r.Anonymous && q.who.User != "" {
		return false
	}
	if r.Users != nil && !slices.ContainsFunc(r.Users, func(u string) bool { return named(u, q.who.User) }) {
		return false
	}
	return (r.Listeners == nil || slices.Contains(r.Listeners, q.who.Listener)) && (r.From == nil || q.from(r.From))
}
