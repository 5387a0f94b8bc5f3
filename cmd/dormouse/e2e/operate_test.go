package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"dormouse/mqttsn"
)

// operate runs a command that asks the broker.
func (b *broker) operate(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return run(t, append(args, "--socket", b.admin)...)
}

// changing is what differs from run to run.
var changing = regexp.MustCompile(`127\.0\.0\.1:\d+|\d{4}-\d\d-\d\dT[0-9:]+(Z|[+-]\d\d:\d\d)`)

// wantOutput has a command succeed and print these lines, blanks aside. In
// them @ stands for an address or a time.
func (b *broker) wantOutput(t testing.TB, want []string, args ...string) {
	t.Helper()
	status, stdout, stderr := b.operate(t, args...)
	if status != 0 || stderr != "" {
		t.Errorf("dormouse %v ends with status %d: %s", args, status, stderr)
	}
	var got []string
	for line := range strings.Lines(changing.ReplaceAllString(stdout, "@")) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("dormouse %v prints\n%s\nwant\n%s", args, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantFailure has a command fail with a status and one line that says this.
func (b *broker) wantFailure(t testing.TB, want int, says string, args ...string) {
	t.Helper()
	status, stdout, stderr := b.operate(t, args...)
	if status != want || stdout != "" || !strings.Contains(stderr, says) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("dormouse %v ends with status %d and prints %q and %q; want %d and %q", args, status, stdout, stderr, want, says)
	}
}

// TestClients: an operator sees every session of either kind, who is awake,
// who sleeps until when, who is lost, and what waits for them.
func TestClients(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.retry.interval=5m")
	app := b.mqtt5(t, "app", func(c *paho.Connect) {
		expiry := uint32(60)
		c.Properties = &paho.ConnectProperties{SessionExpiryInterval: &expiry}
		c.WillMessage = &paho.WillMessage{Topic: "apps/gone", Payload: []byte("secret"), QoS: 1, Retain: true}
	})
	app.subscribe("wills/#", 1)
	gone := b.mqtt5(t, "gone", func(c *paho.Connect) {
		expiry := uint32(3600)
		c.Properties = &paho.ConnectProperties{SessionExpiryInterval: &expiry}
		c.WillMessage = &paho.WillMessage{Topic: "wills/gone", Payload: []byte("bye")}
	})
	gone.conn.Close()
	want(t, app.receive(), message{"wills/gone", "bye", 0, false})
	active, asleep, awake, left := b.sensor("active"), b.sensor("asleep"), b.sensor("awake"), b.sensor("le ft")
	left.connect(false)
	left.disconnect()
	active.connect(true)
	active.subscribe("a/b", 1)
	active.subscribe("a/c", 0)
	asleep.connect(false)
	asleep.subscribe("cmd", 1)
	began := time.Now()
	asleep.sleep(time.Hour)
	slept := time.Now()
	awake.connect(true)
	awake.subscribe("cmd", 1)
	awake.sleep(time.Hour)
	app.publish("cmd", "on", 1, false)
	awake.send(&mqttsn.Pingreq{ClientID: []byte("awake")})
	expect[*mqttsn.Publish](awake)

	const head = "ID EDGE STATE LISTENER REMOTE USER SUBSCRIPTIONS WAITING IN FLIGHT DROPPED SINCE UNTIL"
	b.wantOutput(t, []string{
		head,
		"active mqttsn active sn @ - 2 0 0 0 @ -",
		"app mqtt connected mqtt @ - 1 0 0 0 @ -",
		"asleep mqttsn asleep sn @ - 1 1 0 0 @ @",
		"awake mqttsn awake sn @ - 1 0 1 0 @ -",
		"gone - lost - - - 0 0 0 0 - @",
		`"le ft" - disconnected - - - 0 0 0 0 - @`,
	}, "clients")
	b.wantOutput(t, []string{head, "app mqtt connected mqtt @ - 1 0 0 0 @ -"}, "clients", "--edge", "mqtt")
	b.wantOutput(t, []string{head, "asleep mqttsn asleep sn @ - 1 1 0 0 @ @"}, "clients", "--edge", "mqttsn", "--state", "asleep")
	b.wantOutput(t, []string{head}, "clients", "--state", "connecting")
	b.wantOutput(t, []string{"[]"}, "clients", "--state", "connecting", "-o", "json")
	b.wantOutput(t, []string{
		"client app", "state connected", "edge mqtt", "listener mqtt", "remote @", "since @", "session expiry 1m0s",
		"waiting 0 messages, 0 octets", "in flight 0", "dropped 0", "will apps/gone, QoS 1, retained",
		"subscriptions 1", "wills/#, QoS 1",
	}, "clients", "app")
	b.wantFailure(t, 1, `dormouse clients: there is no client "nobody"`, "clients", "nobody")
	b.wantFailure(t, 2, "leave them out", "clients", "app", "--edge", "mqtt")

	var listed []map[string]any
	b.decode(t, &listed, "clients", "-o", "json")
	if len(listed) != 6 {
		t.Fatalf("%d clients are listed, want 6: %v", len(listed), listed)
	}
	sleeper := listed[2]
	until, err := time.Parse(time.RFC3339, sleeper["asleep_until"].(string))
	if low, high := began.Add(time.Hour-time.Second), slept.Add(time.Hour+time.Second); err != nil || until.Before(low) || until.After(high) {
		t.Errorf("the sleeper is said to wake at %v, want %v to %v", until, low, high)
	}
	delete(sleeper, "asleep_until")
	for key, want := range map[string]any{
		"id": "asleep", "state": "asleep", "edge": "mqttsn", "listener": "sn", "user": "", "subscriptions": 1.0,
		"waiting": 1.0, "waiting_bytes": 5.0, "in_flight": 0.0, "dropped": 0.0, "topic_ids": 1.0,
	} {
		if sleeper[key] != want {
			t.Errorf("%s of the sleeper is %v, want %v", key, sleeper[key], want)
		}
		delete(sleeper, key)
	}
	delete(sleeper, "remote")
	delete(sleeper, "since")
	if len(sleeper) > 0 {
		t.Errorf("of the sleeper it says %v as well", sleeper)
	}

	var detail map[string]any
	if text := b.decode(t, &detail, "clients", "app", "-o", "json"); strings.Contains(text, "secret") {
		t.Errorf("a payload is shown: %s", text)
	}
	got, err := json.Marshal([]any{detail["expiry_seconds"], detail["filters"], detail["will"]})
	if err != nil {
		t.Fatal(err)
	}
	if want := `[60,[{"filter":"wills/#","id":0,"no_local":false,"qos":1,"retain_as_published":false}],` +
		`{"delay_seconds":0,"qos":1,"retain":true,"topic":"apps/gone"}]`; string(got) != want {
		t.Errorf("of the app it says %s, want %s", got, want)
	}
	b.wantFigure(t, "buffer/messages", 1)
}

// decode has a command succeed and decodes the JSON that it prints.
func (b *broker) decode(t testing.TB, into any, args ...string) (text string) {
	t.Helper()
	status, stdout, stderr := b.operate(t, args...)
	if status != 0 {
		t.Fatalf("dormouse %v ends with status %d: %s", args, status, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), into); err != nil {
		t.Fatalf("dormouse %v prints %q: %v", args, stdout, err)
	}
	return stdout
}

// TestKick: an MQTT 5 client is told why, an awake sensor that it is
// disconnected, a sleeping radio nothing: it hears when it next says something.
func TestKick(t *testing.T) {
	t.Parallel()
	b := start(t)
	client := b.mqtt5(t, "client", nil)
	active, asleep := b.sensor("active"), b.sensor("asleep")
	active.connect(true)
	asleep.connect(false)
	asleep.subscribe("cmd", 1)
	asleep.sleep(time.Hour)
	for _, id := range []string{"client", "active", "asleep"} {
		b.wantOutput(t, nil, "kick", id)
	}
	if d := await(t, client.goodbye, "DISCONNECT for MQTT 5"); d.ReasonCode != 0x98 {
		t.Errorf("DISCONNECT reason 0x%02x, want 0x98, administrative action", d.ReasonCode)
	}
	expect[*mqttsn.Disconnect](active)
	asleep.hearsNothing()
	asleep.send(&mqttsn.Pingreq{ClientID: []byte("asleep")})
	expect[*mqttsn.Disconnect](asleep)
	b.wantFailure(t, 1, `dormouse kick: there is no client "client"`, "kick", "client")

	// What is kept is kept, unless it is purged.
	b.publish(t, "cmd", "kept", 1)
	asleep.connect(false)
	want(t, asleep.receive(), message{"cmd", "kept", 1, false})
	b.wantOutput(t, nil, "kick", "--purge", "asleep")
	expect[*mqttsn.Disconnect](asleep)
	b.wantFailure(t, 1, "there is no client", "kick", "asleep")
	b.publish(t, "cmd", "not kept", 1)
	asleep.connect(false)
	asleep.hearsNothing()
}

// TestRetained: retained messages are listed, printed as they are, and removed
// so that subscribers see it.
func TestRetained(t *testing.T) {
	t.Parallel()
	b := start(t)
	app := b.mqtt5(t, "app", nil)
	app.publish("home/a", "on", 1, true)
	app.publish("home/b", "\x00\xff\n", 0, true)
	app.publish("home/c d", "x", 2, true)
	app.publish("else", "x", 0, true)
	app.subscribe("home/#", 0)
	for range 3 {
		app.receive()
	}

	const head = "TOPIC BYTES QOS PUBLISHER PUBLISHED EXPIRES"
	_, stdout, _ := b.operate(t, "retained", "ls", "home/+")
	if lines := strings.Split(strings.TrimSpace(stdout), "\n"); len(lines) != 4 || strings.Join(strings.Fields(lines[0]), " ") != head {
		t.Errorf("retained ls prints\n%s", stdout)
	}
	b.wantOutput(t, []string{head, "home/a 2 1 app @ -"}, "retained", "ls", "home/a")
	b.wantOutput(t, []string{head, `"home/c d" 1 2 app @ -`}, "retained", "ls", "home/c d")
	b.wantOutput(t, []string{`[{"topic":"home/a","bytes":2,"qos":1,"publisher":"app","published":"@"}]`}, "retained", "ls", "home/a", "-o", "json")
	var listed []map[string]any
	if b.decode(t, &listed, "retained", "ls", "-o", "json"); len(listed) != 4 {
		t.Errorf("without a filter %d messages are listed, want 4 and no $SYS: %v", len(listed), listed)
	}
	figures := b.mqtt3(t, "figures", nil)
	figures.subscribe("$SYS/broker/version", 0)
	figures.receive()
	if b.decode(t, &listed, "retained", "ls", "$SYS/broker/+", "-o", "json"); len(listed) == 0 {
		t.Error("$SYS is not listed when asked for")
	}
	if status, stdout, stderr := b.operate(t, "retained", "ls", "nowhere/#", "-o", "json"); status != 1 || stdout != "[]\n" || stderr != "" {
		t.Errorf("of what is not there it prints %q %q, status %d; want [] and 1", stdout, stderr, status)
	}
	b.wantFailure(t, 2, `"a#" is no topic filter`, "retained", "ls", "a#")

	if status, stdout, stderr := b.operate(t, "retained", "get", "home/b"); status != 0 || stdout != "\x00\xff\n" || stderr != "" {
		t.Errorf("retained get prints %q %q, status %d", stdout, stderr, status)
	}
	b.wantOutput(t, []string{`{"topic":"home/b","bytes":3,"qos":0,"publisher":"app","published":"@","payload_base64":"AP8K"}`}, "retained", "get", "home/b", "-o", "json")
	b.wantOutput(t, []string{`{"topic":"home/a","bytes":2,"qos":1,"publisher":"app","published":"@","payload":"on"}`}, "retained", "get", "home/a", "-o", "json")
	b.wantFailure(t, 1, `nothing is retained at "home/x"`, "retained", "get", "home/x")
	b.wantFailure(t, 2, "wildcards", "retained", "get", "home/#")

	away := b.sensor("away")
	away.connect(false)
	away.subscribe("home/a", 1)
	away.receive()
	away.disconnect()
	b.wantOutput(t, []string{"removed 1"}, "retained", "rm", "home/a")
	away.connect(false)
	want(t, away.receive(), message{"home/a", "", 1, false})
	want(t, app.receive(), message{"home/a", "", 0, false})
	b.wantFailure(t, 1, `dormouse retained rm: nothing is retained at "home/a"`, "retained", "rm", "home/a")
	b.wantFailure(t, 2, "--yes", "retained", "rm", "home/#")
	b.wantFailure(t, 1, "the broker's own", "retained", "rm", "$SYS/broker/version")
	b.wantOutput(t, []string{`{"removed":2}`}, "retained", "rm", "home/#", "--yes", "-o", "json")
	gone := []string{app.receive().String(), app.receive().String()}
	if slices.Sort(gone); !slices.Equal(gone, []string{`home/b="" at QoS 0`, `home/c d="" at QoS 0`}) {
		t.Errorf("the subscriber sees %v", gone)
	}
	b.wantOutput(t, []string{head, "else 1 0 app @ -"}, "retained", "ls")
}

// get asks over HTTP. Without an answer the status is zero.
func (b *broker) get(t testing.TB, path string) (status int, body string) {
	t.Helper()
	a, err := http.Get(b.adminURL + path)
	if err != nil {
		return 0, err.Error()
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// TestReadyUntilTheDrain: whoever sends clients here sees that it must not any
// more before the last of them has taken leave.
func TestReadyUntilTheDrain(t *testing.T) {
	t.Parallel()
	b := start(t)
	for path, says := range map[string]string{"/livez": "ok\n", "/readyz": "ok\n", "/readyz?verbose": "[+] listeners\n[+] drain\n[+] memory\n[+] load\n[+] store\n"} {
		if status, body := b.get(t, path); status != 200 || body != says {
			t.Errorf("%s is %d %q", path, status, body)
		}
	}
	lingers := b.rawMQTT(t) // and does not close when it is told to go
	lingers.connect()
	b.process.Process.Signal(os.Interrupt)
	deadline := time.Now().Add(patience)
	for {
		status, body := b.get(t, "/readyz")
		if status == 503 && body == "The server takes leave of its clients.\n" {
			break
		}
		if status != 200 || time.Now().After(deadline) {
			t.Fatalf("during the drain /readyz is %d %q", status, body)
		}
	}
	if status, _ := b.get(t, "/livez"); status != 200 {
		t.Errorf("during the drain /livez is %d", status)
	}
	lingers.Close()
	await(t, b.ended, "end of the broker")
	if _, err := os.Stat(b.admin); err == nil {
		t.Error("the socket stays behind")
	}
	status, _, stderr := b.operate(t, "clients")
	if status != 4 || !strings.Contains(stderr, "there is no socket "+b.admin+"; is the server running?") {
		t.Errorf("without a server dormouse clients ends with status %d: %s", status, stderr)
	}
}

// TestMetricsNameNoClient: figures are for the many. What they are called is
// pinned where they are made, and all of it is there.
func TestMetricsNameNoClient(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.sensor("inconspicuous").connect(true)
	status, body := b.get(t, "/metrics")
	if status != 200 || strings.Contains(body, "inconspicuous") {
		t.Errorf("/metrics is %d\n%s", status, body)
	}
	pinned, err := filepath.Glob("../../../*/*/testdata/metrics.txt")
	if err != nil || len(pinned) == 0 {
		t.Fatalf("no names are pinned: %v", err)
	}
	for _, file := range append(pinned, "../../../core/testdata/metrics.txt", "../../../mqttsn/transport/udp/testdata/metrics.txt") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, label, _ := strings.Cut(strings.TrimSpace(line), " ")
			if label != "" {
				name += "{" + label + "}"
			}
			if strings.HasPrefix(name, "dormouse_") && !strings.Contains(body, "\n"+name+" ") {
				t.Errorf("/metrics lacks %s", name)
			}
		}
	}
}

// TestMetricsConform: names, types and help are as Prometheus wants them.
func TestMetricsConform(t *testing.T) {
	t.Parallel()
	b := start(t)
	_, body := b.get(t, "/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 || !strings.Contains(body, "dormouse_") {
		t.Errorf("promlint says %v, %v of\n%s", problems, err, body)
	}
}

// TestSecondServerOnTheSocket: an operator who names the socket wants that one.
func TestSecondServerOnTheSocket(t *testing.T) {
	t.Parallel()
	var args []string
	for _, s := range append(free[:len(free):len(free)], "admin.unix_socket="+socketPath(t), "durability.store=memory") {
		args = append(args, "--set", s)
	}
	b := launch(t, args...)
	status, stdout, stderr := run(t, append([]string{"serve"}, args...)...)
	want := "dormouse serve: " + b.admin + " is in use by another server; stop that, or choose another path with admin.unix_socket\n"
	if status != 3 || stdout != "" || stderr != want {
		t.Errorf("a second server ends with status %d, %q %q; want 3 and %q", status, stdout, stderr, want)
	}
	b.wantOutput(t, []string{"[]"}, "clients", "-o", "json") // the first is still there

	// One that was killed leaves its socket behind, and is followed.
	b.process.Process.Kill()
	await(t, b.ended, "end of the broker")
	status, _, stderr = b.operate(t, "clients")
	if status != 4 || !strings.Contains(stderr, "no server answers on "+b.admin) {
		t.Errorf("of a server that was killed dormouse clients says %q, status %d", stderr, status)
	}
	second := start(t, "admin.unix_socket="+b.admin)
	second.wantOutput(t, []string{"[]"}, "clients", "-o", "json")
}
