package config

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"dormouse/configs/strict"
	"dormouse/core/auth"
)

// This file is what may be wrong with roles, rules and client ids.

// ruleFile reads the rules of acl.file. They have their own places, as "rules[0]".
func (r *reader) ruleFile(c *Config) {
	name := c.ACL.File
	if name == "" || r.bad["acl"] {
		return
	}
	if len(c.ACL.Rules) > 0 {
		r.complain(r.at["acl.file"], "acl.file and acl.rules are both set; keep one")
		return
	}
	text, err := strict.ReadFile(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("there is no such file")
		}
		r.complain(r.at["acl.file"], "acl.file: %s: %v; name a file of rules", name, err)
		return
	}
	var file struct {
		Rules []Rule `yaml:"rules"`
	}
	d, problem := strict.Parse(name, text)
	switch {
	case problem != nil:
		r.problems = append(r.problems, problem)
	case d.Root == nil: // nothing is allowed
	case d.Root.Kind != strict.Section:
		r.complain(d.Root.At, "a file of rules begins with \"rules:\"; see acl.rules")
	default:
		r.value("", d.Root, reflect.ValueOf(&file).Elem(), "")
	}
	c.ACL.Rules = file.Rules
}

// access complains about roles, rules and client ids.
func (r *reader) access(c *Config) {
	if p := c.Auth.ClientID.Pattern; p != "" {
		if _, err := regexp.Compile(p); err != nil {
			r.complain(r.at["auth.client_id.pattern"], "auth.client_id.pattern is no regular expression: %v", err)
		}
	}
	if c.Auth.ClientID.Bind == "prefix" && !c.KnowsUsers() && !r.bad["auth"] {
		r.complain(r.at["auth.client_id.bind"], "auth.client_id.bind is prefix, which is about user names, and nobody checks those; add auth.providers, or leave it out")
	}
	known := r.roles(c)
	key := "acl.rules"
	if c.ACL.File != "" {
		key = "rules"
	}
	for i := range c.ACL.Rules {
		key := fmt.Sprintf("%s[%d]", key, i)
		if at, ok := r.at[key]; ok {
			c.ACL.Rules[i].Where = where(at)
		}
		if !r.bad[key] {
			r.rule(key, &c.ACL.Rules[i], c, known)
		}
	}
}

// where is a place in words.
func where(at strict.Place) string {
	if at.InArgument() {
		return at.Source.Name
	}
	return fmt.Sprintf("%s:%d", at.Source.Name, at.Line)
}

var roleName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// roles complains about roles, and returns their names.
func (r *reader) roles(c *Config) (names []string) {
	name := func(at strict.Place, role string) {
		if !roleName.MatchString(role) {
			r.complain(at, "%q is no name of a role; it has letters, digits, \"-\", \"_\" and \".\"", role)
		}
		if !slices.Contains(names, role) {
			names = append(names, role)
		}
	}
	if role := c.Auth.Anonymous.Role; role != "" {
		name(r.at["auth.anonymous.role"], role)
	}
	for i, role := range c.Auth.Roles {
		key := fmt.Sprintf("auth.roles[%d]", i)
		if r.bad[key] {
			continue
		}
		at := r.inside(key)
		name(at("role"), role.Role)
		for _, u := range role.Users {
			r.user(at("users"), u, c)
		}
		for _, l := range role.Listeners {
			r.listener(at("listeners"), l, c)
		}
		for _, list := range []struct {
			name string
			n    int
		}{{"users", len(role.Users)}, {"listeners", len(role.Listeners)}, {"from", len(role.From)}} {
			if _, set := r.at[key+"."+list.name]; set && list.n == 0 {
				r.complain(at(list.name), "%s.%s is empty, so that nobody would have the role; leave it out for everybody", key, list.name)
			}
		}
	}
	if len(names) > auth.MaxRoles {
		r.complain(r.at["auth.roles"], "there are %d roles; there may be %d", len(names), auth.MaxRoles)
	}
	return names
}

// inside returns where a key of the section is set, or the section.
func (r *reader) inside(section string) func(key string) strict.Place {
	return func(key string) strict.Place {
		if at, ok := r.at[section+"."+key]; ok {
			return at
		}
		return r.at[section]
	}
}

// user complains about a name that nobody checks.
func (r *reader) user(at strict.Place, name string, c *Config) {
	switch {
	case !c.KnowsUsers() && !r.bad["auth"]:
		r.complain(at, "%q is a user name, and nobody checks those; add auth.providers", name)
	case name == "":
		r.complain(at, "the user name is empty; for those without one there is auth.anonymous.role")
	}
}

func (r *reader) listener(at strict.Place, name string, c *Config) {
	names := make([]string, 0, len(c.Listeners))
	for _, l := range c.Listeners {
		names = append(names, l.Name)
	}
	if !slices.Contains(names, name) {
		r.complain(at, "there is no listener %q; there are %s", name, strings.Join(names, ", "))
	}
}

func (r *reader) rule(key string, rule *Rule, c *Config, roles []string) {
	at := r.inside(key)
	set := func(name string) bool { _, ok := r.at[key+"."+name]; return ok }
	switch {
	case rule.Allow != "" && rule.Deny != "":
		r.complain(at("deny"), "%s allows and denies; make two rules of it", key)
	case rule.Allow == "" && rule.Deny == "":
		r.complain(at(""), "%s neither allows nor denies; add \"allow\" or \"deny\": publish, subscribe or all", key)
	}
	if rule.Deny != "" && (set("max_qos") || set("retain")) {
		r.complain(at("deny"), "%s denies, and max_qos and retain are bounds of what is allowed; leave them out", key)
	}
	if rule.Allow == "subscribe" && set("retain") {
		r.complain(at("retain"), "%s.retain is about what is published; leave it out", key)
	}
	if err := auth.ValidTopic(rule.Topic); err != nil {
		r.complain(at("topic"), "%s.topic: %v", key, err)
	}
	if rule.Role != "" && !slices.Contains(roles, rule.Role) && !r.bad["auth"] && !c.givesRoles() {
		says := "there are none; see auth.roles"
		if len(roles) > 0 {
			says = "the roles are " + strings.Join(roles, ", ")
		}
		r.complain(at("role"), "nobody has the role %q: %s", rule.Role, says)
	}
	if rule.User != "" {
		r.user(at("user"), rule.User, c)
	} else if strings.Contains(rule.Topic, auth.IdentityMark) {
		r.user(at("topic"), auth.IdentityMark, c)
	}
	if rule.Listener != "" {
		r.listener(at("listener"), rule.Listener, c)
	}
	for name, value := range map[string]string{"role": rule.Role, "user": rule.User, "client": rule.Client, "listener": rule.Listener} {
		if set(name) && value == "" {
			r.complain(at(name), "%s.%s is empty; leave it out for everybody", key, name)
		}
	}
	if set("from") && len(rule.From) == 0 {
		r.complain(at("from"), "%s.from is empty, so that it would be about nobody; leave it out for everywhere", key)
	}
}
