package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// secured are the settings of a broker with a listener of each type, those of
// TLS with the certificate in files and whatever else more says.
func secured(files keyPair, more string) string {
	tls := fmt.Sprintf("tls: {cert_file: %s, key_file: %s%s}", files.cert, files.key, more)
	return fmt.Sprintf(`listeners=[{name: mqtt, type: tcp, address: "127.0.0.1:0"}, {name: sn, type: mqttsn-udp, address: "127.0.0.1:0"},
		{name: ws, type: ws, address: "127.0.0.1:0"}, {name: mqtts, type: tls, address: "127.0.0.1:0", %s},
		{name: wss, type: wss, address: "127.0.0.1:0", %s}]`, tls, tls)
}

// TestTLSMosquitto: Mosquitto's tools over TLS, who believe the right authority
// and only that.
func TestTLSMosquitto(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	b := start(t, secured(a.issue("server", "broker", nil), ""))
	sub := mosquittoSub(t, b.tls, "a/#", 1, "--cafile", a.file)
	mosquittoPub(t, b.tls, "a/b", "over TLS", 1, "--cafile", a.file)
	want(t, sub.receive(), message{"a/b", "over TLS", 1, false})
	b.publish(t, "a/c", "over TCP", 0)
	want(t, sub.receive(), message{"a/c", "over TCP", 0, false})
	if status := b.tryTLS(t, "--cafile", other.file); status == 0 {
		t.Error("mosquitto_pub believes a certificate of another authority")
	}
	b.settle(t)
}

// TestTLSMosquittoKnown: Mosquitto's tools publish and subscribe over TLS by a
// password, and by a certificate that names the user; as another they do not.
func TestTLSMosquittoKnown(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	server, users := a.issue("server", "broker", nil), passwords(t, "ann", "secret", "bob", "other")
	ann, bob := a.issue("ann", "ann", nil), a.issue("bob", "bob", nil)
	for by, tt := range map[string]struct{ settings, ann, bob []string }{
		"password": {[]string{secured(server, ""), knowing(users), "auth.anonymous.enabled=false"},
			[]string{"-u", "ann", "-P", "secret"}, []string{"-u", "bob", "-P", "other"}},
		"certificate": {[]string{secured(server, ", client_auth: require, client_ca_file: "+a.file), "listeners.mqtts.identity=cn"},
			[]string{"--cert", ann.cert, "--key", ann.key}, []string{"--cert", bob.cert, "--key", bob.key}},
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			b := start(t, append(tt.settings, `acl.rules=[{allow: publish, topic: "from/{identity}"}, {user: ann, allow: subscribe, topic: "from/#"}]`)...)
			ann, bob := append(tt.ann, "--cafile", a.file), append(tt.bob, "--cafile", a.file)
			sub := mosquittoSub(t, b.tls, "from/#", 1, ann...)
			mosquittoPub(t, b.tls, "from/ann", "forged", 1, bob...)
			mosquittoPub(t, b.tls, "from/bob", "hello", 1, bob...)
			want(t, sub.receive(), message{"from/bob", "hello", 1, false})
			mosquittoPub(t, b.tls, "from/ann", "hello", 1, ann...)
			want(t, sub.receive(), message{"from/ann", "hello", 1, false})
			if status, stdout, stderr := runProgram(t, "", "mosquitto_sub", append([]string{"-h", "127.0.0.1", "-p", port(b.tls), "-V", "mqttv5", "-t", "from/#", "-E"}, bob...)...); !strings.Contains(stdout+stderr, "denied") {
				t.Errorf("bob's mosquitto_sub ends with status %d and says %s%s", status, stdout, stderr)
			}
		})
	}
}

// tryTLS publishes by mosquitto_pub to a/b over TLS and returns its status.
func (b *broker) tryTLS(t testing.TB, more ...string) int {
	t.Helper()
	status, _, _ := runProgram(t, "", "mosquitto_pub", append([]string{"-h", "127.0.0.1", "-p", port(b.tls), "-t", "a/b", "-m", "x", "-q", "1"}, more...)...)
	return status
}

// TestClientCertificates: whom client_auth lets in.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	server := a.issue("server", "broker", nil)
	good, stranger := a.issue("client", "client", nil), other.issue("client", "client", nil)
	expired := a.issue("expired", "client", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	serverOnly := a.issue("server-only", "client", func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })
	for clientAuth, lets := range map[string]struct{ none, good, bad bool }{
		"none":    {true, true, true},
		"request": {true, true, false},
		"require": {false, true, false},
	} {
		t.Run(clientAuth, func(t *testing.T) {
			t.Parallel()
			more := ", client_auth: " + clientAuth
			if clientAuth != "none" {
				more += ", client_ca_file: " + a.file
			}
			b := start(t, secured(server, more))
			refused := 0
			try := func(who string, lets bool, more ...string) {
				t.Helper()
				if status := b.tryTLS(t, append([]string{"--cafile", a.file}, more...)...); (status == 0) != lets {
					t.Errorf("%s: mosquitto_pub ends with status %d", who, status)
				}
				if !lets {
					refused++
				}
			}
			try("no certificate", lets.none)
			try("a certificate of ours", lets.good, "--cert", good.cert, "--key", good.key)
			try("a certificate of another authority", lets.bad, "--cert", stranger.cert, "--key", stranger.key)
			try("an expired certificate", lets.bad, "--cert", expired.cert, "--key", expired.key)
			try("a certificate that is not for clients", lets.bad, "--cert", serverOnly.cert, "--key", serverOnly.key)
			if refused > 0 {
				b.wantLogged(t, "handshake_failed", refused)
			}
			b.settle(t)
		})
	}
}

// openssl makes a TLS connection and returns what openssl has to say about it.
func (b *broker) openssl(t testing.TB, more ...string) (ok bool, says string) {
	t.Helper()
	status, stdout, stderr := runProgram(t, "", "openssl", append([]string{"s_client", "-connect", b.tls.String()}, more...)...)
	return status == 0, stdout + stderr
}

// TestTLSVersions: 1.2 and 1.3, as configured, and MQTT as the protocol.
func TestTLSVersions(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	server := a.issue("server", "broker", nil)
	lax := []string{"-cipher", "DEFAULT@SECLEVEL=0"} // so that it is not openssl that refuses
	for least, lets := range map[string]map[string]bool{
		"1.2": {"-tls1_1": false, "-tls1_2": true, "-tls1_3": true},
		"1.3": {"-tls1_1": false, "-tls1_2": false, "-tls1_3": true},
	} {
		t.Run(least, func(t *testing.T) {
			t.Parallel()
			b := start(t, secured(server, fmt.Sprintf(", min_version: %q", least)))
			for version, lets := range lets {
				ok, says := b.openssl(t, append([]string{version, "-alpn", "mqtt", "-CAfile", a.file, "-verify_return_error"}, lax...)...)
				switch {
				case lets && (!ok || !strings.Contains(says, "ALPN protocol: mqtt")):
					t.Errorf("openssl %s fails, or does not agree on MQTT:\n%s", version, says)
				case !lets && (ok || !strings.Contains(says, "alert protocol version")):
					t.Errorf("openssl %s is not told that the version is too old:\n%s", version, says)
				}
			}
			if ok, says := b.openssl(t, "-alpn", "http/1.1"); ok || !strings.Contains(says, "no application protocol") {
				t.Errorf("openssl is not told that this is no web server:\n%s", says)
			}
			b.settle(t)
		})
	}
}

// TestPahoTransports: both of Eclipse Paho's libraries over each transport, as
// their users write it; and they are told goodbye.
func TestPahoTransports(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	server := a.issue("server", "broker", nil)
	for scheme, url := range map[string]func(*broker) string{
		"tls": func(b *broker) string { return "tls://" + b.tls.String() },
		"ws":  func(b *broker) string { return b.ws },
		"wss": func(b *broker) string { return b.wss },
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			b := start(t, secured(server, ""))
			three := b.mqtt3(t, "three", func(o *mqtt.ClientOptions) {
				o.Servers = nil
				o.AddBroker(url(b)).SetTLSConfig(a.trusted())
			})
			five, told := b.paho5Over(t, url(b), a.trusted())
			three.subscribe("to/three", 2)
			five.subscribe("to/five", 2)
			long := strings.Repeat("0123456789abcdef", 4<<10)
			for qos := range 3 {
				three.publish("to/five", long, qos, false)
				want(t, five.receive(), message{"to/five", long, qos, false})
				five.publish("to/three", long, qos, false)
				want(t, three.receive(), message{"to/three", long, qos, false})
			}
			if status := b.stop(); status != 0 {
				t.Errorf("status %d", status)
			}
			if reason := await(t, told, "DISCONNECT"); reason != 0x8b {
				t.Errorf("DISCONNECT 0x%02x, want 0x8b", reason)
			}
			await(t, three.lost, "end of the connection of 3.1.1")
		})
	}
}

// paho5Over connects Paho's client for MQTT 5 to url. The channel has the
// reason of the broker's DISCONNECT.
func (b *broker) paho5Over(t testing.TB, url string, trusted *tls.Config) (*client5, <-chan byte) {
	t.Helper()
	var conn net.Conn
	var err error
	if address, ok := strings.CutPrefix(url, "tls://"); ok {
		conn, err = tls.Dial("tcp", address, trusted)
	} else {
		conn, err = mqtt.NewWebsocket(url, trusted, patience, nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	told := make(chan byte, 1)
	c := &client5{inbox: newInbox(t, "five")}
	c.Client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			c.mail <- message{p.Packet.Topic, string(p.Packet.Payload), int(p.Packet.QoS), p.Packet.Retain}
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) { told <- d.ReasonCode },
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Connect(ctx, &paho.Connect{ClientID: "five", KeepAlive: 30, CleanStart: true}); err != nil {
		t.Fatal(err)
	}
	return c, told
}

// TestStrangersAtTLS: those who begin a handshake and never end it keep nobody
// out.
func TestStrangersAtTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	b := start(t, secured(a.issue("server", "broker", nil), ""))
	for range 100 {
		c, err := net.Dial("tcp", b.tls.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.Write(unhex(t, "16 0301 0200 0100 01fc 0303"))
	}
	sub := mosquittoSub(t, b.tls, "a/b", 1, "--cafile", a.file)
	mosquittoPub(t, b.tls, "a/b", "x", 1, "--cafile", a.file)
	want(t, sub.receive(), message{"a/b", "x", 1, false})
}

// TestToolsOverTLS: our own tools over each transport, in each version, with
// mosquitto's flags and by URL; and how they fail.
func TestToolsOverTLS(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	client := a.issue("client", "client", nil)
	b := start(t, secured(a.issue("server", "broker", nil), ", client_auth: require, client_ca_file: "+a.file))
	shown := []string{"--cafile", a.file, "--cert", client.cert, "--key", client.key}
	for name, flags := range map[string][]string{
		"mosquitto's flags": append([]string{"-p", port(b.tls)}, shown...),
		"mqtts":             append([]string{"--url", "mqtts://" + b.tls.String()}, shown...),
		"ws":                {"--url", b.ws},
		"wss":               append([]string{"--url", b.wss}, shown...),
		"no questions":      {"-p", port(b.tls), "--insecure", "--cert", client.cert, "--key", client.key},
	} {
		for _, version := range []string{"3", "4", "5"} {
			flags := append([]string{"--mqtt", "-V", version}, flags...)
			payload := name + " in " + version
			if status, _, stderr := run(t, append(append([]string{"pub"}, flags...), "-t", "a/b", "-m", payload, "-q", "1", "-r")...); status != 0 {
				t.Errorf("%s: pub ends with status %d: %s", payload, status, stderr)
			}
			status, stdout, stderr := run(t, append(append([]string{"sub"}, flags...), "-t", "a/b", "-C", "1", "-W", "10")...)
			if status != 0 || stdout != payload+"\n" {
				t.Errorf("%s: sub ends with status %d: %s%s", payload, status, stdout, stderr)
			}
		}
	}
	for _, tt := range []struct {
		status int
		says   string
		flags  []string
	}{
		{4, "--cafile", []string{"--url", "mqtts://" + b.tls.String()}},
		{4, "--cafile", []string{"--url", b.wss, "--cafile", other.file}},
		{4, "certificate", []string{"-p", port(b.tls), "--cafile", a.file}},
		{2, "--cafile", []string{"-p", port(b.tls), "--cafile", "nowhere.pem"}},
		{2, "PEM", []string{"-p", port(b.tls), "--cafile", client.key}},
		{2, "--key", []string{"-p", port(b.tls), "--cert", client.cert}},
		{2, "--cert and --key", []string{"-p", port(b.tls), "--cert", client.cert, "--key", "nowhere.pem"}},
		{2, "mqtts", []string{"--url", "http://127.0.0.1"}},
		{2, "mqtts", []string{"--url", "mqtt://127.0.0.1", "--insecure"}},
		{2, "-t", []string{"--url", "mqtt://127.0.0.1/a/b"}},
		{2, "-p", []string{"--url", "mqtt://127.0.0.1", "-p", "1"}},
	} {
		status, _, stderr := run(t, append([]string{"pub", "--mqtt", "-t", "a", "-m", "x"}, tt.flags...)...)
		if status != tt.status || !strings.Contains(stderr, tt.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("pub %v ends with status %d and says %q, want %d and %q", tt.flags, status, stderr, tt.status, tt.says)
		}
	}
	nobody := port(b.udp) // no DTLS there
	if status, _, stderr := run(t, "pub", "-t", "a", "-m", "x", "-p", nobody, "--cafile", a.file); status != 4 || !strings.Contains(stderr, "add --mqtt") {
		t.Errorf("pub --cafile without --mqtt ends with status %d and says %q", status, stderr)
	}
}
