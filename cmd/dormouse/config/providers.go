package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// givesRoles reports whether roles may come with a name.
func (c *Config) givesRoles() bool {
	return slices.ContainsFunc(c.Auth.Providers, func(p Provider) bool { return p.RolesClaim != "" || p.Type == "http" })
}

// settingsOfProviders are the settings that only some types of provider have.
var settingsOfProviders = map[string][]string{
	"file":        {"passwd", "jwt"},
	"jwks_url":    {"jwt"},
	"issuer":      {"jwt"},
	"audience":    {"jwt"},
	"claim":       {"jwt"},
	"roles_claim": {"jwt"},
	"algorithms":  {"jwt"},
	"url":         {"http"},
	"timeout":     {"http"},
	"cache":       {"http"},
	"on_error":    {"http"},
	"ca_file":     {"http"},
}

// foreign complains about settings that p is not the type for.
func (r *reader) foreign(key string, p *Provider) {
	for name, kinds := range settingsOfProviders {
		if at, set := r.at[key+"."+name]; set && p.Type != "" && !slices.Contains(kinds, p.Type) {
			r.complain(at, "%s.%s is for %s; leave it out", key, name, strings.Join(kinds, " and "))
		}
	}
}

// hook complains about a provider of type http.
func (r *reader) hook(key string, p *Provider) {
	at := r.inside(key)
	switch {
	case p.URL == "":
		r.complain(at("url"), "%s has no url; say where the web server is that knows clients", key)
	case !isPrivate(p.URL):
		r.complain(at("url"), "%s.url is %q; it must begin with https://, or name this machine by http://127.0.0.1 or such: passwords go there", key, p.URL)
	case p.CAFile != "" && !strings.HasPrefix(p.URL, "https:"):
		r.complain(at("ca_file"), "%s.ca_file is of no use without https; leave it out", key)
	}
}

// tokens complains about a provider of type jwt.
func (r *reader) tokens(key string, p *Provider) {
	at := r.inside(key)
	if (p.JWKSURL == "") == (p.File == "") {
		r.complain(at("jwks_url"), "%s needs jwks_url or file, and not both: where the keys of tokens are", key)
	}
	if p.JWKSURL != "" && !isPrivate(p.JWKSURL) {
		r.complain(at("jwks_url"), "%s.jwks_url is %q; it must begin with https://, or name this machine by http://127.0.0.1 or such: whoever could change what comes could be anyone", key, p.JWKSURL)
	}
	for _, must := range []struct{ name, value string }{{"issuer", p.Issuer}, {"audience", p.Audience}, {"claim", p.Claim}} {
		if must.value == "" {
			r.complain(at(must.name), "%s.%s is empty; say which tokens are for this server", key, must.name)
		}
	}
	if len(p.Algorithms) == 0 {
		r.complain(at("algorithms"), "%s.algorithms is empty, so that no token would do; name one, or leave it out", key)
	}
}

// isPrivate reports whether nobody on the way can change what comes from a URL.
func isPrivate(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && addr.Unmap().IsLoopback()
}
