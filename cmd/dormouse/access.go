package main

import (
	"regexp"
	"slices"
	"sync/atomic"

	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/auth"
)

// access is what clients may do and be called, as of the last reload.
type access struct {
	acl atomic.Pointer[auth.ACL]
	ids atomic.Pointer[auth.ClientIDs]
}

// goBy has c decide from now on.
func (a *access) goBy(c *config.Config) {
	a.acl.Store(auth.NewACL(policyOf(c)))
	a.ids.Store(clientIDsOf(c))
}

func (a *access) allows(who core.Identity, request core.Access) bool {
	return a.acl.Load().Allows(who, request)
}

func (a *access) named(who core.Identity) bool { return a.ids.Load().Allow(who) }

// occasions are those of acl.recheck.
var occasions = map[string]core.Occasion{
	"deliver": core.OnDelivery, "retained": core.OnReplay, "will": core.OnWill, "resume": core.OnResume, "reload": core.OnReload,
}

func policyOf(c *config.Config) auth.Policy {
	l := &c.ACL
	p := auth.Policy{Allow: l.Default == "allow" || l.Default == "" && l.File == "" && len(l.Rules) == 0}
	for name, at := range occasions {
		if !slices.Contains(l.Recheck, name) {
			p.Once = append(p.Once, at)
		}
	}
	for i := range l.Rules {
		p.Rules = append(p.Rules, ruleOf(&l.Rules[i]))
	}
	p.Rules = append(p.Rules, auth.BuiltIn(config.Prefixes(c.SysTopics.Allow), c.SysTopics.Users)...)
	if role := c.Auth.Anonymous.Role; role != "" {
		p.Roles = append(p.Roles, auth.Role{Name: role, Anonymous: true})
	}
	for _, r := range c.Auth.Roles {
		p.Roles = append(p.Roles, auth.Role{Name: r.Role, Users: r.Users, Listeners: r.Listeners, From: config.Prefixes(r.From)})
	}
	return p
}

func ruleOf(r *config.Rule) auth.Rule {
	does := r.Allow + r.Deny
	return auth.Rule{
		At:   r.Where,
		Role: r.Role, User: r.User, Client: r.Client, Listener: r.Listener, From: config.Prefixes(r.From),
		Deny: r.Deny != "", Publish: does != "subscribe", Subscribe: does != "publish",
		Topic: r.Topic, MaxQoS: core.QoS(r.MaxQoS), Retain: r.Retain,
	}
}

func clientIDsOf(c *config.Config) *auth.ClientIDs {
	ids := &auth.ClientIDs{Prefix: c.Auth.ClientID.Bind == "prefix"}
	if p := c.Auth.ClientID.Pattern; p != "" {
		ids.Pattern = regexp.MustCompile(p) // as the configuration has found out
	}
	return ids
}
