package mqtt

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"dormouse/core"
	"dormouse/core/auth"
)

type coreOptions = core.Options

// A transcript is a log to read while it is written.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// logTo logs everything there is.
func logTo(s *transcript) func(*core.Options, *Options) {
	return func(co *core.Options, o *Options) {
		co.Log = zerolog.New(s).Level(zerolog.TraceLevel)
		o.Log = co.Log
	}
}

// TestNoSecretsInLog: neither a password nor a payload is logged, plain or in
// base64, whatever becomes of the client.
func TestNoSecretsInLog(t *testing.T) {
	t.Parallel()
	const password, payload = "correct horse", "battery staple"
	var log transcript
	b := start(t, func(co *core.Options, o *Options) {
		logTo(&log)(co, o)
		o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
			if c.User == "good" && string(c.Password) == password {
				return auth.Grant{Identity: c.Identity}, nil
			}
			return auth.Grant{}, auth.ErrBad
		}
	})
	login := func(user string) func(pk *packets.Packet) {
		return func(pk *packets.Packet) {
			c := &pk.Connect
			c.UsernameFlag, c.Username, c.PasswordFlag, c.Password = true, []byte(user), true, []byte(password)
			c.WillFlag, c.WillTopic, c.WillPayload = true, "will", []byte(payload)
		}
	}
	if _, ack := b.tryConnect(t, 5, "bad", login("bad")); ack.ReasonCode != packets.ErrBadUsernameOrPassword.Code {
		t.Errorf("CONNACK 0x%02x, want 0x86", ack.ReasonCode)
	}
	if _, ack := b.tryConnect(t, 4, "bad", login("bad")); ack.ReasonCode != badUserNameOrPassword {
		t.Errorf("CONNACK 0x%02x, want 0x04", ack.ReasonCode)
	}
	p := b.connect(t, 5, "good", login("good"))
	p.publish("$SYS/no", payload, 1, 1)
	p.expect(packets.Puback)
	p.publish("yes", payload, 2, 2)
	p.expect(packets.Pubrec)
	again := b.connect(t, 5, "good", login("good"))
	p.expectEnd()
	again.raw("32 14 0003 796573 0000 00 | 62617474657279207374 6170") // no Packet Identifier
	again.expectEnd()
	await(t, "the clients to be gone", func() bool { return b.server.Stats().Connections == 0 })

	text := log.String()
	for _, secret := range []string{password, payload, "battery st"} {
		for _, form := range []string{secret, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")} {
			if strings.Contains(text, form) {
				t.Errorf("%q is in the log:\n%s", form, text)
			}
		}
	}
	if !strings.Contains(text, `"event":"connect_refused"`) {
		t.Errorf("the refusal is not in the log:\n%s", text)
	}
	if n := b.server.Stats().Refused.Authentication; n != 2 {
		t.Errorf("%d authentications are counted as failed, want 2", n)
	}
}

// TestMochiLog: what mochi logs passes only if it is an error, and without
// packets.
func TestMochiLog(t *testing.T) {
	var log transcript
	m := newMochi(&Options{Log: zerolog.New(&log)})
	pk := packets.Packet{Payload: []byte("secret")}
	m.Log.Warn("not for us")
	m.Log.Error("first", "packet", pk, "pk", pk, "client", "c1")
	m.Log.With("packet", pk).WithGroup("g").Error("second")
	text := log.String()
	for _, want := range []string{"first", "second", `"client":"c1"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the log:\n%s", want, text)
		}
	}
	for _, not := range []string{"not for us", "secret", "c2VjcmV0"} {
		if strings.Contains(text, not) {
			t.Errorf("%s is in the log:\n%s", not, text)
		}
	}
}
