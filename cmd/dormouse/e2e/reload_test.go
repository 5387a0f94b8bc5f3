package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// TestReloadCertificate: SIGHUP has the certificate read again, for new
// connections; those there are stay. A broken one changes nothing.
func TestReloadCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := a.issue("server", "first", nil)
	b := start(t, secured(files, ""))
	old := b.mqtt3(t, "old", func(o *mqtt.ClientOptions) {
		o.Servers = nil
		o.AddBroker("tls://" + b.tls.String()).SetTLSConfig(a.trusted())
	})
	old.subscribe("still/here", 0)
	shows := func(name string) {
		t.Helper()
		if ok, says := b.openssl(t, "-CAfile", a.file, "-verify_return_error"); !ok || !strings.Contains(says, name) {
			t.Errorf("openssl does not see the certificate %q:\n%s", name, says)
		}
		b.publish(t, "still/here", name, 0)
		want(t, old.receive(), message{topic: "still/here", payload: name})
	}
	shows("first")
	a.issue("server", "second", nil)
	shows("first")
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 1)
	shows("second")

	a.issue("server", "third", nil)
	for i, broken := range []func() error{
		func() error { return os.WriteFile(files.key, []byte("no key"), 0o600) },
		func() error { return os.Remove(files.cert) },
	} {
		if err := broken(); err != nil {
			t.Fatal(err)
		}
		b.process.Process.Signal(syscall.SIGHUP)
		b.wantLogged(t, "reload_failed", i+1)
		shows("second")
	}
	if log := b.log.String(); !strings.Contains(log, "listeners.mqtts.tls.key_file: "+files.key) || !strings.Contains(log, "there is no file "+files.cert) {
		t.Errorf("the log does not say which files are broken:\n%s", log)
	}
	a.issue("server", "fourth", nil)
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 2)
	shows("fourth")
}

// TestReloadAllOrNothing: a broken certificate keeps passwords from changing,
// too, and a broken password file certificates.
func TestReloadAllOrNothing(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files, users := a.issue("server", "first", nil), passwords(t, "ann", "old")
	b := start(t, secured(files, ""), knowing(users))
	holds := func(when, name, password string) {
		t.Helper()
		if ok, says := b.openssl(t, "-CAfile", a.file, "-verify_return_error"); !ok || !strings.Contains(says, name) {
			t.Errorf("%s openssl does not see the certificate %q:\n%s", when, name, says)
		}
		if got := b.login(t, "ann", password); got != 0 {
			t.Errorf("%s ann's password is not %q: 0x%02x", when, password, got)
		}
	}
	passwd(t, "add", users, "ann", "-b", "new")
	if err := os.WriteFile(files.key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reload_failed", 1)
	holds("with a broken key", "first", "old")

	a.issue("server", "second", nil)
	good, err := os.ReadFile(users)
	if err == nil {
		err = os.WriteFile(users, []byte("ann\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reload_failed", 2)
	holds("with a broken password file", "first", "old")

	if err := os.WriteFile(users, good, 0o600); err != nil {
		t.Fatal(err)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 1)
	holds("with both", "second", "new")
}

// TestReloadAuthorities: once an authority is no longer believed, its clients are
// parted with, and do not come back, not even by resuming what they had. While it is,
// they stay.
func TestReloadAuthorities(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	believed := a.dir + "/believed.pem"
	believe := func(a *authority) {
		t.Helper()
		text, err := os.ReadFile(a.file)
		if err == nil {
			err = os.WriteFile(believed, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	believe(a)
	b := start(t, secured(a.issue("server", "broker", nil), ", client_auth: require, client_ca_file: "+believed))
	files := a.issue("client", "client", nil)
	pair, err := tls.LoadX509KeyPair(files.cert, files.key)
	if err != nil {
		t.Fatal(err)
	}
	client := a.trusted()
	client.Certificates, client.ClientSessionCache = []tls.Certificate{pair}, tls.NewLRUClientSessionCache(1)
	connect := func() (resumed bool, err error) {
		t.Helper()
		c, err := tls.Dial("tcp", b.tls.String(), client)
		if err != nil {
			return false, err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		c.Write(unhex(t, "10 0f | 0004 4d515454 05 02 003c 00 | 0002 6372"))
		_, err = c.Read(make([]byte, 64))
		return c.ConnectionState().DidResume, err
	}
	if _, err := connect(); err != nil {
		t.Fatal(err)
	}
	if resumed, err := connect(); err != nil || !resumed {
		t.Fatalf("a second connection: resumed %v, %v; want the session resumed", resumed, err)
	}
	c, err := tls.Dial("tcp", b.tls.String(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	there := rawMQTT{t, c}
	there.connect()
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 1)
	there.send("c0 00")
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		t.Errorf("a client whose authority is still believed: %v", err)
	}
	believe(other)
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 2)
	if said := there.wantClosed("its authority is no longer believed"); len(said) < 3 || said[0] != 0xe0 || said[2] != 0x87 {
		t.Errorf("a client whose authority is no longer believed is told %x", said)
	}
	if resumed, err := connect(); err == nil {
		t.Errorf("a client of an authority that is no longer believed is let in, resumed %v", resumed)
	}
}

// TestCertificateOutOfTime: an expired certificate does not keep the broker
// from starting, but the log says so; so it does of one that is not valid yet,
// and "dormouse check" warns of both.
func TestCertificateOutOfTime(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	now := time.Now()
	for event, times := range map[string][2]time.Time{
		"certificate_expired":       {now.Add(-2 * time.Hour), now.Add(-time.Hour)},
		"certificate_not_yet_valid": {now.Add(time.Hour), now.Add(2 * time.Hour)},
	} {
		server := a.issue(event, "broker", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = times[0], times[1] })
		status, stdout, stderr := run(t, "check", "--set", secured(server, ""))
		if status != 0 || stdout != "ok\n" || strings.Count(stderr, "check: warning: "+server.cert+": clients will turn away") != 2 {
			t.Errorf("%s: check ends with status %d and says %q, %q", event, status, stdout, stderr)
		}
		b := start(t, secured(server, ""))
		b.wantLogged(t, event, 2) // of tls and of wss
		b.settle(t)
	}
}
