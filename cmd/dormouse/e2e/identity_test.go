package e2e

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
)

// TestHostile31CertificatesSayWho: with Mosquitto's tools, a certificate says who
// a client is, whatever it calls itself; an odd one says
// nothing, and the log says why. A canary with a password notices nothing.
func TestHostile31CertificatesSayWho(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	server, ann, eve := a.issue("server", "broker", nil), a.issue("ann", "ann", nil), a.issue("eve", "eve", nil)
	odd := a.issue("odd", "ann", func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "eve"}, {Type: []int{2, 5, 4, 3}, Value: "ann"}}
	})
	b := start(t, secured(server, ", client_auth: request, client_ca_file: "+a.file), "listeners.mqtts.identity=cn",
		knowing(passwords(t, "canary", "secret")),
		"acl.rules=[{user: ann, allow: publish, topic: from/ann}, {user: canary, allow: all, topic: \"#\"}]")
	canary := b.mosquittoSub(t, "#", 1, "-u", "canary", "-P", "secret")
	by := func(who keyPair, more ...string) []string {
		return append([]string{"--cafile", a.file, "--cert", who.cert, "--key", who.key}, more...)
	}
	mosquittoPub(t, b.tls, "from/ann", "hello", 1, by(ann)...)
	want(t, canary.receive(), message{"from/ann", "hello", 1, false})
	mosquittoPub(t, b.tls, "from/ann", "not by name", 1, by(ann, "-u", "eve", "-P", "x")...)
	want(t, canary.receive(), message{"from/ann", "not by name", 1, false})
	for why, who := range map[string][]string{
		"another certificate with her name": by(eve, "-u", "ann", "-P", "secret"),
		"no certificate":                    {"--cafile", a.file, "-u", "ann", "-P", "secret"},
		"two names":                         by(odd),
	} {
		runProgram(t, "", "mosquitto_pub", append([]string{"-h", "127.0.0.1", "-p", port(b.tls), "-V", "mqttv5",
			"-q", "1", "-t", "from/ann", "-m", why}, who...)...)
	}
	b.mosquittoPub(t, "marker", "x", 1, "-u", "canary", "-P", "secret")
	want(t, canary.receive(), message{"marker", "x", 1, false})
	b.wantLogged(t, "connect_refused", 2)
	if says := "it has 2 of common name, not one"; !strings.Contains(b.log.String(), says) {
		t.Errorf("%q is not in the log:\n%s", says, b.log)
	}
}

// TestLockout: who guesses is not listened to any more, the log says so, and a
// canary of the same network notices nothing. By default this machine is exempt.
func TestLockout(t *testing.T) {
	t.Parallel()
	file := passwords(t, "ann", "secret", "canary", "song")
	for exempt, want := range map[string]byte{"[]": 0x86, "[loopback]": 0} {
		t.Run(exempt, func(t *testing.T) {
			t.Parallel()
			b := start(t, knowing(file), "auth.lockout.failures=3", "auth.lockout.exempt="+exempt)
			for range 3 {
				if got := b.login(t, "ann", "guess"); got != 0x86 {
					t.Errorf("a wrong password is answered by 0x%02x", got)
				}
				if got := b.login(t, "canary", "song"); got != 0 {
					t.Errorf("the canary is answered by 0x%02x", got)
				}
			}
			if got := b.login(t, "ann", "secret"); got != want {
				t.Errorf("after three guesses the password is answered by 0x%02x, want 0x%02x", got, want)
			}
			if got := b.login(t, "canary", "song"); got != 0 {
				t.Errorf("the canary is answered by 0x%02x", got)
			}
			if want != 0 {
				b.wantLogged(t, "locked_out", 1)
			}
		})
	}
}
