package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// mosquittoVersions are what -V takes, with what a client with -c needs, too.
var mosquittoVersions = map[string][]string{"31": nil, "311": nil, "5": {"-x", "3600"}}

// mosquittoRun runs mosquitto_pub or mosquitto_sub to its end and returns the
// lines that it has printed.
func (b *broker) mosquittoRun(t testing.TB, stdin, name string, args ...string) []string {
	t.Helper()
	args = append([]string{"-h", b.tcp.Addr().String(), "-p", port(b.tcp)}, args...)
	status, stdout, stderr := runProgram(t, stdin, name, args...)
	if status != 0 {
		t.Fatalf("%s %q ends with status %d: %s", name, args, status, stderr)
	}
	return strings.FieldsFunc(stdout, func(r rune) bool { return r == '\n' })
}

// wantLines compares what a program has printed.
func wantLines(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it prints %q, want %q", got, want)
	}
}

// TestMosquittoKeepsASession: -c -i, and in MQTT 5 -x, has what came meanwhile
// wait, the better two qualities of service of it, at the one asked for.
func TestMosquittoKeepsASession(t *testing.T) {
	t.Parallel()
	b := start(t)
	for version, kept := range mosquittoVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			topic, id := "kept/"+version, "keeper"+version
			sub := append([]string{"-V", version, "-c", "-i", id, "-q", "2", "-t", topic, "-F", "%t %q %r %p"}, kept...)
			b.mosquittoRun(t, "", "mosquitto_sub", append(sub, "-E")...)
			for qos := range 3 {
				b.mosquittoPub(t, topic, fmt.Sprint("reading ", qos), qos, "-V", version)
			}
			wantLines(t, b.mosquittoRun(t, "", "mosquitto_sub", append(sub, "-C", "2", "-W", "15")...),
				topic+" 1 0 reading 1", topic+" 2 0 reading 2")

			// A clean session finds nothing of it.
			b.mosquittoPub(t, topic, "forgotten", 1)
			b.mosquittoRun(t, "", "mosquitto_sub", "-V", version, "-i", id, "-t", topic, "-E")
			b.mosquittoPub(t, topic, "retained", 1, "-r")
			wantLines(t, b.mosquittoRun(t, "", "mosquitto_sub", append(sub, "-C", "1", "-W", "15")...), topic+" 1 1 retained")
		})
	}
}

// TestMosquittoRetains: -r keeps, -r -n clears, as do --remove-retained; -R,
// --retained-only and --retain-as-published choose; -W ends a vain wait.
func TestMosquittoRetains(t *testing.T) {
	t.Parallel()
	b := start(t)
	for version := range mosquittoVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			at := "retains/" + version
			sub := func(args ...string) []string {
				return b.mosquittoRun(t, "", "mosquitto_sub", append([]string{"-V", version, "-t", at + "/#", "-q", "1", "-W", "15", "-F", "%r %t %p"}, args...)...)
			}
			pub := func(topic string, args ...string) {
				b.mosquittoRun(t, "", "mosquitto_pub", append([]string{"-V", version, "-t", at + topic, "-q", "1"}, args...)...)
			}
			pub("/a", "-r", "-m", "1")
			pub("/b", "-r", "-m", "2")
			pub("/a", "-m", "live")
			wantLines(t, sub("-C", "1", "-T", at+"/b"), "1 "+at+"/a 1")
			pub("/a", "-r", "-n")
			wantLines(t, sub("-C", "1", "--retained-only"), "1 "+at+"/b 2")
			remover := spawn(t, "stdbuf", "-oL", "mosquitto_sub", "-d", "-h", b.tcp.Addr().String(), "-p", port(b.tcp),
				"-V", version, "-i", "remover"+version, "-t", at+"/b", "--remove-retained")
			remover.until("Client remover" + version + " received PUBACK") // with -C, 2.0.11 would not see it

			pub("/c", "-r", "-m", "3")
			wantLines(t, sub("-C", "1"), "1 "+at+"/c 3") // and neither a nor b
			pub("/c", "-r", "-n")
			status, stdout, stderr := runProgram(t, "", "mosquitto_sub", "-h", b.tcp.Addr().String(), "-p", port(b.tcp),
				"-V", version, "-t", at+"/#", "-W", "1")
			if status != 27 || stdout != "" || strings.TrimSpace(stderr) != "Timed out" {
				t.Errorf("mosquitto_sub where nothing is ends with status %d, says %q and %q; want 27, nothing and that it timed out", status, stdout, stderr)
			}
		})
	}
}

// TestMosquittoWill: --will-topic and its kin, by every version; the will of who
// ends with -C is not published.
func TestMosquittoWill(t *testing.T) {
	t.Parallel()
	b := start(t)
	for version := range mosquittoVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			topic := "will/" + version
			watch := b.mosquittoSub(t, topic+"/+", 2, "-V", version)
			will := []string{"-V", version, "--will-qos", "2", "--will-retain", "--will-payload", "gone", "--will-topic"}

			b.mosquittoPub(t, topic+"/polite", "one", 1, "-r")
			want(t, watch.receive(), message{topic + "/polite", "one", 1, false})
			b.mosquittoRun(t, "", "mosquitto_sub", append([]string{"-t", topic + "/polite", "-C", "1"}, append(will, topic+"/never")...)...)

			args := append([]string{"-oL", "mosquitto_sub", "-d", "-h", b.tcp.Addr().String(), "-p", port(b.tcp), "-t", "elsewhere"},
				append(will, topic+"/broken")...)
			p := spawn(t, "stdbuf", args...)
			p.subscribed("who will break")
			p.kill()
			want(t, watch.receive(), message{topic + "/broken", "gone", 2, false})
			wantLines(t, b.mosquittoRun(t, "", "mosquitto_sub", "-V", version, "-t", topic+"/broken", "-q", "2", "-C", "1", "-W", "15", "-F", "%q %r %p"), "2 1 gone")
		})
	}
}

// TestMosquittoReadsLines: -l publishes each line of the input, -s all of it,
// and --repeat the same again, in order.
func TestMosquittoReadsLines(t *testing.T) {
	t.Parallel()
	b := start(t)
	for version := range mosquittoVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			topic := "lines/" + version
			sub := b.mosquittoSub(t, topic, 1, "-V", version)
			var lines strings.Builder
			for i := range 500 {
				fmt.Fprintln(&lines, "reading", i)
			}
			pub := func(stdin string, args ...string) {
				b.mosquittoRun(t, stdin, "mosquitto_pub", append([]string{"-V", version, "-t", topic, "-q", "1"}, args...)...)
			}
			pub(lines.String(), "-l")
			for i := range 500 {
				want(t, sub.receive(), message{topic, fmt.Sprint("reading ", i), 1, false})
			}
			pub("all of it", "-s")
			want(t, sub.receive(), message{topic, "all of it", 1, false})
			pub("", "-m", "again", "--repeat", "3")
			for range 3 {
				want(t, sub.receive(), message{topic, "again", 1, false})
			}
		})
	}
}

// TestMosquittoProperties: what -D puts into PUBLISH, -F finds, and a sensor
// gets the message without.
func TestMosquittoProperties(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	s.subscribe("asked", 1)
	p := spawn(t, "stdbuf", "-oL", "mosquitto_sub", "-d", "-V", "5", "-h", b.tcp.Addr().String(), "-p", port(b.tcp), "-t", "asked", "-q", "2",
		"-D", "subscribe", "subscription-identifier", "42", "-D", "connect", "receive-maximum", "1", "-D", "connect", "topic-alias-maximum", "5",
		"-F", "message type=%C user=%P response=%R correlation=%D expiry=%E utf8=%F id=%S payload=%p")
	p.until("Subscribed")
	b.mosquittoPub(t, "asked", "21.5", 2, "-V", "5",
		"-D", "publish", "content-type", "text/plain", "-D", "publish", "user-property", "unit", "°C", "-D", "publish", "user-property", "unit", "K",
		"-D", "publish", "response-topic", "answers", "-D", "publish", "correlation-data", "7", "-D", "publish", "message-expiry-interval", "3600",
		"-D", "publish", "payload-format-indicator", "1", "-D", "publish", "topic-alias", "3")
	line := strings.Replace(p.until("message"), "expiry=3599", "expiry=3600", 1) // a second may have passed
	wantLines(t, []string{line},
		"message type=text/plain user=unit:°C unit:K response=answers correlation=7 expiry=3600 utf8=1 id=42 payload=21.5")
	want(t, s.receive(), message{"asked", "21.5", 1, false})
}
