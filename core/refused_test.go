package core

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestRefusalsAreLogged once in an attachment, and who without a session is
// refused each time: who it was, what for, and by what listener. What is allowed
// is not.
func TestRefusalsAreLogged(t *testing.T) {
	var log bytes.Buffer
	r := rules{forbidden: []string{"ann publish secret", "bob subscribe secret", " publish secret"}}
	w := newWorld(t, r.options, func(o *Options) { o.Log = zerolog.New(&log) })
	wantLog := func(after string, want ...string) {
		t.Helper()
		var got []string
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "_refused") {
				got = append(got, line)
			}
		}
		log.Reset()
		if len(got) != len(want) {
			t.Fatalf("after %s the log has %q, want %d lines", after, got, len(want))
		}
		for i, line := range got {
			if !strings.Contains(line, want[i]) {
				t.Errorf("after %s the log has %s, want %s in it", after, line, want[i])
			}
		}
	}
	ann := w.as("u1", "ann", SessionOptions{Expiry: Forever})
	for _, topic := range []string{"open", "secret/a", "secret/b"} {
		ann.Publish(Message{Topic: topic}, 0, func(error) {})
	}
	wantLog("a publish", `"event":"publish_refused","client":"ann","user":"u1","listener":"","remote":"","topic":"secret/a"`)
	ann.opensAgain(SessionOptions{Expiry: Forever})
	ann.Publish(Message{Topic: "secret/b"}, 0, func(error) {})
	wantLog("another in a new connection", `"topic":"secret/b"`)

	bob := w.comes("bob").subscribes("open")
	bob.subscribe1(Subscription{Filter: "$share/g/secret/#"})
	bob.subscribe1(Subscription{Filter: "secret/#"})
	wantLog("a subscribe", `"event":"subscribe_refused","client":"bob","user":"","listener":"","remote":"","topic":"$share/g/secret/#"`)

	from := Identity{Edge: "mqttsn", Listener: "sn", Remote: "192.0.2.1:7"}
	w.Publish(from, Message{Topic: "open"}, func(error) {})
	w.Publish(from, Message{Topic: "secret/" + strings.Repeat("x", 1000)}, func(error) {})
	wantLog("a publish without a session", fmt.Sprintf(`"listener":"sn","remote":"192.0.2.1:7","topic":"secret/%s"`, strings.Repeat("x", longestShown-len("secret/"))))
	for range 1000 {
		w.Publish(from, Message{Topic: "secret/a"}, func(error) {})
	}
	if n := strings.Count(log.String(), "publish_refused"); n > 60 {
		t.Errorf("a flood has %d lines in the log", n)
	}
}
