package auth

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"dormouse/core"
)

// A web is a web server that says the same to everybody.
type web struct {
	*httptest.Server
	says  atomic.Pointer[string]
	asked atomic.Int32
	heard atomic.Pointer[string] // the last question
}

func newWeb(t *testing.T, says string) *web {
	w := new(web)
	w.says.Store(&says)
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	return w
}

func (w *web) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	w.asked.Add(1)
	body, _ := io.ReadAll(r.Body)
	heard := r.Method + " " + r.URL.String() + " " + r.Header.Get("Content-Type") + " " + string(body)
	w.heard.Store(&heard)
	io.WriteString(to, *w.says.Load())
}

func (w *web) hook() Hook {
	return Hook{URL: w.URL + "/mqtt?key=hush", Timeout: patienceOfTests, Cache: time.Minute}
}

const patienceOfTests = 10 * time.Second

func caller(user, password string) Credentials {
	who := calling(user)
	who.Remote = "[::ffff:192.0.2.7]:5"
	return Credentials{Identity: who, Password: []byte(password)}
}

// TestHookAnswers: what a hook is asked, and what becomes of the client by what it
// says.
func TestHookAnswers(t *testing.T) {
	w := newWeb(t, "")
	soon := time.Now().Add(time.Hour).Unix()
	for _, tt := range []struct {
		user, says string
		want       Grant
		err        error
	}{
		{"ann", `{"result": "allow"}`, Grant{Identity: core.Identity{User: "ann"}}, nil},
		{"ann", `{"result": "allow", "is_superuser": true, "user": "bob", "roles": ["ops", "no role", "line-1"]}`, Grant{Identity: core.Identity{User: "bob", Roles: "ops line-1"}}, nil},
		{"", `{"result": "allow", "user": "bob"}`, Grant{Identity: core.Identity{User: "bob"}}, nil},
		{"ann", fmt.Sprintf(`{"result": "allow", "expire_at": %d}`, soon), Grant{Identity: core.Identity{User: "ann"}, Proof: Proof{Until: time.Unix(soon, 0)}}, nil},
		{"ann", `{"result": "deny", "user": "bob"}`, Grant{}, ErrBad},
		{"ann", `{"result": "ignore"}`, Grant{}, ErrBad}, // nobody else knows it
	} {
		hook := w.hook()
		a := authenticator(t, Options{Anonymous: Anywhere, Hooks: []Hook{hook}})
		w.says.Store(&tt.says)
		g, err := a.Authenticate(caller(tt.user, "p\u00e4ss\"<"))
		if !errors.Is(err, tt.err) {
			t.Errorf("%s of %q: %v, want %v", tt.says, tt.user, err, tt.err)
		}
		if err == nil && !a.Stands(g) {
			t.Errorf("%s: whoever is let in does not stay so", tt.says)
		}
		if g.User != tt.want.User || g.Roles != tt.want.Roles || !g.Until.Equal(tt.want.Until) || err == nil && g.ClientID != "c" {
			t.Errorf("%s of %q: %+v, want %+v", tt.says, tt.user, g, tt.want)
		}
		text, ok := strings.CutPrefix(*w.heard.Load(), "POST /mqtt?key=hush application/json ")
		var heard map[string]string
		if err := json.Unmarshal([]byte(text), &heard); err != nil || !ok {
			t.Fatalf("it is asked %s: %v", *w.heard.Load(), err)
		}
		if got, want := fmt.Sprint(heard), fmt.Sprint(map[string]string{"client_id": "c", "user": tt.user, "password": "p\u00e4ss\"<", "listener": "open", "address": "192.0.2.7"}); got != want {
			t.Errorf("it is asked\n%s, want\n%s", got, want)
		}
	}
}

// TestHookIsNotAsked about clients without a name and a password, and passwords
// that JSON cannot hold.
func TestHookIsNotAsked(t *testing.T) {
	w := newWeb(t, `{"result": "allow", "user": "x"}`)
	a := authenticator(t, Options{Anonymous: Anywhere, Hooks: []Hook{w.hook()}})
	if g, err := a.Authenticate(caller("", "")); err != nil || g.User != "" {
		t.Errorf("without a name: %+v, %v", g, err)
	}
	if _, err := a.Authenticate(caller("ann", "\xff")); !errors.Is(err, ErrBad) {
		t.Errorf("with a password that is no text: %v", err)
	}
	if n := w.asked.Load(); n != 0 {
		t.Errorf("the web server is asked %d times", n)
	}
}

// TestProvidersInOrder: files and hooks are asked in the order that they have, and
// the first that knows the name decides.
func TestProvidersInOrder(t *testing.T) {
	w := newWeb(t, `{"result": "ignore"}`)
	hook := w.hook()
	hook.After = 1
	first, second := write(t, entry("ann", "first", pbkdf)), write(t, entry("ann", "second", pbkdf), entry("bob", "b", pbkdf))
	a := authenticator(t, Options{Files: []string{first, second}, Hooks: []Hook{hook}})
	say := func(says string, want map[string]error) {
		t.Helper()
		w.says.Store(&says)
		for login, want := range want {
			user, password, _ := strings.Cut(login, ":")
			g, err := a.Authenticate(caller(user, password))
			if !errors.Is(err, want) || err == nil && (g.User != user || !a.Stands(g)) {
				t.Errorf("%s with %s: %+v, %v, want %v", login, says, g, err, want)
			}
		}
	}
	say(`{"result": "ignore"}`, map[string]error{"ann:first": nil, "ann:second": ErrBad, "bob:b": nil, "bob:x": ErrBad, "cat:c": ErrBad})
	if n := w.asked.Load(); n != 3 {
		t.Errorf("it is asked %d times, want about bob twice and cat once", n)
	}
	say(`{"result": "deny"}`, map[string]error{"ann:first": nil, "ann:x": ErrBad, "bob:b": ErrBad})
	say(`{"result": "allow"}`, map[string]error{"ann:x": ErrBad, "bob:x": nil, "cat:c": nil})
}

// TestHookFails: an answer that is none lets nobody in and is no wrong password.
// With Next others are asked, and whom none of them knows is told the same. The
// log has no secret, and is not flooded.
func TestHookFails(t *testing.T) {
	elsewhere := newWeb(t, `{"result": "allow"}`)
	var answer atomic.Pointer[http.HandlerFunc]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	t.Cleanup(s.Close)
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			io.WriteString(w, `{"result": "allow"}`)
		}
	}
	file := write(t, entry("bob", "b", pbkdf))
	for name, h := range map[string]http.HandlerFunc{
		"nothing":             text(""),
		"no JSON":             text("allow"),
		"no object":           text(`"allow"`),
		"no result":           text(`{"user": "ann"}`),
		"another result":      text(`{"result": "Allow"}`),
		"two answers":         text(`{"result": "allow"}{"result": "allow"}`),
		"roles that are none": text(`{"result": "allow", "roles": "ops"}`),
		"a name that is none": text(`{"result": "allow", "user": "a\u0000"}`),
		"too long a name":     text(`{"result": "allow", "user": "` + strings.Repeat("a", maxName+1) + `"}`),
		"a time that is over": text(`{"result": "allow", "expire_at": 1}`),
		"milliseconds":        text(fmt.Sprintf(`{"result": "allow", "expire_at": %d}`, time.Now().Add(time.Hour).UnixMilli())), // or it would never go
		"a long answer":       text(`{"result": "allow"}` + strings.Repeat(" ", maxAnswer)),
		"a long header":       status(200, "X", strings.Repeat("x", 2*maxHeader)),
		"an error":            status(500),
		"not found":           status(404),
		"created":             status(201),
		"elsewhere":           status(302, "Location", elsewhere.URL),
		"elsewhere by POST":   status(307, "Location", elsewhere.URL),
		"wants a password":    status(401, "WWW-Authenticate", "Basic"),
		"the end in the middle": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			io.WriteString(w, `{"result": "allow"}`)
		},
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		answer.Store(&h)
		for _, next := range []bool{false, true} {
			var complaints []string
			hook := Hook{URL: strings.Replace(s.URL, "http://", "http://us:secret@", 1) + "/a?key=hush", Timeout: patienceOfTests, Cache: time.Minute, Next: next}
			a := authenticator(t, Options{Anonymous: Anywhere, Files: []string{file}, Hooks: []Hook{hook}, Lockout: Lockout{Failures: 1, Window: time.Minute, Block: time.Minute}})
			a.Complain = func(err error) { complaints = append(complaints, err.Error()) }
			for range 3 {
				if _, err := a.Authenticate(caller("ann", "pass")); !errors.Is(err, ErrBusy) {
					t.Errorf("%s: %v, want %v", name, err, ErrBusy)
				}
			}
			want := ErrBusy
			if next {
				want = nil
			}
			if g, err := a.Authenticate(caller("bob", "b")); !errors.Is(err, want) {
				t.Errorf("%s, with a password file behind it: %+v, %v, want %v", name, g, err, want)
			}
			if len(complaints) != 1 || !strings.HasPrefix(complaints[0], "the web server at "+s.URL+"/a: ") {
				t.Errorf("%s: the log has %q", name, complaints)
			}
			for _, secret := range []string{"secret", "hush", "pass", "us:"} {
				if strings.Contains(fmt.Sprint(complaints), secret) {
					t.Errorf("%s: %q is in the log: %q", name, secret, complaints)
				}
			}
		}
	}
	if n := elsewhere.asked.Load(); n != 0 {
		t.Errorf("a password is sent elsewhere %d times", n)
	}
}

// A script is a way to a web server in virtual time.
type script func() (status int, says string)

func (s script) RoundTrip(*http.Request) (*http.Response, error) {
	status, says := s()
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(says))}, nil
}

// TestHookIsRemembered: whom it has let in comes in again without a question for as
// long as the cache says, and not beyond expire_at, if all that it is asked is the
// same. Nothing else is remembered, and nothing beyond a reload.
func TestHookIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, says, status := 0, `{"result": "allow", "user": "bob", "roles": ["ops"]}`, 200
		options := Options{Hooks: []Hook{{URL: "https://hook.example", Timeout: time.Second, Cache: time.Minute}}}
		a := authenticator(t, options)
		stage := func() {
			a.now.Load().providers[0].(*hook).client.Transport = script(func() (int, string) { asked++; return status, says })
		}
		stage()
		want := func(why string, c Credentials, n int, want error) {
			t.Helper()
			asked = 0
			g, err := a.Authenticate(c)
			if asked != n || !errors.Is(err, want) || err == nil && (g.User != "bob" || g.Roles != "ops" || g.Remote != c.Remote) {
				t.Errorf("%s: %d questions, %+v, %v; want %d, %v", why, asked, g, err, n, want)
			}
		}
		ann := caller("ann", "p")
		want("the first time", ann, 1, nil)
		want("again", ann, 0, nil)
		port := ann
		port.Remote = "192.0.2.7:6"
		want("from another port", port, 0, nil)
		for why, change := range map[string]func(*Credentials){
			"another password":          func(c *Credentials) { c.Password = []byte("q") },
			"another user":              func(c *Credentials) { c.User = "an" },
			"another client id":         func(c *Credentials) { c.ClientID = "d" },
			"another listener":          func(c *Credentials) { c.Listener = "x" },
			"another address":           func(c *Credentials) { c.Remote = "192.0.2.8:5" },
			"the same in another order": func(c *Credentials) { c.User, c.Password = "p", []byte("ann") },
		} {
			other := ann
			change(&other)
			want(why, other, 1, nil)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		status = 500
		want("at the end of a minute, with the web server down", ann, 0, nil)
		time.Sleep(time.Nanosecond)
		want("then", ann, 1, ErrBusy)
		want("after that", ann, 1, ErrBusy)
		status, says = 200, `{"result": "deny"}`
		want("refused", ann, 1, ErrBad)
		want("refused again", ann, 1, ErrBad)
		says = fmt.Sprintf(`{"result": "allow", "user": "bob", "roles": ["ops"], "expire_at": %d}`, time.Now().Add(10*time.Second).Unix())
		want("for a while", ann, 1, nil)
		want("for a while, again", ann, 0, nil)
		time.Sleep(10 * time.Second)
		want("after that while", ann, 1, ErrBusy)
		says = `{"result": "allow", "user": "bob", "roles": ["ops"]}`
		want("without end", ann, 1, nil)
		if err := a.Reload(options); err != nil {
			t.Fatal(err)
		}
		stage()
		want("after a reload", ann, 1, nil)
		options.Hooks[0].Cache = 0
		if err := a.Reload(options); err != nil {
			t.Fatal(err)
		}
		stage()
		want("without a cache", ann, 1, nil)
		want("without a cache, again", ann, 1, nil)
		if n := len(a.now.Load().providers[0].(*hook).fresh); n > 0 {
			t.Errorf("without a cache %d answers are kept", n)
		}
	})
}

// TestHookRemembersSoMany: the newest, and not without bound; and of each no password.
func TestHookRemembersSoMany(t *testing.T) {
	s, now := newAnswers(), time.Now()
	key := func(i int) answerKey { return answerKey{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range 5 * answersHalf / 2 {
		s.keep(key(i), answer{}, now.Add(time.Minute))
		if n := len(s.fresh) + len(s.old); n > 2*answersHalf {
			t.Fatalf("%d are kept", n)
		}
	}
	for i, want := range map[int]bool{0: false, 3 * answersHalf / 2: true, 5*answersHalf/2 - 1: true} {
		if _, found := s.find(key(i), now); found != want {
			t.Errorf("answer %d is kept: %v", i, found)
		}
	}
}

// TestHookStands: whom a hook has let in stays while that hook is asked, and goes
// with it.
func TestHookStands(t *testing.T) {
	w := newWeb(t, `{"result": "allow"}`)
	file := write(t, entry("ann", "a", pbkdf))
	a := authenticator(t, Options{Anonymous: Anywhere, Hooks: []Hook{w.hook()}})
	g, err := a.Authenticate(caller("ann", "a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		hook  Hook
		files []string
		want  bool
	}{{w.hook(), nil, true}, {Hook{URL: w.URL + "/other"}, []string{file}, false}, {w.hook(), []string{file}, true}} {
		if err := a.Reload(Options{Anonymous: Anywhere, Hooks: []Hook{tt.hook}, Files: tt.files}); err != nil {
			t.Fatal(err)
		}
		if got := a.Stands(g); got != tt.want {
			t.Errorf("with %s and files %v: stands %v", tt.hook.URL, tt.files, got)
		}
	}
}

// TestHookAuthorities: a hook is believed by the authorities in a file, and by none
// but those; a file that is none is named.
func TestHookAuthorities(t *testing.T) {
	w := newWeb(t, `{"result": "allow"}`)
	s := httptest.NewTLSServer(w)
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]error{file: nil, "": ErrBusy} {
		a := authenticator(t, Options{Hooks: []Hook{{URL: s.URL, Timeout: patienceOfTests, CAFile: ca}}})
		if _, err := a.Authenticate(caller("ann", "a")); !errors.Is(err, want) {
			t.Errorf("with %q: %v, want %v", ca, err, want)
		}
	}
	for _, bad := range []string{file + "x", write(t, "no certificate")} {
		if _, err := New(Options{Hooks: []Hook{{URL: s.URL, CAFile: bad}}}); err == nil || !strings.HasPrefix(err.Error(), bad) {
			t.Errorf("with %s: %v", bad, err)
		}
	}
}

// TestHookHangsUp: a web server that ends a connection when it is asked the next
// question by it is asked again.
func TestHookHangsUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				if r, err := http.ReadRequest(in); err == nil {
					io.Copy(io.Discard, r.Body)
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"result\": \"allow\"}")
					in.ReadByte() // of the next question
				}
			}()
		}
	}()
	a := authenticator(t, Options{Hooks: []Hook{{URL: "http://" + l.Addr().String(), Timeout: patienceOfTests}}})
	for range 10 {
		if _, err := a.Authenticate(caller("ann", "a")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHookAtTheEnd: Close waits for no hook.
func TestHookAtTheEnd(t *testing.T) {
	hang, asked := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(asked); <-hang }))
	defer s.Close()
	defer close(hang)
	a := authenticator(t, Options{Hooks: []Hook{{URL: s.URL, Timeout: time.Hour}}})
	a.Complain = func(err error) { t.Errorf("there is a complaint: %v", err) }
	ended := make(chan error)
	go func() {
		_, err := a.Authenticate(caller("ann", "a"))
		ended <- err
	}()
	<-asked
	a.Close()
	if err := <-ended; !errors.Is(err, ErrBusy) {
		t.Errorf("whoever waited is told %v, want %v", err, ErrBusy)
	}
}

// A counted way knows how many have been on it at once.
type counted struct {
	http.RoundTripper
	now  atomic.Int32
	most *atomic.Int32
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	defer c.now.Add(-1)
	n := c.now.Add(1)
	for before := c.most.Load(); n > before && !c.most.CompareAndSwap(before, n); before = c.most.Load() {
	}
	return c.RoundTripper.RoundTrip(r)
}

// TestF23HookHangs: a hook that says nothing has no more than so many questions, and
// those that it is asked about are told so when their time is over; nobody else
// waits: neither who is remembered, nor who is in a file before it, nor who has a
// certificate or none.
func TestF23HookHangs(t *testing.T) {
	t.Parallel()
	var hanging, most atomic.Int32
	var asking sync.WaitGroup
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q question
		json.NewDecoder(r.Body).Decode(&q)
		if q.User == "known" {
			io.WriteString(w, `{"result": "allow"}`)
			return
		}
		hanging.Add(1)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	slow := Hook{URL: s.URL, After: 1, Timeout: 2 * time.Second, Cache: time.Hour}
	a := authenticator(t, Options{Anonymous: Anywhere, Files: []string{write(t, entry("ann", "a", pbkdf)), write(t, entry("eve", "e", pbkdf))}, Hooks: []Hook{slow}})
	if _, err := a.Authenticate(caller("known", "k")); err != nil {
		t.Fatal(err)
	}
	h := a.now.Load().providers[1].(*hook)
	h.client.Transport = &counted{RoundTripper: h.client.Transport, most: &most}
	const clients = 3 * hooksAtOnce
	var told atomic.Int32
	for i := range clients {
		asking.Go(func() {
			if _, err := a.Authenticate(caller(fmt.Sprint("c", i), "p")); errors.Is(err, ErrBusy) {
				told.Add(1)
			}
		})
	}
	for hanging.Load() < hooksAtOnce && told.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for _, c := range []Credentials{caller("known", "k"), caller("ann", "a"), caller("", "")} {
		if g, err := a.Authenticate(c); err != nil || g.User != c.User {
			t.Errorf("%q meanwhile: %+v, %v", c.User, g, err)
		}
	}
	asking.Wait()
	if n := told.Load(); n != clients {
		t.Errorf("%d of %d are told that nobody knows", n, clients)
	}
	if n := most.Load(); n > hooksAtOnce {
		t.Errorf("%d questions at once, want %d at most", n, hooksAtOnce)
	}
	if _, err := a.Authenticate(caller("eve", "e")); !errors.Is(err, ErrBusy) {
		t.Errorf("who is in a file behind it: %v, want %v", err, ErrBusy)
	}
	close(hang)
}

// listenAt listens where a server was.
func listenAt(t *testing.T, at string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestF23KeysOutOfReach: an issuer that does not say its keys, or hangs, costs only
// those that need one of them that is not known.
func TestF23KeysOutOfReach(t *testing.T) {
	s := newIssuer(t)
	hang, asked := make(chan struct{}), make(chan struct{}, 1)
	var slow atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if slow.Load() {
			asked <- struct{}{}
			<-hang
			return
		}
		w.Write(*s.set.Load())
	}))
	url := front.URL
	front.Close() // nobody is there at the start
	tokens := s.options()
	tokens.URL = url
	a := authenticator(t, Options{Anonymous: Anywhere, Files: []string{write(t, entry("bob", "b", pbkdf))}, Tokens: []Tokens{tokens}})
	enter := func(kid string) error {
		_, err := a.Authenticate(caller("", s.sign(jwt.SigningMethodES256, s.ec, claims(), map[string]any{"kid": kid})))
		return err
	}
	others := func(when string) {
		t.Helper()
		if _, err := a.Authenticate(caller("bob", "b")); err != nil {
			t.Errorf("%s: who has a password: %v", when, err)
		}
	}
	later := func() {
		keys := a.now.Load().keySets[url]
		keys.fetching.Lock()
		keys.asked = keys.asked.Add(-askAtMost)
		keys.fetching.Unlock()
	}
	if err := enter("ec"); !errors.Is(err, ErrBusy) {
		t.Errorf("at the start: %v, want %v", err, ErrBusy)
	}
	others("at the start")

	l := listenAt(t, url)
	front = &httptest.Server{Listener: l, Config: &http.Server{Handler: front.Config.Handler}}
	front.Start()
	defer front.Close()
	later()
	if err := enter("ec"); err != nil {
		t.Errorf("as soon as the issuer is there: %v", err)
	}

	slow.Store(true)
	later()
	ended := make(chan error)
	go func() { ended <- enter("new") }()
	<-asked
	if err := enter("ec"); err != nil {
		t.Errorf("by a key that is known, while the issuer hangs: %v", err)
	}
	others("while the issuer hangs")
	close(hang)
	if err := <-ended; !errors.Is(err, ErrToken) {
		t.Errorf("by a key that nobody says: %v, want %v", err, ErrToken)
	}
}

// TestHookIsLetGo: of a web server that takes connections and then says nothing, not
// even of TLS, none is kept for longer than a question may take: there would be ever
// more of them.
func TestHookIsLetGo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := authenticator(t, Options{Hooks: []Hook{{URL: "https://" + l.Addr().String(), Timeout: 100 * time.Millisecond}}})
	for range 3 {
		if _, err := a.Authenticate(caller("ann", "a")); !errors.Is(err, ErrBusy) {
			t.Fatalf("the client is told %v, want %v", err, ErrBusy)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(patienceOfTests / 2)) // what Go gives TLS by itself is 10 s
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("the question is over, but not the connection: %v", err)
		}
	}
}
