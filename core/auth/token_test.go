package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// An issuer signs tokens and has its keys on a web server.
type issuer struct {
	*httptest.Server
	t     *testing.T
	ec    *ecdsa.PrivateKey
	rsa   *rsa.PrivateKey
	set   atomic.Pointer[[]byte]
	asked atomic.Int32
}

func newIssuer(t *testing.T) *issuer {
	s := &issuer{t: t}
	var err error
	if s.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if s.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	s.publish(map[string]any{"ec": s.ec.Public(), "rsa": s.rsa.Public()})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		w.Write(*s.set.Load())
	}))
	t.Cleanup(s.Close)
	return s
}

// publish has those be the keys from now on.
func (s *issuer) publish(keys map[string]any) {
	s.t.Helper()
	var set jwkset.JWKSMarshal
	for id, key := range keys {
		k, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id}, Marshal: jwkset.JWKMarshalOptions{Private: true}})
		if err != nil {
			s.t.Fatal(err)
		}
		set.Keys = append(set.Keys, k.Marshal())
	}
	text, err := json.Marshal(set)
	if err != nil {
		s.t.Fatal(err)
	}
	s.set.Store(&text)
}

func (s *issuer) options() Tokens {
	return Tokens{URL: s.URL, Issuer: "https://id.example", Audience: "dormouse", Claim: "sub", RolesClaim: "groups", Algorithms: []string{"ES256", "RS256"}}
}

func claims() jwt.MapClaims {
	return jwt.MapClaims{"iss": "https://id.example", "aud": []string{"dormouse", "other"}, "sub": "ann",
		"exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"ops", "a role", "", "line-1"}}
}

// sign makes a token; with a header of that more, if there is any.
func (s *issuer) sign(m jwt.SigningMethod, key any, c jwt.MapClaims, header map[string]any) string {
	s.t.Helper()
	token := jwt.NewWithClaims(m, c)
	for k, v := range header {
		token.Header[k] = v
	}
	text, err := token.SignedString(key)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// TestHostile67: a token that is not the issuer's, for us, and of now is refused,
// whatever it says of how to find out. The canary, who has a good one, gets in
// before and after each, and is who that says.
func TestHostile67(t *testing.T) {
	s, thief := newIssuer(t), newIssuer(t)
	a := authenticator(t, Options{Anonymous: Anywhere, Tokens: []Tokens{s.options()}, Files: []string{write(t, entry("bob", "b", pbkdf))},
		Lockout: Lockout{Failures: 1, Window: time.Minute, Block: time.Minute}})
	good := s.sign(jwt.SigningMethodES256, s.ec, claims(), map[string]any{"kid": "ec"})
	enter := func(user, token string) (Grant, error) {
		who := calling(user)
		who.Remote = here + ":5"
		return a.Authenticate(Credentials{Identity: who, Password: []byte(token)})
	}
	canary := func() {
		t.Helper()
		for _, user := range []string{"", "whoever"} {
			if g, err := enter(user, good); err != nil || g.User != "ann" || g.Roles != "ops line-1" || !a.Stands(g) || time.Until(g.Until) < 59*time.Minute {
				t.Fatalf("the canary is %+v, %v", g, err)
			}
		}
	}
	canary()
	public, err := x509.MarshalPKIXPublicKey(s.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("known"), 0o600); err != nil {
		t.Fatal(err)
	}
	without := func(name string, more ...any) jwt.MapClaims {
		c := claims()
		delete(c, name)
		if len(more) > 0 {
			c[name] = more[0]
		}
		return c
	}
	es, ec := jwt.SigningMethodES256, map[string]any{"kid": "ec"}
	for name, token := range map[string]string{
		"no signature":               s.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(), ec),
		"cut off":                    good[:strings.LastIndex(good, ".")+1],
		"a shared secret, PEM":       s.sign(jwt.SigningMethodHS256, inPEM, claims(), map[string]any{"kid": "rsa"}),
		"a shared secret, DER":       s.sign(jwt.SigningMethodHS256, public, claims(), map[string]any{"kid": "rsa"}),
		"a shared secret, empty":     s.sign(jwt.SigningMethodHS256, []byte{}, claims(), map[string]any{"kid": "/dev/null"}),
		"an algorithm not wanted":    s.sign(jwt.SigningMethodPS256, s.rsa, claims(), map[string]any{"kid": "rsa"}),
		"another key":                s.sign(es, thief.ec, claims(), ec),
		"a key of another kind":      s.sign(jwt.SigningMethodRS256, s.rsa, claims(), ec),
		"a key by path":              s.sign(es, thief.ec, claims(), map[string]any{"kid": "../../../" + secret}),
		"a key by URL":               s.sign(es, thief.ec, claims(), map[string]any{"kid": thief.URL, "jku": thief.URL, "x5u": thief.URL}),
		"a key of its own":           s.sign(es, thief.ec, claims(), map[string]any{"kid": "own", "jwk": map[string]any{"kty": "EC"}}),
		"a key that is no name":      s.sign(es, thief.ec, claims(), map[string]any{"kid": 7}),
		"no key":                     s.sign(es, s.ec, claims(), nil), // there are two
		"expired":                    s.sign(es, s.ec, without("exp", time.Now().Add(-time.Minute).Unix()), ec),
		"for ever":                   s.sign(es, s.ec, without("exp"), ec),
		"not yet":                    s.sign(es, s.ec, without("nbf", time.Now().Add(time.Minute).Unix()), ec),
		"another issuer":             s.sign(es, s.ec, without("iss", "https://evil.example"), ec),
		"no issuer":                  s.sign(es, s.ec, without("iss"), ec),
		"another audience":           s.sign(es, s.ec, without("aud", "dormous"), ec),
		"no audience":                s.sign(es, s.ec, without("aud"), ec),
		"nobody":                     s.sign(es, s.ec, without("sub"), ec),
		"an empty name":              s.sign(es, s.ec, without("sub", ""), ec),
		"a number for a name":        s.sign(es, s.ec, without("sub", 7), ec),
		"a name that is no text":     s.sign(es, s.ec, without("sub", "ann\x00"), ec),
		"a name with the line's end": s.sign(es, s.ec, without("sub", "ann\nbob"), ec),
		"what is no token":           "a.b.c",
		"dots":                       "..",
	} {
		for _, user := range []string{"", "ann", "bob"} {
			if g, err := enter(user, token); err == nil {
				t.Errorf("%s, as %q: comes in as %+v", name, user, g)
			} else if strings.Contains(err.Error(), token) {
				t.Errorf("%s: the error has the token in it: %v", name, err)
			}
		}
		canary()
	}
	if n, m := s.asked.Load(), thief.asked.Load(); n != 1 || m != 0 {
		t.Errorf("the issuer was asked %d times, the thief %d; want once and never", n, m)
	}
}

// TestIssuersKeys: a key that is new is found, as soon as the issuer may be asked
// again; one that is gone goes; an issuer that does not answer takes nothing away,
// also by a reload.
func TestIssuersKeys(t *testing.T) {
	s := newIssuer(t)
	options := Options{Tokens: []Tokens{s.options()}}
	a := authenticator(t, options)
	var complaints atomic.Int32
	a.Complain = func(error) { complaints.Add(1) }
	enter := func(kid string) error {
		_, err := a.Authenticate(Credentials{Identity: calling(""), Password: []byte(
			s.sign(jwt.SigningMethodES256, s.ec, claims(), map[string]any{"kid": kid}))})
		return err
	}
	later := func(d time.Duration) {
		keys := a.now.Load().keySets[s.URL]
		keys.fetching.Lock()
		keys.asked = keys.asked.Add(-d)
		keys.fetching.Unlock()
	}
	want := func(kid string, want error, asked int32) {
		t.Helper()
		if err := enter(kid); !errors.Is(err, want) || s.asked.Load() != asked {
			t.Errorf("%s: %v, and %d requests; want %v and %d", kid, err, s.asked.Load(), want, asked)
		}
	}
	whole := s.set.Load()
	broken := []byte("no keys")
	s.set.Store(&broken)
	want("ec", ErrBusy, 1)
	want("ec", ErrBusy, 1)
	s.set.Store(whole)
	later(askAtMost)
	want("ec", nil, 2)
	s.publish(map[string]any{"new": s.ec.Public(), "rsa": s.rsa.Public()})
	want("new", ErrToken, 2)
	later(askAtMost)
	want("new", nil, 3)
	want("ec", ErrToken, 3)
	s.set.Store(&broken)
	later(askAtMost)
	want("ec", ErrToken, 4)
	want("new", nil, 4)
	if err := a.Reload(options); err != nil {
		t.Fatal(err)
	}
	want("new", nil, 4)
	if complaints.Load() != 2 {
		t.Errorf("%d complaints, want 2", complaints.Load())
	}
}

// TestKeyWithdrawn: whose token is signed by a key that the issuer has no more goes at
// a reload, however long the token would last. Others stay, and all do while nobody
// knows which keys it has.
func TestKeyWithdrawn(t *testing.T) {
	s := newIssuer(t)
	o := s.options()
	o.URL, o.File = "", filepath.Join(t.TempDir(), "keys.json")
	save := func() {
		if err := os.WriteFile(o.File, *s.set.Load(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save()
	a := authenticator(t, Options{Tokens: []Tokens{o}})
	enter := func(method jwt.SigningMethod, key any, id string) Grant {
		t.Helper()
		g, err := a.Authenticate(caller("", s.sign(method, key, claims(), map[string]any{"kid": id})))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	leaked, kept := enter(jwt.SigningMethodES256, s.ec, "ec"), enter(jwt.SigningMethodRS256, s.rsa, "rsa")
	reload := func(o Tokens, why string, wantLeaked bool) {
		t.Helper()
		if err := a.Reload(Options{Tokens: []Tokens{o}}); err != nil {
			t.Fatal(err)
		}
		if got := a.Stands(leaked); got != wantLeaked {
			t.Errorf("%s: whose key it is stands %v", why, got)
		}
		if !a.Stands(kept) {
			t.Errorf("%s: another does not stand", why)
		}
	}
	reload(o, "with the same keys", true)
	s.publish(map[string]any{"renamed": s.ec.Public(), "rsa": s.rsa.Public()})
	save()
	reload(o, "with the key by another name", true)
	s.publish(map[string]any{"rsa": s.rsa.Public()})
	save()
	reload(o, "with a key withdrawn", false)
	o.URL, o.File = s.URL, ""
	reload(o, "with keys that nobody has asked for yet", true)
}

// TestKeysLeadElsewhere: an issuer on this machine may say that its keys are elsewhere
// on it, and not that they are where what comes can be changed on the way.
func TestKeysLeadElsewhere(t *testing.T) {
	s := newIssuer(t)
	for to, want := range map[string]error{s.URL: nil, strings.Replace(s.URL, "127.0.0.1", "0.0.0.0", 1): ErrBusy} {
		front := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
		defer front.Close()
		o := s.options()
		o.URL = front.URL
		a := authenticator(t, Options{Tokens: []Tokens{o}})
		if _, err := a.Authenticate(caller("", s.sign(jwt.SigningMethodES256, s.ec, claims(), map[string]any{"kid": "ec"}))); !errors.Is(err, want) {
			t.Errorf("with keys that are said to be at %s: %v, want %v", to, err, want)
		}
	}
}

// TestKeysInAFile: keys may be in a file, which a reload reads; what is none
// changes nothing. Secrets, and keys that are too short, sign nothing.
func TestKeysInAFile(t *testing.T) {
	s := newIssuer(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	save := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(*s.set.Load())
	tokens := s.options()
	tokens.URL, tokens.File = "", file
	options := Options{Tokens: []Tokens{tokens}}
	a := authenticator(t, options)
	good := []byte(s.sign(jwt.SigningMethodES256, s.ec, claims(), map[string]any{"kid": "ec"}))
	short, err := jwkset.NewJWKFromKey([]byte("a secret that is shared"), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "ec"}, Marshal: jwkset.JWKMarshalOptions{Private: true}})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{short.Marshal()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{nil, []byte("{}"), []byte(`{"keys":[]}`), []byte("keys"), shared} {
		save(text)
		if err := a.Reload(options); err == nil || !strings.HasPrefix(err.Error(), file) {
			t.Errorf("with %q: %v", text, err)
		}
		if g, err := a.Authenticate(Credentials{Identity: calling(""), Password: good}); err != nil || g.User != "ann" {
			t.Errorf("with a good token: %v", err)
		}
	}
}
