package e2e

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// mosquittoPub publishes with mosquitto_pub and waits for it to end.
func (b *broker) mosquittoPub(t testing.TB, topic, payload string, qos int, more ...string) {
	t.Helper()
	mosquittoPub(t, b.tcp, topic, payload, qos, more...)
}

func mosquittoPub(t testing.TB, to netip.AddrPort, topic, payload string, qos int, more ...string) {
	t.Helper()
	args := append([]string{"-h", to.Addr().String(), "-p", port(to), "-t", topic, "-m", payload, "-q", strconv.Itoa(qos)}, more...)
	if status, _, stderr := runProgram(t, "", "mosquitto_pub", args...); status != 0 {
		t.Fatalf("mosquitto_pub ends with status %d: %s", status, stderr)
	}
}

// mosquittoSub starts mosquitto_sub and returns once it is subscribed. It runs
// until the test ends.
func (b *broker) mosquittoSub(t testing.TB, filter string, qos int, more ...string) inbox {
	t.Helper()
	return mosquittoSub(t, b.tcp, filter, qos, more...)
}

func mosquittoSub(t testing.TB, at netip.AddrPort, filter string, qos int, more ...string) inbox {
	t.Helper()
	args := append([]string{"-oL", "mosquitto_sub", "-d", "-F", "message %q %r %t %p", "-h", at.Addr().String(), "-p", port(at),
		"-t", filter, "-q", strconv.Itoa(qos)}, more...)
	// It would keep "Subscribed" back in a pipe.
	return spawn(t, "stdbuf", args...).subscribed("mosquitto_sub")
}

// subscribed waits until a subscriber says so, and returns what it receives. It
// prints in the format that mosquittoSub asks for, and may print what is retained
// first.
func (p *program) subscribed(id string) inbox {
	p.t.Helper()
	in := newInbox(p.t, id)
	take := func(line string) {
		if m, ok := parseMosquitto(line); ok {
			in.mail <- m
		}
	}
	for line := p.line(); !strings.HasPrefix(line, "Subscribed"); line = p.line() {
		take(line)
	}
	go func() {
		for line := range p.lines {
			take(line)
		}
	}()
	return in
}

// wantNoMore publishes to FIRST/marker, which sub must be subscribed to, and
// wants that to be the next thing that sub receives.
func (b *broker) wantNoMore(t testing.TB, sub interface{ receive() message }, first string) {
	t.Helper()
	b.mosquittoPub(t, first+"/marker", "x", 0)
	want(t, sub.receive(), message{topic: first + "/marker", payload: "x"})
}

// parseMosquitto reads a line in the format that mosquittoSub asks for.
func parseMosquitto(line string) (message, bool) {
	field := strings.SplitN(line, " ", 5)
	if len(field) != 5 || field[0] != "message" {
		return message{}, false
	}
	qos, err := strconv.Atoi(field[1])
	return message{field[3], field[4], qos, field[2] == "1"}, err == nil
}

// port returns the port of a as programs want it.
func port(a fmt.Stringer) string {
	s := a.String()
	return s[strings.LastIndexByte(s, ':')+1:]
}
