package auth

import (
	"net/netip"
	"slices"
	"strings"

	"dormouse/core"
)

// A Policy is rules, of which the first that is about a request decides, and what
// they are about.
type Policy struct {
	Rules []Rule
	Roles []Role // MaxRoles names at most
	Allow bool   // what no rule is about

	// Once are the occasions on which nothing is asked again that was allowed.
	Once []core.Occasion
}

// An ACL is a Policy that is ready to be asked. It does not change, and asking it
// takes no memory. The rules that name one user or one client id cost those
// alone any time: there may be thousands.
type ACL struct {
	rules    []rule
	byUser   map[string][]int32 // of rules that name one user, in order
	byClient map[string][]int32 // of those that name one client id, and no user
	others   []int32
	roles    []role
	names    []string // of roles: the i-th has bit i
	allow    bool
	once     [core.OnReload + 1]bool
	ours     bool // all rules are about what begins with "$"
	partial  bool // a rule may deny some of what a filter brings that is allowed
}

type rule struct {
	*Rule
	role  uint64 // its bit
	topic template
}

// Admin is the edge of operators, who may do everything: the socket they come by
// is theirs alone.
const Admin = "admin"

// NewACL returns p made ready. Its rules must be valid.
func NewACL(p Policy) *ACL {
	l := &ACL{allow: p.Allow, ours: true, byUser: make(map[string][]int32), byClient: make(map[string][]int32)}
	for _, at := range p.Once {
		l.once[at] = true
	}
	for i := range p.Roles {
		l.roles = append(l.roles, role{&p.Roles[i], l.bit(p.Roles[i].Name)})
	}
	for i := range p.Rules {
		r := rule{Rule: &p.Rules[i], topic: newTemplate(p.Rules[i].Topic)}
		if r.Role != "" {
			r.role = l.bit(r.Role)
		}
		switch n := int32(i); {
		case r.User != "" && !strings.HasSuffix(r.User, "*"):
			l.byUser[r.User] = append(l.byUser[r.User], n)
		case r.Client != "" && !strings.HasSuffix(r.Client, "*"):
			l.byClient[r.Client] = append(l.byClient[r.Client], n)
		default:
			l.others = append(l.others, n)
		}
		l.rules = append(l.rules, r)
		l.ours = l.ours && ours(r.Topic)
		l.partial = l.partial || r.Deny && r.Subscribe && r.Topic != sysTopics
	}
	return l
}

// bit is that of the role of that name.
func (l *ACL) bit(name string) uint64 {
	i := slices.Index(l.names, name)
	if i < 0 {
		i = len(l.names)
		l.names = append(l.names, name)
	}
	return 1 << i
}

// Allows is core's question.
func (l *ACL) Allows(who core.Identity, a core.Access) bool {
	if l.once[a.At] || a.At == core.OnDelivery && !l.partial || who.Edge == Admin {
		return true
	}
	if l.ours && !ours(a.Topic) {
		return l.allow
	}
	allowed, _ := l.decide(&who, &a)
	return allowed
}

// A Decision is what an ACL says, and why.
type Decision struct {
	Allowed bool
	Rule    *Rule    // that decides; nil: none is about it
	Roles   []string // of who asks
}

// Decide says what becomes of a request, and why.
func (l *ACL) Decide(who core.Identity, a core.Access) Decision {
	var d Decision
	d.Allowed, d.Rule = l.decide(&who, &a)
	roles := l.rolesOf(&query{who: &who})
	for i, name := range l.names {
		if roles&(1<<i) != 0 {
			d.Roles = append(d.Roles, name)
		}
	}
	return d
}

// decide returns what the first rule says that is about a, and the rule.
func (l *ACL) decide(who *core.Identity, a *core.Access) (bool, *Rule) {
	q := query{who: who, access: a}
	mine, device, others := l.byUser[who.User], l.byClient[who.ClientID], l.others
	for {
		next, from := int32(len(l.rules)), &others
		for _, some := range [...]*[]int32{&mine, &device, &others} {
			if len(*some) > 0 && (*some)[0] < next {
				next, from = (*some)[0], some
			}
		}
		if int(next) == len(l.rules) {
			return l.allow, nil
		}
		*from = (*from)[1:]
		if r := &l.rules[next]; l.about(r, &q) {
			return !r.Deny, r.Rule
		}
	}
}

// A query is a request, with what is found out about it once.
type query struct {
	who    *core.Identity
	access *core.Access

	roles             uint64
	at                netip.Addr // not valid: whence it comes is not known
	knowsRoles, knows bool       // whether roles, and at, are found out
}

// about reports whether r is about q. Where nobody knows whether it is, such as
// when it is for some addresses and the address is not known, a rule that denies
// is, and one that allows is not.
func (l *ACL) about(r *rule, q *query) bool {
	switch a := q.access; {
	case a.Do == core.ActPublish && !r.Publish, a.Do == core.ActSubscribe && !r.Subscribe:
		return false
	case !r.Deny && (a.QoS > r.MaxQoS || a.Retain && !r.Retain):
		return false
	case r.User != "" && !named(r.User, q.who.User), r.Client != "" && !named(r.Client, q.who.ClientID):
		return false
	case r.Listener != "" && r.Listener != q.who.Listener:
		return false
	case r.From != nil && !q.from(r.From) && !(r.Deny && !q.at.IsValid()):
		return false
	case r.role != 0 && l.rolesOf(q)&r.role == 0:
		return false
	}
	if r.Deny {
		return r.topic.denies(q, l.once[core.OnDelivery])
	}
	return r.topic.covers(q)
}

// named reports whether a rule that names pattern is about name. Nobody without
// a name is named.
func named(pattern, name string) bool {
	if start, any := strings.CutSuffix(pattern, "*"); any {
		return name != "" && strings.HasPrefix(name, start)
	}
	return pattern == name
}

// from reports whether q comes from one of the networks. What is behind a
// forwarder has no address: where it is, is not known.
func (q *query) from(networks []netip.Prefix) bool {
	if !q.knows {
		q.knows = true
		if at, err := netip.ParseAddrPort(q.who.Remote); err == nil {
			q.at = at.Addr().Unmap().WithZone("")
		}
	}
	for _, n := range networks {
		if n.Contains(q.at) {
			return true
		}
	}
	return false
}
