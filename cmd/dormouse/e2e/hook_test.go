package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// A knower is a web server that knows clients: whoever has its name for a password
// is let in, with the role ops.
type knower struct {
	*httptest.Server
	hangs atomic.Bool
	asked chan string // by whom, while it hangs
}

func newKnower(t testing.TB) *knower {
	k := &knower{asked: make(chan string, 1000)}
	over := make(chan struct{})
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ User, Password string }
		json.NewDecoder(r.Body).Decode(&q)
		switch {
		case k.hangs.Load():
			k.asked <- q.User
			select {
			case <-r.Context().Done():
			case <-over:
			}
		case q.User == q.Password:
			io.WriteString(w, `{"result": "allow", "roles": ["ops"]}`)
		case q.User == "stranger":
			io.WriteString(w, `{"result": "ignore"}`)
		default:
			io.WriteString(w, `{"result": "deny"}`)
		}
	}))
	t.Cleanup(func() { close(over); k.Close() })
	return k
}

// Reasons of CONNACK in MQTT 5.
const (
	letIn      = 0x00
	wrongLogin = 0x86
	serverBusy = 0x89
)

// TestF23Hook: a web server says who clients are, and what role they have. When it
// hangs, whoever would have to be asked about is told within its time that we are
// busy, and no more of them wait than connections are allowed. Everybody else
// goes on: who is connected, in both worlds, who has a password of our own and
// who was let in a moment ago. Then all is as before. No password is logged.
func TestF23Hook(t *testing.T) {
	t.Parallel()
	k := newKnower(t)
	const connections, waiting = 20, 6
	b := start(t, "log.level=debug", fmt.Sprintf("limits.max_connections=%d", connections), "auth.anonymous.enabled=false",
		fmt.Sprintf("auth.providers=[{type: passwd, file: %q}, {type: http, url: %q, timeout: 3s}, {type: passwd, file: %q}]",
			passwords(t, "ann", "ann's secret"), k.URL+"/mqtt?key=hush-hush", passwords(t, "stranger", "stranger's secret", "bob", "unheard")),
		`acl.rules=[{role: ops, allow: all, topic: "{identity}/#"}, {user: ann, allow: all, topic: "bob/#"}, {listener: sn, allow: publish, topic: "bob/#"}]`)
	as := func(user, password string) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) { o.SetUsername(user).SetPassword(password) }
	}
	bob := b.mqtt3(t, "b", as("bob", "bob"))
	bob.subscribe("bob/#", 1)
	ann := b.mqtt3(t, "a", as("ann", "ann's secret"))
	s := b.sensor("s")
	s.connect(true)
	id := s.register("bob/sn")
	alive := func(when string) {
		t.Helper()
		ann.publish("bob/mqtt", when, 1, false)
		want(t, bob.receive(), message{"bob/mqtt", when, 1, false})
		s.publish(id, when, 1, false)
		want(t, bob.receive(), message{"bob/sn", when, 1, false})
	}
	alive("before")
	for login, reason := range map[string]byte{"cat:cat": letIn, "cat:dog": wrongLogin, "bob:unheard": wrongLogin, "stranger:stranger's secret": letIn, "stranger:x": wrongLogin, "ann:ann": wrongLogin} {
		user, password, _ := strings.Cut(login, ":")
		if got := b.login(t, user, password); got != reason {
			t.Errorf("%s is answered by 0x%02x, want 0x%02x", login, got, reason)
		}
	}

	k.hangs.Store(true)
	var askers []*rawMQTT
	for i := range waiting {
		c := b.rawMQTT(t)
		c.send(withLogin(fmt.Sprint("w", i), "pass-word"))
		askers = append(askers, c)
	}
	for range waiting {
		await(t, k.asked, "question")
	}
	alive("while it hangs")
	for login, reason := range map[string]byte{"ann:ann's secret": letIn, "cat:cat": letIn, "ann:x": wrongLogin} {
		user, password, _ := strings.Cut(login, ":")
		if got := b.login(t, user, password); got != reason {
			t.Errorf("meanwhile %s is answered by 0x%02x, want 0x%02x", login, got, reason)
		}
	}
	for range 2 * connections { // more than may be
		c := b.rawMQTT(t)
		c.send(withLogin("more", "pass-word"))
		askers = append(askers, c)
	}
	alive("while too many wait")
	told, closed := 0, 0
	for _, c := range askers {
		switch said := c.wantClosed("nobody has said who it is"); {
		case len(said) == 0:
			closed++
		case len(said) > 3 && said[3] == serverBusy:
			told++
		default:
			t.Errorf("a client is told %x", said)
		}
	}
	if told < waiting || told > connections || closed < connections {
		t.Errorf("%d are told that the server is busy and %d are closed, of %d; there may be %d connections", told, closed, len(askers), connections)
	}
	k.hangs.Store(false)
	alive("after it")
	if got := b.login(t, "eve", "eve"); got != letIn {
		t.Errorf("after it a client is answered by 0x%02x", got)
	}
	b.wantLogged(t, "provider_failed", 1)
	for _, secret := range []string{"hush-hush", "pass-word", "ann's secret", "unheard"} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, b.log)
		}
	}
	if log := b.log.String(); !strings.Contains(log, k.URL+"/mqtt: it does not answer within 3s") {
		t.Errorf("the log does not say who does not answer:\n%s", log)
	}
}

// TestF23Stop: a web server that hangs does not hold up the end.
func TestF23Stop(t *testing.T) {
	t.Parallel()
	k := newKnower(t)
	k.hangs.Store(true)
	b := start(t, fmt.Sprintf("auth.providers=[{type: http, url: %q, timeout: 30s}]", k.URL))
	c := b.rawMQTT(t)
	c.send(withLogin("ann", "ann"))
	await(t, k.asked, "question")
	if status := b.stop(); status != 0 {
		t.Errorf("dormouse serve ends with status %d ten seconds after SIGTERM", status)
	}
}

// TestF23Keys: with the keys of tokens out of reach from the start, whoever has a
// password goes on, and who shows a token is told that we are busy.
func TestF23Keys(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	b := start(t, fmt.Sprintf("auth.providers=[{type: jwt, jwks_url: %q, issuer: id, audience: dormouse}, {type: passwd, file: %q}]",
		gone.URL, passwords(t, "ann", "a")))
	b.settle(t)
	const token = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJpZCJ9.c2ln" // of the issuer "id", by its key "k"
	for range 3 {
		if got := b.login(t, "t", token); got != serverBusy {
			t.Errorf("a token is answered by 0x%02x, want 0x%02x", got, serverBusy)
		}
		if got := b.login(t, "ann", "a"); got != letIn {
			t.Errorf("a password is answered by 0x%02x", got)
		}
		b.settle(t)
	}
	b.wantLogged(t, "provider_failed", 1)
}
