package auth

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/core"
)

// cheap has hashes that cost nothing, for tests that make many.
var cheap = map[kind]Scheme{
	pbkdf:    {kind: pbkdf, iterations: 7},
	argon2id: {kind: argon2id, iterations: 1, memory: 64, threads: 1},
}

// entry is a line of a password file.
func entry(user, password string, k kind) string {
	h := NewHash(cheap[k], []byte(password))
	return user + ":" + h.String()
}

func authenticator(t *testing.T, o Options) *Authenticator {
	t.Helper()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// login is Authenticate, which must not make another of who comes in.
func (a *Authenticator) login(who core.Identity, password []byte) error {
	as, err := a.Authenticate(Credentials{Identity: who, Password: password})
	if err == nil && as.Identity != who {
		return fmt.Errorf("%+v comes in as %+v", who, as)
	}
	return err
}

func calling(user string) core.Identity {
	return core.Identity{ClientID: "c", User: user, Listener: "open", Remote: "127.0.0.1:5"}
}

// wantHashed wants so many hashes to have been computed since the last time.
func (a *Authenticator) wantHashed(t *testing.T, n uint64, why string) {
	t.Helper()
	if got := a.hashed.Swap(0); got != n {
		t.Errorf("%s: %d hashes were computed, want %d", why, got, n)
	}
}

// TestWithoutName pins from where one may connect without a user name, and
// that a name is believed there, and only there, if nobody can know it.
func TestWithoutName(t *testing.T) {
	file := write(t, entry("ann", "secret", pbkdf))
	const far, near, near6, mapped = "192.0.2.1:5", "127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.9]:5"
	for _, tt := range []struct {
		from     From
		listener string
		remote   string
		want     error
	}{
		{Loopback, "closed", near, nil},
		{Loopback, "closed", near6, nil},
		{Loopback, "closed", mapped, nil},
		{Loopback, "closed", far, ErrNotAllowed},
		{Loopback, "closed", "[2001:db8::1]:5", ErrNotAllowed},
		{Loopback, "closed", "127.0.0.1", ErrNotAllowed}, // no address and port: whence it comes is not known
		{Loopback, "closed", "", ErrNotAllowed},
		{Loopback, "open", far, nil},
		{Anywhere, "closed", far, nil},
		{Nowhere, "closed", near, ErrNotAllowed},
		{Nowhere, "open", near, ErrNotAllowed},
	} {
		for _, files := range [][]string{nil, {file}} {
			a := authenticator(t, Options{Anonymous: tt.from, Open: []string{"open"}, Files: files})
			who := core.Identity{ClientID: "c", Listener: tt.listener, Remote: tt.remote}
			if err := a.login(who, nil); !errors.Is(err, tt.want) {
				t.Errorf("%v without a name with files %v: %v, want %v", tt, files, err, tt.want)
			}
			who.User = "bob"
			want := tt.want
			if files != nil {
				want = ErrBad
			}
			if err := a.login(who, []byte("x")); !errors.Is(err, want) {
				t.Errorf("%v by an unknown name with files %v: %v, want %v", tt, files, err, want)
			}
		}
	}
}

// TestWithName: who has a name has its password, wherever it comes from.
func TestWithName(t *testing.T) {
	first := write(t, entry("ann", "secret", pbkdf), entry("bob", "b", argon2id))
	second := write(t, entry("ann", "other", pbkdf), entry("cat", "c", pbkdf))
	a := authenticator(t, Options{Anonymous: Anywhere, Open: []string{"open"}, Files: []string{first, second}})
	for _, tt := range []struct {
		user, password string
		want           error
	}{
		{"ann", "secret", nil},
		{"ann", "other", ErrBad}, // the first file that knows the name decides
		{"ann", "Secret", ErrBad},
		{"ann", "", ErrBad},
		{"bob", "b", nil},
		{"bob", "b\x00", ErrBad},
		{"cat", "c", nil},
		{"dan", "c", ErrBad},
		{"dan", "", ErrBad},
	} {
		for range 2 { // what is remembered of a password makes no difference
			if err := a.login(calling(tt.user), []byte(tt.password)); !errors.Is(err, tt.want) {
				t.Errorf("%s with password %q: %v, want %v", tt.user, tt.password, err, tt.want)
			}
		}
	}
	nobody := authenticator(t, Options{Anonymous: Anywhere, Files: []string{write(t, "# nobody")}})
	if err := nobody.login(calling("ann"), []byte("secret")); !errors.Is(err, ErrBad) {
		t.Errorf("with a file without users: %v, want %v", err, ErrBad)
	}
}

// TestHostile63: an unknown user is told the same as a wrong password, for the
// same work: one hash that costs what most users' do.
func TestHostile63(t *testing.T) {
	a := authenticator(t, Options{Files: []string{write(t,
		entry("ann", "a", argon2id), entry("bob", "b", pbkdf), entry("cat", "c", argon2id))}})
	wrong := a.login(calling("ann"), []byte("x"))
	a.wantHashed(t, 1, "a wrong password")
	unknown := a.login(calling("dan"), []byte("x"))
	a.wantHashed(t, 1, "an unknown user")
	if wrong != ErrBad || unknown != ErrBad {
		t.Errorf("a wrong password is told %v, an unknown user %v", wrong, unknown)
	}
	us := a.now.Load().users
	if us.nobody.hash.Scheme != us.byName["ann"].hash.Scheme || len(us.nobody.hash.sum) != len(us.byName["ann"].hash.sum) {
		t.Errorf("a hash for an unknown user is of %+v, that of most users of %+v", us.nobody.hash.Scheme, cheap[argon2id])
	}
	for user := range us.byName {
		a.login(calling(user), nil)
	}
	a.login(calling("dan"), nil)
	a.wantHashed(t, 0, "no password at all")
}

// TestHostile64: however many come at once, few hashes are computed at a time;
// who has waited for long is told to come later, and costs nothing.
func TestHostile64(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authenticator(t, Options{Files: []string{write(t, entry("ann", "secret", argon2id))}})
		if cap(a.slots) != runtime.GOMAXPROCS(0) {
			t.Errorf("%d hashes may be computed at once, want %d", cap(a.slots), runtime.GOMAXPROCS(0))
		}
		for range cap(a.slots) { // all are at work, and will not end
			a.slots <- struct{}{}
		}
		const crowd = 5000
		answers := make(chan error, crowd)
		login := func() { answers <- a.login(calling("ann"), []byte("secret")) }
		for range crowd {
			go login()
		}
		time.Sleep(patience - time.Nanosecond)
		if synctest.Wait(); len(answers) > 0 {
			t.Errorf("%d were answered while others were at work", len(answers))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for range crowd {
			if err := <-answers; err != ErrBusy {
				t.Fatalf("who has waited is told %v, want %v", err, ErrBusy)
			}
		}
		a.wantHashed(t, 0, "a crowd")
		if n := a.busy.Load(); n != crowd {
			t.Errorf("%d are counted as told to come later, want %d", n, crowd)
		}

		go login()
		synctest.Wait()
		a.leave()
		if err := <-answers; err != nil {
			t.Errorf("who had its turn is told %v", err)
		}
	})
}

// TestRemembered: a password that was right costs no hash for five minutes;
// one that is wrong always does.
func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := write(t, entry("ann", "secret", pbkdf), entry("annx", "secre", pbkdf))
		a := authenticator(t, Options{Files: []string{file}})
		login := func(user, password string, want error, hashes uint64) {
			t.Helper()
			if err := a.login(calling(user), []byte(password)); err != want {
				t.Errorf("%s with %q: %v, want %v", user, password, err, want)
			}
			a.wantHashed(t, hashes, user+" with "+password)
		}
		login("ann", "secret", nil, 1)
		login("ann", "secret", nil, 0)
		login("ann", "wrong", ErrBad, 1)
		login("ann", "wrong", ErrBad, 1)
		login("annx", "secret", ErrBad, 1)
		login("ann", "secret", nil, 0)
		time.Sleep(remembered - time.Nanosecond)
		login("ann", "secret", nil, 0)
		time.Sleep(time.Nanosecond)
		login("ann", "secret", nil, 1)

		rewrite(t, file, entry("ann", "changed", pbkdf))
		login("ann", "secret", nil, 0)
		if err := a.Reload(a.now.Load().Options); err != nil {
			t.Fatal(err)
		}
		login("ann", "secret", ErrBad, 1)
		login("annx", "secre", ErrBad, 1)
		login("ann", "changed", nil, 1)
	})
}

// TestFigures counts each password shown, once.
func TestFigures(t *testing.T) {
	w := newWeb(t, `{"result": "ignore"}`)
	hook := w.hook()
	hook.After, hook.Next = 1, true
	a := authenticator(t, Options{Anonymous: Anywhere, Files: []string{write(t, entry("ann", "a", pbkdf))}, Hooks: []Hook{hook}})
	for _, password := range []string{"a", "a", "a", "wrong", ""} {
		a.login(calling("ann"), []byte(password))
	}
	a.login(calling(""), nil)
	for _, says := range []string{`{"result": "ignore"}`, `{"result": "deny"}`, `{"result": "allow"}`, "", "no need to ask again"} {
		w.says.Store(&says)
		password := []byte("b")
		if len(says) == 0 {
			password = nil // which is hashed for nobody
		}
		a.login(calling("bob"), password)
	}
	got := map[string]uint64{}
	a.Each(func(name, _, label string, value uint64) { got[name+"{"+label+"}"] = value })
	want := map[string]uint64{`dormouse_password_checks_total{by="hash"}`: 3,
		`dormouse_hook_answers_total{answer="allow"}`: 1, `dormouse_hook_answers_total{answer="deny"}`: 1, `dormouse_hook_answers_total{answer="ignore"}`: 1,
		`dormouse_hook_answers_total{answer="memory"}`: 1, `dormouse_hook_answers_total{answer="none"}`: 1,
		`dormouse_password_checks_total{by="memory"}`: 2, `dormouse_password_checks_total{by="none"}`: 0, "dormouse_locked_out_total{}": 0}
	if !maps.Equal(got, want) {
		t.Errorf("the figures are %v, want %v", got, want)
	}
}

// TestReload: a file with a mistake in it does not replace a good one, nor is
// what is right in it, or in another, taken over.
func TestReload(t *testing.T) {
	first, second := write(t, entry("ann", "a", pbkdf)), write(t, entry("bob", "b", pbkdf))
	a := authenticator(t, Options{Files: []string{first, second}})
	rewrite(t, first, entry("cat", "c", pbkdf))
	rewrite(t, second, entry("bob", "new", pbkdf), "dan:plain")
	err := a.Reload(a.now.Load().Options)
	if want := second + ":2: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Reload says %v, want %s", err, want)
	}
	for user, password := range map[string]string{"ann": "a", "bob": "b"} {
		if err := a.login(calling(user), []byte(password)); err != nil {
			t.Errorf("after a reload that failed %s is told: %v", user, err)
		}
	}
	if err := a.login(calling("cat"), []byte("c")); err != ErrBad {
		t.Errorf("after a reload that failed, one user of it is told %v, want %v", err, ErrBad)
	}
	if _, err := New(Options{Files: []string{first, second}}); err == nil {
		t.Error("New accepts a file with a mistake in it")
	}
}

// TestTogether lets logins and reloads meet, for the race detector.
func TestTogether(t *testing.T) {
	file := write(t, entry("ann", "a", argon2id), entry("bob", "b", pbkdf))
	a := authenticator(t, Options{Files: []string{file}})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if err := a.login(calling("ann"), []byte("a")); err != nil {
					t.Error(err)
				}
				if err := a.login(calling("bob"), []byte("x")); err != ErrBad {
					t.Error(err)
				}
				if err := a.Reload(a.now.Load().Options); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkHash(b *testing.B) {
	for name, s := range Schemes {
		h := NewHash(s, []byte("secret"))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Matches([]byte("secret"))
			}
		})
	}
}

// TestStands: who is connected may stay as long as he might come in again.
func TestStands(t *testing.T) {
	file := write(t, entry("ann", "a", pbkdf), entry("bob", "b", pbkdf), entry("cat", "c", pbkdf))
	options := Options{Anonymous: Anywhere, Files: []string{file}}
	a := authenticator(t, options)
	grant := func(user, password string) Grant {
		g, err := a.Authenticate(Credentials{Identity: calling(user), Password: []byte(password)})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	grants := map[string]Grant{"ann": grant("ann", "a"), "bob": grant("bob", "b"), "cat": grant("cat", "c"), "": grant("", "")}
	stand := func(when string, want ...string) {
		t.Helper()
		for user, g := range grants {
			if got := a.Stands(g); got != slices.Contains(want, user) {
				t.Errorf("%s %q may stay: %v", when, user, got)
			}
		}
	}
	stand("at first", "ann", "bob", "cat", "")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	rewrite(t, file, lines[0], entry("bob", "new", pbkdf))
	if err := a.Reload(options); err != nil {
		t.Fatal(err)
	}
	stand("with another file", "ann", "")
	options.Anonymous = Nowhere
	if err := a.Reload(options); err != nil {
		t.Fatal(err)
	}
	stand("where names are wanted", "ann")
	options.Files = nil
	if err := a.Reload(options); err != nil {
		t.Fatal(err)
	}
	stand("where nobody knows names")
}
