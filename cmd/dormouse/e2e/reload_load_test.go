package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// A reloading is a broker with everything in files, and those files: each
// generation of them lets the client probe publish to gen/N alone.
type reloading struct {
	*broker
	dir   string
	files map[string]string // as they are when nothing is wrong, but for rules
	probe *client5
}

func (r *reloading) name(file string) string { return filepath.Join(r.dir, file) }

func (r *reloading) write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(r.name(file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// generation writes the rules of a generation.
func (r *reloading) generation(t testing.TB, n int) {
	t.Helper()
	r.write(t, "acl.yaml", fmt.Sprintf("rules:\n  - {client: probe, allow: publish, topic: gen/%d}\n  - {client: probe, deny: all, topic: \"#\"}\n  - {allow: all, topic: \"#\"}\n", n))
}

// holds proves that the rules of a generation hold, and no others.
func (r *reloading) holds(t testing.TB, n int, when string) {
	t.Helper()
	for _, g := range []int{n - 1, n, n + 1} {
		_, err := r.probe.Publish(t.Context(), &paho.Publish{Topic: fmt.Sprint("gen/", g), QoS: 1})
		if allowed := err == nil; allowed != (g == n) {
			t.Fatalf("%s: PUBLISH to gen/%d ends by %v, where generation %d holds", when, g, err, n)
		}
	}
}

// tell publishes numbers, one after the other, until stop is closed, and then end.
func (c *client3) tell(topic, end string, stop <-chan struct{}) {
	for n := 1; ; n++ {
		payload := strconv.Itoa(n)
		select {
		case <-stop:
			payload = end
		default:
		}
		if token := c.Publish(topic, 1, false, payload); !token.WaitTimeout(patience) || token.Error() != nil {
			c.t.Errorf("%s: PUBLISH %d: %v", c.id, n, token.Error())
			return
		}
		if payload == end {
			return
		}
	}
}

// count hears what tell says, which must be a hundred numbers at least.
func (c *client3) count(end string) error {
	for n := 1; ; n++ {
		switch m := <-c.mail; {
		case m.payload == end && n <= 100:
			return fmt.Errorf("%s: %d messages are no load", c.id, n)
		case m.payload == end:
			return nil
		case m.payload != strconv.Itoa(n):
			return fmt.Errorf("%s: message %d is %v", c.id, n, m)
		}
	}
}

// TestF20ReloadUnderLoad: a hundred times files are read again, by signal and by
// command, half of them with a mistake in one while all the others are new, amid
// clients of every kind: nobody is disconnected, no message is lost, and of what
// has a mistake nothing is ever in use.
func TestF20ReloadUnderLoad(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	r := &reloading{dir: a.dir, files: make(map[string]string)}
	a.issue("server", "broker", nil)
	for file, from := range map[string]string{"passwd": passwords(t, "ann", "secret"), "psk": pskFile(t, map[string]byte{"sleeper": 1, "awake": 2})} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		r.write(t, file, string(text))
	}
	r.write(t, "dormouse.yaml", `
listeners:
  - {name: mqtt, type: tcp, address: "127.0.0.1:0"}
  - {name: mqtts, type: tls, address: "127.0.0.1:0", tls: {cert_file: DIR/server.pem, key_file: DIR/server.key}}
  - {name: sn, type: mqttsn-udp, address: "127.0.0.1:0"}
  - {name: sns, type: mqttsn-dtls, address: "127.0.0.1:0", dtls: {psk_file: DIR/psk}}
auth: {providers: [{type: passwd, file: DIR/passwd}]}
acl: {file: DIR/acl.yaml}
`)
	for _, file := range []string{"dormouse.yaml", "passwd", "psk", "server.pem", "server.key"} {
		text, err := os.ReadFile(r.name(file))
		if err != nil {
			t.Fatal(err)
		}
		r.files[file] = strings.ReplaceAll(string(text), "DIR", r.dir)
		r.write(t, file, r.files[file])
	}
	r.generation(t, 0)
	args := []string{"-c", r.name("dormouse.yaml"), "--set", "log.level=debug"}
	for _, s := range []string{"admin.listen=127.0.0.1:0", "admin.unix_socket=" + socketPath(t)} {
		args = append(args, "--set", s)
	}
	r.broker = launch(t, args...)
	r.probe = r.mqtt5(t, "probe", nil)

	// Two clients tell each other numbers, one of them over TLS, and two sensors
	// have an order to hear and a report to give in each round.
	stop := make(chan struct{})
	pair := [2]*client3{
		r.mqtt3(t, "open", nil),
		r.mqtt3(t, "secured", func(o *mqtt.ClientOptions) {
			o.Servers = nil
			o.AddBroker("tls://" + r.tls.String()).SetTLSConfig(a.trusted()).SetUsername("ann").SetPassword("secret")
		}),
	}
	heard := make(chan error, len(pair))
	for i, c := range pair {
		c.subscribe(fmt.Sprint("to/", i), 1)
		go func() { heard <- c.count("end") }()
	}
	for i, c := range pair {
		go c.tell(fmt.Sprint("to/", 1-i), "end", stop)
	}
	app := r.mqtt3(t, "app", nil)
	app.subscribe("report/#", 1)
	var sensors []*sensor
	for i, id := range []string{"sleeper", "awake"} {
		over, _ := r.secureSocket(byKey(id, byte(1+i))...)
		s := over.sensor(r.broker, id, "")
		s.connectFor(false, time.Hour)
		s.subscribe("order/"+id, 1)
		sensors = append(sensors, s)
	}
	sleeper, awake := sensors[0], sensors[1]
	report := awake.register("report/awake")
	sleeper.sleep(time.Hour)

	broken := []struct{ file, text string }{
		{"dormouse.yaml", r.files["dormouse.yaml"] + "mqtt: [\n"},
		{"dormouse.yaml", r.files["dormouse.yaml"] + "mqtt: {max_qoss: 1}\n"},
		{"dormouse.yaml", "\n"}, // which would be the defaults: everybody may do everything
		{"passwd", "ann:secret\n"},
		{"passwd", "\x00gone"},
		{"psk", "sleeper:xyz\n"},
		{"psk", "\x00gone"},
		{"acl.yaml", "rules: [{allow: all}]\n"},
		{"acl.yaml", "\x00gone"},
		{"server.pem", "\x00gone"},
		{"server.key", "\x00directory"},
	}
	generation, reloaded, failed := 0, 0, 0
	for round := range 100 {
		when := fmt.Sprintf("round %d", round)
		wrong := round%2 == 1
		next := generation + 1
		r.generation(t, next)
		if wrong {
			b := broken[round/2%len(broken)]
			when = fmt.Sprintf("%s, %s is %.20q", when, b.file, b.text)
			switch os.Remove(r.name(b.file)); b.text {
			case "\x00gone":
			case "\x00directory":
				if err := os.Mkdir(r.name(b.file), 0o700); err != nil {
					t.Fatal(err)
				}
			default:
				r.write(t, b.file, b.text)
			}
		}
		byCommand := round/2%2 == 0
		if !byCommand {
			r.process.Process.Signal(syscall.SIGHUP)
		}
		r.publish(t, "order/sleeper", when, 1)
		awake.publish(report, when, 1, false)
		r.publish(t, "order/awake", when, 1)
		want(t, app.receive(), message{"report/awake", when, 1, false})
		want(t, awake.receive(), message{"order/awake", when, 1, false})
		if mail := sleeper.wake(); len(mail) != 1 || mail[0].payload != when {
			t.Fatalf("%s: the sleeper wakes to %v", when, mail)
		}
		if wrong {
			failed++
		} else {
			reloaded, generation = reloaded+1, next
		}
		if byCommand {
			if status, stdout, stderr := r.operate(t, "reload"); (status == 0) == wrong {
				t.Fatalf("%s: dormouse reload ends with status %d: %s%s", when, status, stdout, stderr)
			}
		} else {
			r.wantLogged(t, "reloaded", reloaded)
			r.wantLogged(t, "reload_failed", failed)
		}
		r.holds(t, generation, when)
		if wrong {
			b := broken[round/2%len(broken)]
			os.Remove(r.name(b.file))
			if text, ok := r.files[b.file]; ok {
				r.write(t, b.file, text)
			}
		}
	}
	close(stop)
	for range pair {
		if err := await(t, heard, "end of what was told"); err != nil {
			t.Error(err)
		}
	}
	for _, event := range []string{"client_disconnected", "client_gone", "restart_needed", "session_"} {
		if strings.Contains(r.log.String(), `"event":"`+event) {
			t.Errorf("%s is in the log:\n%s", event, r.log)
		}
	}
	if n := strings.Count(r.log.String(), `"event":"reload`); n != 100 || reloaded != 50 {
		t.Errorf("%d reloads are in the log, %d of them done; want 100 and 50", n, reloaded)
	}
	if status := r.stop(); status != 0 {
		t.Errorf("dormouse serve ended with status %d after SIGTERM, want 0", status)
	}
}
