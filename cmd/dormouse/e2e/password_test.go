package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sys/unix"

	"dormouse/mqttsn"
)

// passwords makes a password file with "dormouse passwd": users and their
// passwords in turn.
func passwords(t testing.TB, logins ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users")
	passwd(t, "create", file)
	for i := 0; i < len(logins); i += 2 {
		passwd(t, "add", file, logins[i], "-b", logins[i+1])
	}
	return file
}

func passwd(t testing.TB, args ...string) {
	t.Helper()
	if status, _, stderr := run(t, append([]string{"passwd"}, args...)...); status != 0 {
		t.Fatalf("dormouse passwd %s ends with status %d: %s", args[0], status, stderr)
	}
}

// knowing is the setting that has a broker read a password file.
func knowing(file string) string {
	return fmt.Sprintf("auth.providers=[{type: passwd, file: %q}]", file)
}

// wantLogged waits for an event to be in the log for the nth time.
func (b *broker) wantLogged(t testing.TB, event string, n int) {
	t.Helper()
	for timeout := time.After(patience); strings.Count(b.log.String(), `"event":"`+event+`"`) < n; {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-timeout:
			t.Fatalf("%s is not in the log %d times:\n%s", event, n, b.log)
		}
	}
}

// login connects with the user's name, also as its client id, and password, and
// returns the reason that MQTT 5 gives.
func (b *broker) login(t testing.TB, user, password string) byte {
	t.Helper()
	c := b.rawMQTT(t)
	c.send(withLogin(user, password))
	return c.connack()
}

// withLogin is a CONNECT of MQTT 5 by that name and password, in hex.
func withLogin(user, password string) string {
	return fmt.Sprintf("10 %02x | 0004 4d515454 05 c2 003c 00 | %04x %x | %04[2]x %[3]x | %04x %x",
		10+1+2*(2+len(user))+2+len(password), len(user), user, len(password), password)
}

// connack reads CONNACK up to its reason.
func (c *rawMQTT) connack() byte {
	c.t.Helper()
	var ack [4]byte
	if n, err := c.Read(ack[:]); n < len(ack) || ack[0] != 0x20 {
		c.t.Fatalf("CONNECT is answered by %x, %v", ack[:n], err)
	}
	return ack[3]
}

// TestPasswords: who is in the file gets in with its password and nobody else
// does, by the clients that everyone has, in words that they understand.
func TestPasswords(t *testing.T) {
	t.Parallel()
	file := passwords(t, "ann", "ann's secret", "bob", "bob's secret")
	if status, _, stderr := runProgram(t, "", "mosquitto_passwd", "-b", file, "eve", "eve's secret"); status != 0 {
		t.Fatalf("mosquitto_passwd ends with status %d: %s", status, stderr)
	}
	b := start(t, knowing(file))
	sub := b.mqtt3(t, "sub", func(o *mqtt.ClientOptions) { o.SetUsername("bob").SetPassword("bob's secret") })
	sub.subscribe("from/#", 1)
	for _, tt := range []struct{ user, password, refusal string }{
		{"ann", "ann's secret", ""},
		{"eve", "eve's secret", ""},
		{"ann", "eve's secret", "bad user name or password"},
		{"nobody", "ann's secret", "bad user name or password"},
		{"ann", "", "bad user name or password"},
	} {
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
			status, _, stderr := runProgram(t, "", "mosquitto_pub", "-h", b.tcp.Addr().String(), "-p", port(b.tcp),
				"-u", tt.user, "-P", tt.password, "-V", version, "-q", "1", "-t", "from/"+tt.user, "-m", version)
			words := strings.ToLower(strings.ReplaceAll(stderr, "username", "user name"))
			if ok := tt.refusal == ""; ok != (status == 0) || !strings.Contains(words, tt.refusal) {
				t.Errorf("mosquitto_pub -V %s as %s with %q ends with status %d and says %q", version, tt.user, tt.password, status, stderr)
			} else if ok {
				want(t, sub.receive(), message{"from/" + tt.user, version, 1, false})
			}
		}
		for _, version := range []string{"3", "4", "5"} {
			status, _, stderr := run(t, "pub", "--mqtt", "-h", b.tcp.Addr().String(), "-p", port(b.tcp),
				"-u", tt.user, "-P", tt.password, "-V", version, "-q", "1", "-t", "from/"+tt.user, "-m", version)
			if wantStatus := map[bool]int{true: 0, false: 5}[tt.refusal == ""]; status != wantStatus {
				t.Errorf("dormouse pub -V %s as %s with %q ends with status %d, want %d: %s", version, tt.user, tt.password, status, wantStatus, stderr)
			} else if status == 0 {
				want(t, sub.receive(), message{"from/" + tt.user, version, 1, false})
			}
		}
	}
	b.mosquittoPub(t, "from/anonymous", "x", 1) // from loopback, without a name
	want(t, sub.receive(), message{"from/anonymous", "x", 1, false})
	sensor := b.sensor("sensor") // MQTT-SN has no names
	sensor.connect(true)

	for _, secret := range []string{"secret", "$7$"} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("%s is in the log:\n%s", secret, b.log)
		}
	}
}

// TestNobodyWithoutName: where names are wanted from everyone, loopback is no
// exception, nor is a listener that lets in whoever reaches it.
func TestNobodyWithoutName(t *testing.T) {
	t.Parallel()
	file := passwords(t, "ann", "secret")
	b := start(t, knowing(file), "auth.anonymous.enabled=false", "listeners.mqtt.security=insecure")
	for octets, reason := range map[string]byte{
		"10 0f | 0004 4d515454 05 02 003c 00 | 0002 6372": 0x87,
		"10 0e | 0004 4d515454 04 02 003c | 0002 6372":    5,
	} {
		c := b.rawMQTT(t)
		c.send(octets)
		if got := c.connack(); got != reason {
			t.Errorf("CONNECT without a name is answered by 0x%02x, want 0x%02x", got, reason)
		}
	}
	if got := b.login(t, "ann", "secret"); got != 0 {
		t.Errorf("ann's CONNECT is answered by 0x%02x", got)
	}
}

// TestNamesWithoutFile: where nobody can know names, they are what clients say
// they are.
func TestNamesWithoutFile(t *testing.T) {
	t.Parallel()
	b := start(t)
	if got := b.login(t, "ann", "secret"); got != 0 {
		t.Errorf("CONNECT is answered by 0x%02x", got)
	}
}

// TestReloadPasswords: SIGHUP has the file read again. One with a mistake in it
// changes nothing, and the log says where the mistake is.
func TestReloadPasswords(t *testing.T) {
	t.Parallel()
	file := passwords(t, "ann", "old", "bob", "bob's", "dan", "dan's")
	b := start(t, knowing(file))
	logins := func(when string, want map[string]byte) {
		t.Helper()
		for login, reason := range want {
			user, password, _ := strings.Cut(login, ":")
			if got := b.login(t, user, password); got != reason {
				t.Errorf("%s %s is answered by 0x%02x, want 0x%02x", when, login, got, reason)
			}
		}
	}
	as := func(user, password string) *client3 {
		return b.mqtt3(t, user+" stays", func(o *mqtt.ClientOptions) { o.SetUsername(user).SetPassword(password) })
	}
	stays, gone, changed, anonymous := as("dan", "dan's"), as("bob", "bob's"), as("ann", "old"), b.mqtt3(t, "anonymous", nil)
	logins("at first", map[string]byte{"ann:old": 0, "ann:new": 0x86, "cat:cat's": 0x86})
	passwd(t, "add", file, "ann", "-b", "new")
	passwd(t, "add", file, "cat", "-b", "cat's", "-H", "argon2id")
	passwd(t, "del", file, "bob")
	logins("before the reload", map[string]byte{"ann:old": 0, "ann:new": 0x86, "bob:bob's": 0})
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 1)
	after := map[string]byte{"ann:old": 0x86, "ann:new": 0, "cat:cat's": 0, "bob:bob's": 0x86}
	await(t, gone.lost, "the end of who is in the file no more")
	await(t, changed.lost, "the end of whose password is another")
	b.wantLogged(t, `client_disconnected","client":"ann stays","user":"ann`, 1)
	logins("after the reload", after)

	for i, broken := range []string{"ann:hunter2\n", "hunter2", "ann:$7$1$hunter2$hunter2\n"} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		b.process.Process.Signal(syscall.SIGHUP)
		b.wantLogged(t, "reload_failed", i+1)
		logins("with a broken file", after)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reload_failed", 4)
	logins("without the file", after)
	if log := b.log.String(); strings.Contains(log, "hunter2") || strings.Count(log, file+":1: ") != 3 {
		t.Errorf("the log shows a password, or not where the mistakes are:\n%s", log)
	}
	stays.subscribe("still/here", 0)
	anonymous.subscribe("still/here", 0)

	if err := os.WriteFile(file, nil, 0o644); err != nil { // nobody, and everyone may read it
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "passwords_exposed", 1)
	logins("with an empty file", map[string]byte{"ann:new": 0x86, "cat:cat's": 0x86})
}

// TestHostile22: a broker that may not open another file when it is told to
// read its files again says so, and keeps what it knows.
func TestHostile22(t *testing.T) {
	t.Parallel()
	file := passwords(t, "ann", "old")
	b := attacked(t, knowing(file))
	passwd(t, "add", file, "ann", "-b", "new")
	open := func(files, before *unix.Rlimit) {
		t.Helper()
		if err := unix.Prlimit(b.process.Process.Pid, unix.RLIMIT_NOFILE, files, before); err != nil {
			t.Fatal(err)
		}
	}
	var many unix.Rlimit
	open(nil, &many)
	open(&unix.Rlimit{Cur: 3, Max: many.Max}, nil)
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reload_failed", 1)
	open(&many, nil)
	if old, changed := b.login(t, "ann", "old"), b.login(t, "ann", "new"); old != 0 || changed != 0x86 {
		t.Errorf("the old password is answered by 0x%02x and the new one by 0x%02x, want 0 and 0x86", old, changed)
	}
	if log := b.log.String(); !strings.Contains(log, file+": cannot be opened: too many open files") {
		t.Errorf("the log does not say which file and why:\n%s", log)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 1)
	if changed := b.login(t, "ann", "new"); changed != 0 {
		t.Errorf("then the new password is answered by 0x%02x", changed)
	}
}

// TestMosquittoReadsOurs: Mosquitto takes our file as its own.
func TestMosquittoReadsOurs(t *testing.T) {
	t.Parallel()
	file := passwords(t, "ann", "secret", "a user", "p w:d$", "gone", "x")
	passwd(t, "del", file, "gone")
	socket := socketPath(t)
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := "user root\nlog_dest stdout\nallow_anonymous false\npassword_file " + file + "\nlistener 0 " + socket + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := spawn(t, "stdbuf", "-oL", "mosquitto", "-c", conf) // it would keep its lines back in a pipe
	for !strings.HasSuffix(m.line(), " running") {
	}
	for _, tt := range []struct {
		user, password string
		ok             bool
	}{{"ann", "secret", true}, {"a user", "p w:d$", true}, {"ann", "Secret", false}, {"gone", "x", false}} {
		status, _, stderr := runProgram(t, "", "mosquitto_pub", "--unix", socket, "-u", tt.user, "-P", tt.password, "-t", "a", "-m", "x")
		if (status == 0) != tt.ok {
			t.Errorf("Mosquitto answers %s with %q by status %d: %s", tt.user, tt.password, status, stderr)
		}
	}
}

// TestHostile25: who is not to read the broker's figures cannot subscribe to
// them, in either protocol; and nobody can make them up.
func TestHostile25(t *testing.T) {
	t.Parallel()
	b := attacked(t, knowing(passwords(t, "ops", "secret", "ann", "secret")), "sys_topics.allow=[192.0.2.0/24]", "sys_topics.users=[ops]")
	as := func(user string) func(*paho.Connect) {
		return func(c *paho.Connect) {
			c.Username, c.UsernameFlag, c.Password, c.PasswordFlag = user, true, []byte("secret"), true
		}
	}
	ops, ann := b.mqtt5(t, "ops", as("ops")), b.mqtt5(t, "ann", as("ann"))
	for _, filter := range []string{"$SYS/#", "$SYS/broker/uptime", "$SYS/+/uptime", "$share/g/$SYS/#"} {
		a, err := ann.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}})
		if err == nil || a == nil || len(a.Reasons) != 1 || a.Reasons[0] != 0x87 && !strings.HasPrefix(filter, "$share") {
			t.Errorf("SUBSCRIBE to %s is answered by %+v, %v; want 0x87", filter, a, err)
		}
	}
	ann.subscribe("#", 1)
	ann.subscribe("+/broker/uptime", 1)
	a, err := ops.Publish(t.Context(), &paho.Publish{Topic: "$SYS/broker/uptime", QoS: 1, Payload: []byte("forged")})
	if err == nil || a == nil || a.ReasonCode != 0x87 {
		t.Errorf("PUBLISH to $SYS is answered by %+v, %v; want 0x87", a, err)
	}
	ops.subscribe("$SYS/broker/uptime", 0)
	if m := ops.receive(); m.topic != "$SYS/broker/uptime" || m.payload == "forged" {
		t.Errorf("a reader of figures gets %v", m)
	}
	ops.publish("mark", "x", 1, false)
	want(t, ann.receive(), message{"mark", "x", 1, false})

	c := b.rawMQTT(t)
	c.send("10 0e | 0004 4d515454 04 02 003c | 0002 6372 | 82 0b 0001 0006 245359532f23 00")
	var said [9]byte
	for n := 0; n < len(said); {
		m, err := c.Read(said[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if said != [9]byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 0x80} {
		t.Errorf("MQTT 3.1.1 is told %x, want CONNACK and SUBACK 80", said)
	}

	forwarder := b.socket()
	for _, s := range []*sensor{b.sensor("sensor"), forwarder.sensor(b, "node", "\x12\x34")} {
		s.connect(true)
		s.send(&mqttsn.Subscribe{QoS: 0, ID: 7, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("$SYS/#")}})
		if ack := expect[*mqttsn.Suback](s); ack.Reason == 0 {
			t.Errorf("%s may subscribe to $SYS", s.id)
		}
	}
}

// TestTLSAndPasswords: configs/tls-passwd.yaml is right as it stands, and lets
// in by TLS who has a password.
func TestTLSAndPasswords(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../configs/tls-passwd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthority(t)
	files := a.issue("server", "broker", nil)
	config := configure(t, strings.NewReplacer(
		"/etc/dormouse/tls/server.crt", files.cert,
		"/etc/dormouse/tls/server.key", files.key,
		"/etc/dormouse/passwd", passwords(t, "ann", "secret"),
	).Replace(string(text)))
	if status, stdout, stderr := run(t, "check", "-c", config); status != 0 || stdout != "ok\n" {
		t.Fatalf("dormouse check ends with status %d: %s", status, stderr)
	}
	args := []string{"-c", config, "--set", "admin.listen=127.0.0.1:0", "--set", "admin.unix_socket=" + socketPath(t)}
	for _, listener := range []string{"mqtt", "tls", "wss", "sn"} {
		args = append(args, "--set", "listeners."+listener+".address=127.0.0.1:0")
	}
	b := launch(t, args...)
	if status := b.tryTLS(t, "--cafile", a.file, "-u", "ann", "-P", "secret"); status != 0 {
		t.Errorf("ann's mosquitto_pub ends with status %d, want 0", status)
	}
	for _, wrong := range []string{"other", ""} {
		if status := b.tryTLS(t, "--cafile", a.file, "-u", "ann", "-P", wrong); status == 0 {
			t.Errorf("mosquitto_pub as ann is let in with password %q", wrong)
		}
	}
	if status := b.stop(); status != 0 {
		t.Errorf("dormouse serve ended with status %d after SIGTERM, want 0", status)
	}
}
