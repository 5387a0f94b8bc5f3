package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// This file is secrets, and all that anyone but their owner may come to read.

// secrets are what is not to be shown, by what they are.
type secrets map[string]string

// secret makes one up, of so many octets, with signs that are written otherwise
// where something is quoted.
func (s secrets) secret(what string, octets int) string {
	text := strings.ToLower(rand.Text() + rand.Text())[:octets-2] + "&'"
	s[what] = text
	return text
}

// inNone looks for each in each text, as it is, as encodings have it, and as
// much of it as gives it away.
func (s secrets) inNone(t testing.TB, texts map[string]string) {
	t.Helper()
	for what, secret := range s {
		b := []byte(secret)[:min(len(secret), 12)]
		forms := []string{string(b), hex.EncodeToString(b), base64.RawStdEncoding.EncodeToString(b[:len(b)/3*3]),
			strings.Trim(fmt.Sprint(b), "[]"), strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}")}
		for where, text := range texts {
			for _, form := range forms {
				if i := strings.Index(strings.ToLower(text), strings.ToLower(form)); i >= 0 {
					t.Errorf("%s is shown by %s: …%s…", what, where, text[max(0, i-200):min(len(text), i+200)])
					break
				}
			}
		}
	}
}

// socketGet asks on the operators' socket what no command asks for.
func (b *broker) socketGet(t testing.TB, path string) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.admin)
	}}}
	a, err := c.Get("http://socket" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, a.Status, err)
	}
	return string(text)
}

// TestNoSecretIsShown: whatever is secret in what comes in, by each protocol,
// right or wrong, and in the files that the broker reads, whole or broken, is
// not in its log at its most talkative, nor in its figures, nor in what it tells
// operators, nor in a dump of what it does.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	s := make(secrets)
	a := newAuthority(t)
	files := a.issue("server", "broker", nil)
	users := passwords(t, "ann", s.secret("a password", 20), "ops", "figures")
	psk := pskFile(t, map[string]byte{"sensor": 0xa7})
	s["a pre-shared key"], s["a wrong pre-shared key"] = string(pskOf(0xa7)), string(pskOf(0xa8))
	rules := newRules(t, "allow: all, topic: \"#\"", "user: ops, allow: subscribe, topic: $SYS/#").file
	hashes, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(strings.TrimSpace(strings.Split(string(hashes), "\n")[0]), "$")[3:] {
		s[fmt.Sprintf("part %d of a hash", i)] = part
	}
	for i, file := range []string{files.key, a.issue("other", "other", nil).key} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s[fmt.Sprintf("key %d of a certificate", i)] = strings.Split(string(text), "\n")[2] // the second line, of the random octets
	}
	nobody := s.secret("a password in a URL", 20)
	b := onData(t, filepath.Join(t.TempDir(), "data"), "acl.file="+rules, "log.level=debug", "mqttsn.qos_minus_one.enabled=true", "auth.lockout.failures=3", "auth.lockout.exempt=[]",
		fmt.Sprintf("auth.providers=[{type: passwd, file: %[1]q}, {type: jwt, jwks_url: \"http://issuer:%[2]s@127.0.0.1:1/keys?key=%[2]s\", issuer: i, audience: a}, {type: http, url: \"http://us:%[2]s@127.0.0.1:1/who?key=%[2]s\"}]", users, nobody),
		overDTLS(nil, fmt.Sprintf("handshake_timeout: 1s, psk_file: %s, cert_file: %s, key_file: %s, client_ca_file: %s", psk, files.cert, files.key, a.file)))

	// MQTT, as it should be: logins, wills, messages and what comes with them.
	login3 := func(o *mqtt.ClientOptions) {
		o.SetUsername("ann").SetPassword(s["a password"]).SetWill("will", s.secret("a will", 40), 1, true)
	}
	three := b.mqtt3(t, "three", login3)
	five := b.mqtt5(t, "five", func(c *paho.Connect) {
		c.Username, c.UsernameFlag, c.Password, c.PasswordFlag = "ann", true, []byte(s["a password"]), true
		c.WillMessage = &paho.WillMessage{Topic: "will", Payload: []byte(s["a will"])}
		c.WillProperties = &paho.WillProperties{CorrelationData: []byte(s.secret("correlation data", 20))}
	})
	three.subscribe("#", 2)
	payload := s.secret("a payload", 40)
	for qos := range 3 {
		three.publish("from/three", payload, qos, true)
		five.publish("from/five", payload, qos, true)
	}
	if _, err := five.Publish(t.Context(), &paho.Publish{Topic: "from/five", QoS: 1, Payload: []byte(payload), Properties: &paho.PublishProperties{
		CorrelationData: []byte(s["correlation data"]), User: paho.UserProperties{{Key: "token", Value: s.secret("a user property", 20)}}}}); err != nil {
		t.Fatal(err)
	}
	// As it should not.
	wrong := s.secret("a wrong password", 20)
	for range 4 { // the last of them locked out
		if b.login(t, "ann", wrong) == 0 {
			t.Error("a wrong password is right")
		}
	}
	s["a token"] = base64.RawURLEncoding.EncodeToString([]byte(rand.Text()[:18]))
	b.login(t, "bob", "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJpIn0."+s["a token"]) // {"alg":"ES256","kid":"k"} {"iss":"i"}
	b.login(t, "dan", wrong)
	broken := hex.EncodeToString([]byte(s.secret("what is in a broken packet", 40)))
	for _, octets := range []string{
		"10 7f 0004 4d515454 05 c2 003c 00 0002 6372 0003 616e6e ffff" + broken,
		"30 2a 0000" + broken, "30 2a 00ff" + broken, "f0 28" + broken, "10 28" + broken, broken,
	} {
		c := b.rawMQTT(t)
		if octets[:2] == "30" {
			c.connect()
		}
		c.send(octets)
		c.Close()
	}
	asked, err := http.NewRequest("GET", "http://"+b.tcp.String()+"/?token="+s.secret("a token in a URL", 20), nil)
	if err != nil {
		t.Fatal(err)
	}
	asked.SetBasicAuth("ann", s.secret("a password of HTTP", 21))
	for _, at := range []string{b.tcp.String(), strings.TrimPrefix(b.adminURL, "http://")} {
		asked.Host, asked.URL.Host = at, at
		if a, err := http.DefaultClient.Do(asked); err == nil {
			a.Body.Close()
		}
	}

	// MQTT-SN, in the open and over DTLS.
	plain := b.sensor("plain")
	over, _ := b.secureSocket(byKey("sensor", 0xa7)...)
	for _, sensor := range []*sensor{plain, over.sensor(b, "sensor", "")} {
		sensor.connectWithWill(false, time.Minute, message{"will", s["a will"], 1, false})
		sensor.publish(sensor.register("up"), payload, 1, true)
		sensor.subscribe("up", 1)
		sensor.accept(sensor.hear("PUBLISH"))
		sensor.sleep(time.Hour)
	}
	plain.sock.sendMalformed("2f 0c 60 0000" + broken)
	if _, _, err := b.trySecure(2*time.Second, byKey("sensor", 0xa8)...); err == nil {
		t.Error("a wrong key is right")
	}
	three.disconnect()
	five.conn.Close() // so that its will is published

	// Files, each broken by what should not be in it.
	says := make(map[string]string)
	for i, file := range []string{users, psk, files.key, rules} {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"eve:" + s.secret("a password in the clear", 20) + "\n", s["a password in the clear"], string(good) + string(good), s["key 0 of a certificate"]} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, stdout, stderr := b.operate(t, "reload"); file != rules { // of rules it shows the line
				says[fmt.Sprint("dormouse reload ", i)] += stdout + stderr
			}
		}
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.wantOutput(t, []string{"reloaded"}, "reload")

	// What anyone may read.
	figures := b.mqtt5(t, "figures", func(c *paho.Connect) {
		c.Username, c.UsernameFlag, c.Password, c.PasswordFlag = "ops", true, []byte("figures"), true
	})
	figures.subscribe("$SYS/#", 0)
	for uptimes := 0; uptimes < 3; {
		m := figures.receive()
		says["$SYS"] += m.String()
		if m.topic == "$SYS/broker/uptime" {
			uptimes++
		}
	}
	for _, path := range []string{"/metrics", "/livez", "/readyz?verbose", "/?x"} {
		_, says[path] = b.get(t, path)
	}
	for _, path := range []string{"/v1/clients", "/v1/client?id=plain", "/v1/client?id=sensor", "/v1/client?id=figures", "/v1/retained?filter=%23",
		"/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1"} {
		says[path] = b.socketGet(t, path)
	}
	for _, command := range [][]string{{"clients", "ls"}, {"clients", "show", "plain"}, {"retained", "ls"}} {
		_, stdout, stderr := b.operate(t, command...)
		says[strings.Join(command, " ")] = stdout + stderr
	}
	b.process.Process.Signal(syscall.SIGQUIT) // which has it say what it does, and end
	await(t, b.ended, "end of the broker")
	says["the log"] = b.log.String()
	for _, url := range []string{"http://127.0.0.1:1/keys", "http://127.0.0.1:1/who"} {
		if !strings.Contains(says["the log"], url) {
			t.Errorf("the log does not say that nobody answers at %s:\n%s", url, says["the log"])
		}
	}
	for where, needs := range map[string]string{"the log": "SIGQUIT", "dormouse reload 2": files.key, "/metrics": "dormouse_", "/v1/clients": "plain", "/v1/retained?filter=%23": "from/five", "dormouse reload 0": ":1: ", "dormouse reload 1": ":1: "} {
		if !strings.Contains(says[where], needs) {
			t.Errorf("%s shows nothing: %s", where, says[where])
		}
	}
	s.inNone(t, says)
}

// TestCommandsShowNoSecret: a command that is given a secret does not say it
// when something is wrong, nor does one that reads a file show more of what is
// wrong with it than where.
func TestCommandsShowNoSecret(t *testing.T) {
	t.Parallel()
	s := make(secrets)
	word, url := s.secret("a password", 20), strings.TrimSuffix(s.secret("a password in a URL", 20), "'")
	key := hex.EncodeToString(pskOf(0xb7))
	s["a pre-shared key"] = string(pskOf(0xb7))
	dir := t.TempDir()
	in := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	users := in("users", "ann:"+word+"\n")
	psk := in("psk", "ann:"+key+"x\n")
	says := make(map[string]string)
	for _, args := range [][]string{
		{"pub", "--mqtt", "-p", "1", "-u", "ann", "-P", word, "-t", "a", "-m", "x"},
		{"pub", "--mqtt", "-p", "1", "-u", "ann", "-P", word, "-t", "a", "-m", "x", "-V", "5"},
		{"pub", "-u", "ann", "-P", word, "-t", "a", "-m", "x"},
		{"pub", "--mqtt", "-u", "ann", "-P", word, "-t", "a/#", "-m", "x", "--nothing"},
		{"pub", "--mqtt", "-u", "ann", "-P", word, "-t", "a/#", "-m", word},
		{"sub", "--mqtt", "-p", "1", "--url", "mqtt://ann:" + url + "@127.0.0.1:1/a"},
		{"pub", "--mqtt", "-m", "x", "--url", "mqtt://ann:" + url + "@127.0.0.1:1/a"},
		{"pub", "--mqtt", "-m", "x", "-t", "a", "--url", "mqtt://ann:" + url + "@127.0.0.1:99999"},
		{"pub", "--mqtt", "-m", "x", "-t", "a", "--url", "mqtt://ann:" + url + "%@127.0.0.1"},
		{"pub", "--mqtt", "-m", "x", "-t", "a", "--url", "http://ann:" + url + "@127.0.0.1"},
		{"pub", "-p", "1", "-t", "a", "-m", "x", "--psk", key},
		{"pub", "-p", "1", "-t", "a", "-m", "x", "--psk-identity", "ann", "--psk", key + "x"},
		{"pub", "-p", "1", "-t", "a", "-m", "x", "--psk-identity", "ann", "--psk", key[1:]},
		{"pub", "-p", "1", "-t", "a", "-m", "x", "--psk-identity", "ann", "--psk", key, "--mqtt"},
		{"passwd", "add", filepath.Join(dir, "none"), "ann", "-b", word},
		{"passwd", "add", users, "ann", "-b", word},
		{"passwd", "add", users, "a:b", "-b", word},
		{"passwd", "verify", users, "ann", "-b", word},
		{"check", "--set", knowing(users)},
		{"check", "--set", knowing(psk)},
		{"check", "--set", overDTLS(nil, "psk_file: "+psk)},
		{"check", "--set", overDTLS(nil, "psk_file: "+users)},
		{"check", "--set", `auth.providers=[{type: jwt, jwks_url: "http://id:` + url + `@example.org/keys", issuer: i, audience: a}]`},
		{"check", "--set", `auth.providers=[{type: jwt, jwks_url: "https://id:` + url + `@%/keys", issuer: i, audience: a}]`},
	} {
		status, stdout, stderr := run(t, args...)
		if status == 0 || stderr == "" {
			t.Errorf("dormouse %q ends with status %d: %s", args, status, stderr)
		}
		says["dormouse "+strings.Join(args, " ")] = string(bytes.ReplaceAll([]byte(stdout+stderr), []byte(strings.Join(args, " ")), nil))
	}
	s.inNone(t, says)
}
