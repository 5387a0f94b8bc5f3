package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// options are MQTT.js's, as the scripts take them.
func options(t testing.TB, all map[string]string) string {
	t.Helper()
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func content(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMQTTJSSecured: Node's MQTT library over TLS, and over WebSocket over TLS,
// comes in by a password, or by a certificate that says who it is and what it may
// have; with another or none it does not.
func TestMQTTJSSecured(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	server := a.issue("server", "broker", nil)
	users := passwords(t, "ann", "secret", "greenhouse", "roses")
	password := func(user, password string) map[string]string {
		return map[string]string{"ca": content(t, a.file), "username": user, "password": password}
	}
	certificate := func(a2 *authority, name string) map[string]string {
		files := a2.issue(name, name, nil)
		return map[string]string{"ca": content(t, a.file), "cert": content(t, files.cert), "key": content(t, files.key)}
	}
	for by, tt := range map[string]struct {
		settings        []string
		ann, greenhouse map[string]string
		wrong           []map[string]string
	}{
		"password": {
			[]string{secured(server, ""), knowing(users), "auth.anonymous.enabled=false"},
			password("ann", "secret"), password("greenhouse", "roses"),
			[]map[string]string{password("ann", "roses"), {"ca": content(t, a.file)}, {"ca": content(t, other.file), "username": "ann", "password": "secret"}},
		},
		"certificate": {
			[]string{secured(server, ", client_auth: require, client_ca_file: "+a.file), "listeners.mqtts.identity=cn", "listeners.wss.identity=cn"},
			certificate(a, "ann"), certificate(a, "greenhouse"),
			[]map[string]string{{"ca": content(t, a.file)}, certificate(other, "ann")},
		},
	} {
		rules := newRules(t, `user: greenhouse, allow: publish, topic: "{identity}/#"`, `user: ann, allow: subscribe, topic: "greenhouse/#"`)
		for transport, version := range map[string]string{"tls": "4", "wss": "5"} {
			t.Run(by+"/"+transport, func(t *testing.T) {
				t.Parallel()
				b := start(t, append(slices.Clone(tt.settings), rules.setting())...)
				address := map[string]string{"tls": "mqtts://" + b.tls.String(), "wss": b.wss}[transport]
				script := func(o map[string]string, name string, args ...string) *program {
					args = append([]string{"testdata/mqttjs/" + name, address, version}, args...)
					return spawn(t, "node", append(args, options(t, o))...)
				}
				sub := script(tt.ann, "subscribe.js", "greenhouse/climate").subscribed("subscribe.js")
				pub := script(tt.greenhouse, "publish.js")
				wantInEachQoS(t, sub, 30, func(i int) message {
					return message{"greenhouse/climate", fmt.Sprintf(`{"number":%d,"temperature":21.5}`, i), i % 3, false}
				})
				pub.line() // published
				pub.kill()
				for _, wrong := range append(slices.Clone(tt.wrong), tt.greenhouse) { // who comes in, but may not read
					p := script(wrong, "subscribe.js", "greenhouse/climate")
					select {
					case <-p.ended:
						if p.errs.String() == "" {
							t.Error("a script ends, and says nothing")
						}
					case line := <-p.lines:
						if line != "" && !strings.Contains(line, `"qos":128`) && !strings.Contains(line, `"qos":135`) {
							t.Errorf("with %.60v subscribe.js prints %q", wrong["username"], line)
						}
					case <-time.After(patience):
						t.Errorf("with %v subscribe.js neither ends nor subscribes", wrong["username"])
					}
					p.kill()
				}
			})
		}
	}
}

// TestHostile66Browser: a web page in Chromium comes in by WebSocket over TLS with
// a password, if it is of an origin that is named, and talks to a sensor that
// sleeps. One of another origin does not come in, whatever it knows, nor does it
// read the broker's figures.
func TestHostile66Browser(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	server := a.issue("server", "broker", nil)
	told := make(chan string, 64)
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/told":
			text, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			told <- string(text)
		case "/mqtt.js":
			http.ServeFile(w, r, "testdata/mqttjs/node_modules/mqtt/dist/mqtt.min.js")
		case "/":
			http.ServeFile(w, r, "testdata/mqttjs/page.html")
		}
	}))
	t.Cleanup(pages.Close)
	b := attacked(t, secured(server, ""), knowing(passwords(t, "ann", "secret")), "listeners.wss.allowed_origins=["+pages.URL+"]")
	s := b.sensor("sensor")
	s.connect(true)
	s.subscribe("from/browser", 1)
	s.sleep(time.Hour)

	open := func(pages string, more url.Values) {
		t.Helper()
		q := url.Values{"url": {b.wss}, "username": {"ann"}, "password": {"secret"}}
		maps.Copy(q, more)
		b.browse(t, pages+"/?"+q.Encode(), server)
	}
	elsewhere := strings.Replace(pages.URL, "127.0.0.1", "localhost", 1)
	open(elsewhere, url.Values{"admin": {b.adminURL}})
	b.wantLogged(t, "handshake_failed", 1)
	for said := map[string]bool{}; !said["closed"] || !said["reads nothing"]; {
		what := strings.TrimPrefix(await(t, told, "word of the page of another origin"), elsewhere+" ")
		if said[what] = true; what == "subscribed" || what == "reads 200" {
			t.Fatalf("a page of another origin says: %s", what)
		}
	}
	open(pages.URL, nil)
	if what := await(t, told, "word of the page"); what != pages.URL+" subscribed" {
		t.Fatalf("the page says: %s", what)
	}
	b.publish(t, "to/browser", "<script>1</script>", 1)
	s.hearsNothing()
	for {
		s.send(&mqttsn.Pingreq{ClientID: []byte(s.id)})
		if mail := s.flush(); len(mail) > 0 {
			want(t, mail[0], message{"from/browser", "echo of <script>1</script>", 1, false})
			break
		}
	}
}

// browse opens a page in headless Chromium, which believes the key of server
// until the test is over.
func (b *broker) browse(t testing.TB, page string, server keyPair) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(server.cert, server.key)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo)
	args := []string{"--headless", "--remote-debugging-port=0", "--user-data-dir=" + t.TempDir(), "--no-first-run", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
		"--ignore-certificate-errors-spki-list=" + base64.StdEncoding.EncodeToString(key[:]), page}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...)
	}
	spawn(t, "chromium", args...)
}
