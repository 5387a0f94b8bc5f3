package config

import (
	"net/netip"
	"net/url"
	"slices"
)

// givesRoles reports whether roles may come with a name.
func (c *Config) givesRoles() bool {
	return slices.ContainsFunc(c.Auth.Providers, func(p Provider) bool { return p.RolesClaim != "" })
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
