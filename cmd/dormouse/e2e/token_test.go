package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/golang-jwt/jwt/v5"
)

// TestHostile67Tokens: Eclipse Paho's client shows a token whose issuer has its
// keys on a web server, and is who that says, with its role. When the token
// expires it is disconnected; one that is not the issuer's is refused; none is
// logged.
func TestHostile67Tokens(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	id := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{public.Marshal()}})
	}))
	t.Cleanup(id.Close)
	token := func(m jwt.SigningMethod, key any, lasts time.Duration) string {
		t.Helper()
		token := jwt.NewWithClaims(m, jwt.MapClaims{"iss": "id", "aud": "dormouse", "sub": "ann", "groups": "ops",
			"exp": time.Now().Add(lasts).Unix()})
		token.Header["kid"] = "k"
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	b := start(t, fmt.Sprintf("auth.providers=[{type: jwt, jwks_url: %q, issuer: id, audience: dormouse, roles_claim: groups}]", id.URL),
		"auth.anonymous.enabled=false", `acl.rules=[{role: ops, allow: all, topic: "{identity}/#"}]`)
	as := func(token string) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) { o.SetUsername("unused").SetPassword(token) }
	}
	good := token(jwt.SigningMethodES256, key, time.Hour)
	canary := b.mqtt3(t, "canary", as(good))
	canary.subscribe("ann/#", 1)
	brief := b.mqtt3(t, "brief", as(token(jwt.SigningMethodES256, key, -8*time.Second))) // 2 s are left of what clocks may differ
	brief.publish("ann/a", "still here", 1, false)
	want(t, canary.receive(), message{"ann/a", "still here", 1, false})
	forged := token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, time.Hour)
	for _, bad := range []string{forged, good + "x", token(jwt.SigningMethodES256, key, -time.Minute), "secret"} {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + b.tcp.String()).SetClientID("bad").SetProtocolVersion(4).SetAutoReconnect(false)
		as(bad)(o)
		try := mqtt.NewClient(o).Connect()
		if !try.WaitTimeout(patience) || !errors.Is(try.Error(), packets.ErrorRefusedBadUsernameOrPassword) {
			t.Errorf("%s is answered by %v", bad, try.Error())
		}
	}
	await(t, brief.lost, "the end of whose token has expired")
	canary.publish("ann/b", "undisturbed", 1, false)
	want(t, canary.receive(), message{"ann/b", "undisturbed", 1, false})
	for part := range strings.SplitSeq(good, ".") {
		if strings.Contains(b.log.String(), part) {
			t.Errorf("a token is in the log:\n%s", b.log)
		}
	}
}
