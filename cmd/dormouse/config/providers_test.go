package config

import (
	"strings"
	"testing"
)

// TestTokens: what a provider of tokens needs, and that roles may come with them.
func TestTokens(t *testing.T) {
	for with, want := range map[string]string{
		"jwks_url: https://id.example/keys, issuer: i, audience: a":                 "",
		"jwks_url: \"http://127.0.0.1:8080/keys\", issuer: i, audience: a":          "",
		"file: keys.json, issuer: i, audience: a, claim: name, algorithms: [EdDSA]": "",
		"issuer: i, audience: a": "needs jwks_url or file",
		"file: keys.json, jwks_url: https://id.example, issuer: i, audience: a":      "needs jwks_url or file",
		"jwks_url: http://id.example/keys, issuer: i, audience: a":                   "must begin with https://",
		"jwks_url: file:///etc/passwd, issuer: i, audience: a":                       "must begin with https://",
		"file: keys.json, audience: a":                                               "issuer is empty",
		"file: keys.json, issuer: i":                                                 "audience is empty",
		"file: keys.json, issuer: i, audience: a, claim: \"\"":                       "claim is empty",
		"file: keys.json, issuer: i, audience: a, algorithms: []":                    "algorithms is empty",
		"file: keys.json, issuer: i, audience: a, algorithms: [HS256]":               "must be ES256",
		"file: keys.json, issuer: i, audience: a, algorithms: [none]":                "must be ES256",
		"file: keys.json, issuer: i, audience: a, roles_claim: \"\"}, {type: passwd": "has no file",
		"file: keys.json, issuer: i, audience: a, url: \"https://id.example\"":       "url is for http",
	} {
		c, err := Load("", []string{"auth.providers=[{type: jwt, " + with + "}]"})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", with, err)
		case want == "" && c.Auth.Providers[0].Claim == "":
			t.Errorf("%s: there is no claim by default", with)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", with, err, want)
		}
	}
	for claim, good := range map[string]bool{"": false, ", roles_claim: groups": true} {
		_, err := Load("", []string{"acl.rules=[{role: ops, allow: all, topic: a}]",
			"auth.providers=[{type: jwt, file: keys.json, issuer: i, audience: a" + claim + "}]"})
		if (err == nil) != good {
			t.Errorf("with %q a role that nobody else gives: %v", claim, err)
		}
	}
}

// TestHooks: what a provider of type http needs, and that roles may come with it.
func TestHooks(t *testing.T) {
	for with, want := range map[string]string{
		"url: https://id.example/mqtt":                           "",
		"url: \"http://127.0.0.1:8080\", timeout: 5s, cache: 0s": "",
		"url: \"http://[::1]:8080\", on_error: next":             "",
		"url: https://id.example, ca_file: ca.pem":               "",
		"cache: 1m":                                                       "has no url",
		"url: http://id.example/mqtt":                                     "must begin with https://",
		"url: \"http://localhost:8080\"":                                  "must begin with https://", // which a name server says where it is
		"url: \"http://127.0.0.1:8080\", ca_file: ca.pem":                 "of no use without https",
		"url: https://id.example, timeout: 0s":                            "must be 100ms to 30s",
		"url: https://id.example, on_error: allow":                        "must be deny or next",
		"url: https://id.example, file: users":                            "file is for passwd and jwt",
		"url: https://id.example, issuer: i":                              "issuer is for jwt",
		"url: https://id.example}, {type: passwd, file: users, cache: 1s": "cache is for http",
	} {
		c, err := Load("", []string{"auth.providers=[{type: http, " + with + "}]", "acl.rules=[{role: ops, allow: all, topic: a}]"})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", with, err)
		case want == "" && (c.Auth.Providers[0].Timeout == 0 || c.Auth.Providers[0].OnError == ""):
			t.Errorf("%s: there are no defaults", with)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", with, err, want)
		}
	}
}
