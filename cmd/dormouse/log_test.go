package main

import (
	"bytes"
	"strings"
	"testing"

	"dormouse/cmd/dormouse/config"
	"dormouse/mqttsn/gateway"
)

// TestHostile69: what a client calls itself can neither steer the terminal
// that shows the log nor make a line of its own.
func TestHostile69(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		c := config.Default()
		c.Log.Format = format
		var b bytes.Buffer
		log := noticeLog(newLog(c, &b))
		log(gateway.Notice{Kind: gateway.HijackAttempt, ClientID: "a\x1b[2J\r\n{\"level\":\"error\"}\u009b2J", Remote: "\u202e\x07é"})
		got := b.String()
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b\r\x07\u009b\u202e") || !strings.Contains(got, "hijack_attempt") {
			t.Errorf("%s: %q; want one line without control characters", format, got)
		}
	}
}

// TestLogLevel leaves out what is less severe than asked for.
func TestLogLevel(t *testing.T) {
	for level, want := range map[string]string{
		"debug": "client_asleep client_connected hijack_attempt",
		"info":  "client_connected hijack_attempt",
		"warn":  "hijack_attempt",
		"error": "",
	} {
		c := config.Default()
		c.Log.Level = level
		var b bytes.Buffer
		log := noticeLog(newLog(c, &b))
		for _, kind := range []gateway.NoticeKind{gateway.ClientAsleep, gateway.ClientConnected, gateway.HijackAttempt} {
			log(gateway.Notice{Kind: kind})
		}
		var got []string
		for line := range strings.Lines(b.String()) {
			_, rest, _ := strings.Cut(line, `"event":"`)
			event, _, _ := strings.Cut(rest, `"`)
			got = append(got, event)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("at level %s the log has %q, want %q", level, s, want)
		}
	}
}
