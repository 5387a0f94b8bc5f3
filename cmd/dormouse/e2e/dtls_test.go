package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn"
)

// TestDTLSOutlivesAKill: sensors that have done a handshake never do another: not
// behind another address, and not with a server that was killed. What was
// acknowledged is there.
func TestDTLSOutlivesAKill(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	dtls := "psk_file: " + pskFile(t, map[string]byte{"one": 1, "two": 2})
	b := onData(t, data, overDTLS(nil, dtls))
	app := b.mqtt3(t, "app", keptSession)
	app.subscribe("up/+", 1)
	var sensors []*sensor
	var nats []*nat
	topics := make(map[*sensor]mqttsn.Topic)
	for i, id := range []string{"one", "two"} {
		over, n := b.secureSocket(byKey(id, byte(1+i))...)
		s := over.sensor(b, id, "")
		s.connectFor(false, time.Hour)
		s.subscribe("down/"+id, 1)
		topics[s] = s.register("up/" + id)
		s.sleep(time.Hour)
		sensors, nats = append(sensors, s), append(nats, n)
	}
	round := func(text string) {
		t.Helper()
		for i, s := range sensors {
			b.publish(t, "down/"+s.id, text, 1)
			nats[i].rebind()
			if got, want := s.wake(), []message{{"down/" + s.id, text, 1, false}}; !slices.Equal(got, want) {
				t.Errorf("%s wakes to %v, want %v", s.id, got, want)
			}
		}
	}
	round("first")
	round("second")
	if n := b.metric(t, "dormouse_dtls_handshakes_done_total"); n != "2" {
		t.Errorf("%s handshakes, want 2", n)
	}
	app.disconnect()
	b.publish(t, "down/one", "before", 1)

	b.process.Process.Kill()
	await(t, b.ended, "end of the broker")
	b = start(t, "data_dir="+data, overDTLS(b, dtls))
	for i, s := range sensors {
		s.b = b
		nats[i].rebind()
	}
	if got, want := sensors[0].wake(), []message{{"down/one", "before", 1, false}}; !slices.Equal(got, want) {
		t.Errorf("one wakes to %v, want %v", got, want)
	}
	if got := sensors[1].wake(); len(got) > 0 {
		t.Errorf("two wakes to %v, which is not for it", got)
	}
	round("third")
	app = b.mqtt3(t, "app", keptSession)
	for _, s := range sensors {
		s.connectFor(false, time.Hour)
		s.publish(topics[s], "up", 1, false)
		want(t, app.receive(), message{"up/" + s.id, "up", 1, false})
	}
	for name, want := range map[string]string{"dormouse_dtls_handshakes_begun_total": "0", "dormouse_dtls_associations": "2"} {
		if n := b.metric(t, name); n != want {
			t.Errorf("%s is %s after the restart, want %s", name, n, want)
		}
	}
}

// TestDTLSChangedWhileStopped: who has another key when the server comes back, or
// none, needs a handshake; who has the same needs none. If fewer may be than
// there are, the server starts all the same, with those that were heard last.
func TestDTLSChangedWhileStopped(t *testing.T) {
	t.Parallel()
	data := "data_dir=" + filepath.Join(t.TempDir(), "data")
	file := pskFile(t, map[string]byte{"stays": 1, "renewed": 2, "goes": 3})
	b := start(t, data, overDTLS(nil, "psk_file: "+file))
	sensors := make(map[string]*sensor)
	for i, id := range []string{"stays", "renewed", "goes"} {
		over, _ := b.secureSocket(byKey(id, byte(1+i))...)
		sensors[id] = over.sensor(b, id, "")
		sensors[id].connect(false)
	}
	restart := func(dtls, associations string) {
		t.Helper()
		if status := b.stop(); status != 0 {
			t.Fatalf("dormouse serve ended with status %d", status)
		}
		b = start(t, data, overDTLS(b, "psk_file: "+file+dtls))
		for _, s := range sensors {
			s.b = b
		}
		if n := b.metric(t, "dormouse_dtls_associations"); n != associations {
			t.Fatalf("%s associations, want %s", n, associations)
		}
	}
	writeKeys(t, file, map[string]byte{"stays": 1, "renewed": 4})
	restart("", "1")
	b.wantLogged(t, "associations_void", 1)
	sensors["stays"].search()
	if _, _, err := b.trySecure(3*time.Second, byKey("renewed", 2)...); err == nil {
		t.Error("the old key is good for a handshake")
	}
	over, _ := b.secureSocket(byKey("renewed", 4)...)
	sensors["renewed"] = over.sensor(b, "renewed", "")
	sensors["renewed"].connect(false)
	if n := b.metric(t, "dormouse_dtls_handshakes_done_total"); n != "1" {
		t.Errorf("%s handshakes, want that of the one with a new key", n)
	}
	restart(", max_associations: 1", "1")
	b.wantLogged(t, "associations_crowded", 1)
}

// TestDTLSWithoutSync: what may be lost with the process would come back to
// numbers that it has used. So with any other durability.sync than always nobody
// is known after a restart, nor whoever was known before: a handshake is needed.
func TestDTLSWithoutSync(t *testing.T) {
	t.Parallel()
	data := "data_dir=" + filepath.Join(t.TempDir(), "data")
	dtls := "psk_file: " + pskFile(t, map[string]byte{"one": 1})
	for i, run := range []struct{ sync, known string }{{"always", "0"}, {"always", "1"}, {"interval:1s", "0"}, {"always", "0"}, {"none", "0"}} {
		b := start(t, data, overDTLS(nil, dtls), "durability.sync="+run.sync)
		if b.metric(t, "dormouse_dtls_associations") != run.known {
			t.Fatalf("run %d: %s associations, want %s", i, b.metric(t, "dormouse_dtls_associations"), run.known)
		}
		if i == 0 || run.sync != "always" {
			over, _ := b.secureSocket(byKey("one", 1)...)
			over.sensor(b, "one", "").connect(false)
		}
		if status := b.stop(); status != 0 {
			t.Fatalf("run %d ended with status %d", i, status)
		}
	}
}

// TestHostile47OverDTLS: under no policy does PINGREQ, DISCONNECT or CONNECT in
// the name of a sleeper bring another identity anything, nor whoever comes by
// another way and has none. The sleeper has what is its own, also by a new
// association.
func TestHostile47OverDTLS(t *testing.T) {
	t.Parallel()
	dtls := "psk_file: " + pskFile(t, map[string]byte{"sleeper": 1, "thief": 2})
	for _, policy := range []string{"never", "authenticated", "always"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			b := attacked(t, overDTLS(nil, dtls), "mqttsn.address_migration="+policy)
			over, _ := b.secureSocket(byKey("sleeper", 1)...)
			s := over.sensor(b, "sleeper", "")
			s.connect(false)
			s.subscribe("cmd", 1)
			s.sleep(time.Hour)
			b.publish(t, "cmd", "secret", 1)

			over, _ = b.secureSocket(byKey("thief", 2)...)
			thief := over.sensor(b, "sleeper", "")
			thief.send(&mqttsn.Pingreq{ClientID: []byte("sleeper")})
			expect[*mqttsn.Disconnect](thief)
			b.wantLogged(t, "hijack_attempt", 1)
			for _, clean := range []bool{false, true} {
				thief.send(&mqttsn.Connect{CleanSession: clean, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("sleeper")})
				if c := expect[*mqttsn.Connack](thief); c.Reason == mqttsn.Accepted {
					t.Errorf("it may connect as the sleeper, clean: %v", clean)
				}
			}
			plain := b.sensor("sleeper")
			plain.send(&mqttsn.Pingreq{ClientID: []byte("sleeper")})
			expect[*mqttsn.Disconnect](plain)
			for _, who := range []*sensor{thief, plain} {
				for _, asleep := range []time.Duration{0, time.Second} {
					who.send(&mqttsn.Disconnect{Duration: asleep})
					expect[*mqttsn.Disconnect](who)
				}
			}
			for _, clean := range []bool{false, true} {
				plain.send(&mqttsn.Connect{CleanSession: clean, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("sleeper")})
				if c := expect[*mqttsn.Connack](plain); c.Reason == mqttsn.Accepted {
					t.Errorf("it may connect as the sleeper over plain UDP, clean: %v", clean)
				}
			}
			for _, more := range [][]string{{"-u", "sleeper", "-P", "x"}, {"-c", "-u", "sleeper", "-P", "x"}, {}, {"-c"}} {
				if status, _, _ := runProgram(t, "", "mosquitto_sub", append([]string{"-h", "127.0.0.1", "-p", port(b.tcp), "-i", "sleeper", "-t", "cmd", "-q", "1", "-E"}, more...)...); status == 0 {
					t.Errorf("it may connect as the sleeper by MQTT, with %v", more)
				}
			}
			thief.hearsNothing()
			plain.hearsNothing()

			if policy != "never" { // it has lost its association
				over, _ = b.secureSocket(byKey("sleeper", 1)...)
				again := over.sensor(b, "sleeper", "")
				again.topics = s.topics
				s = again
			}
			if got := s.wake(); len(got) != 1 || got[0].payload != "secret" {
				t.Errorf("the wake brings %v, want the message", got)
			}
		})
	}
}

// TestDTLSReload: on SIGHUP keys are read again. Who has another key by then, or
// none, has to prove who it is; all others notice nothing. A broken file changes
// nothing.
func TestDTLSReload(t *testing.T) {
	t.Parallel()
	file := pskFile(t, map[string]byte{"stays": 1, "goes": 2, "renewed": 3})
	b := start(t, overDTLS(nil, "psk_file: "+file+", handshake_timeout: 1s"))
	sensors := make(map[string]*sensor)
	for i, id := range []string{"stays", "goes", "renewed"} {
		over, _ := b.secureSocket(byKey(id, byte(1+i))...)
		sensors[id] = over.sensor(b, id, "")
		sensors[id].connect(true)
	}
	if err := os.WriteFile(file, []byte("stays:xyz\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reload_failed", 1)
	if log := b.log.String(); !strings.Contains(log, file+":1: ") || strings.Contains(log, "xyz") {
		t.Errorf("the log does not say which line is wrong, or says what is in it:\n%s", log)
	}
	for _, s := range sensors {
		s.search()
	}
	writeKeys(t, file, map[string]byte{"stays": 1, "renewed": 4, "new": 5})
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reloaded", 1)
	sensors["stays"].search()
	if n := b.metric(t, "dormouse_dtls_associations"); n != "1" {
		t.Errorf("%s associations are left, want 1", n)
	}
	for id, key := range map[string]byte{"goes": 2, "renewed": 3} {
		if _, _, err := b.trySecure(3*time.Second, byKey(id, key)...); err == nil {
			t.Errorf("%s gets in with a key that is no more", id)
		}
	}
	for id, key := range map[string]byte{"renewed": 4, "new": 5} {
		over, _ := b.secureSocket(byKey(id, key)...)
		over.sensor(b, id, "").connect(true)
	}
}

// TestDTLSCertificates: a sensor that shows a certificate is who that names, to
// the rules; who shows none, or one of another authority, does not get in.
func TestDTLSCertificates(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	server, mine := a.issue("server", "gateway", nil), a.issue("sensor7", "sensor7", nil)
	b := start(t, overDTLS(nil, fmt.Sprintf("cert_file: %s, key_file: %s, client_ca_file: %s, handshake_timeout: 1s", server.cert, server.key, a.file)),
		"acl.rules=[{allow: publish, listener: sns, topic: \"of/{identity}\"}, {allow: all, listener: mqtt, topic: \"#\"}]")
	app := b.mqtt3(t, "app", nil)
	app.subscribe("#", 1)
	over, _ := b.secureSocket(byCertificate(t, a, mine)...)
	s := over.sensor(b, "s", "")
	s.connect(true)
	s.publish(s.register("of/other"), "no", 0, false)
	s.publish(s.register("of/sensor7"), "yes", 0, false)
	want(t, app.receive(), message{"of/sensor7", "yes", 0, false})
	foreign := byCertificate(t, a, other.issue("sensor8", "sensor8", nil))
	if _, _, err := b.trySecure(3*time.Second, foreign...); err == nil {
		t.Error("a certificate of another authority is believed")
	}
	anonymous := []piondtls.ClientOption{piondtls.WithRootCAs(a.trusted().RootCAs), piondtls.WithServerName("127.0.0.1"), withCID}
	if _, _, err := b.trySecure(3*time.Second, anonymous...); err == nil {
		t.Error("who shows no certificate gets in")
	}
}

// TestDTLSCommands: dormouse pub and sub speak DTLS by a key or a certificate,
// and say so if they are not let in.
func TestDTLSCommands(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	server, mine := a.issue("server", "gateway", nil), a.issue("mine", "mine", nil)
	b := start(t, overDTLS(nil, fmt.Sprintf("psk_file: %s, cert_file: %s, key_file: %s, client_ca_file: %s, handshake_timeout: 1s",
		pskFile(t, map[string]byte{"me": 1}), server.cert, server.key, a.file)))
	byKey := []string{"-p", port(b.dtls), "--psk-identity", "me", "--psk", hex.EncodeToString(pskOf(1))}
	byCertificate := []string{"-p", port(b.dtls), "--cafile", a.file, "--cert", mine.cert, "--key", mine.key}
	for name, flags := range map[string][2][]string{"key": {byKey, byCertificate}, "certificate": {byCertificate, byKey}} {
		sub := spawn(t, dormouse, append([]string{"sub", "--sn", "-t", name, "-q", "1", "-d"}, flags[0]...)...)
		sub.errs.eventually(t, "SUBACK")
		if status, _, stderr := run(t, append([]string{"pub", "--sn", "-t", name, "-q", "1", "-m", "hello " + name}, flags[1]...)...); status != 0 {
			t.Fatalf("dormouse pub ends with status %d: %s", status, stderr)
		}
		if got := sub.line(); !strings.Contains(got, "hello "+name) {
			t.Errorf("dormouse sub prints %q", got)
		}
	}
	for _, flags := range [][]string{{"--psk-identity", "me", "--psk", hex.EncodeToString(pskOf(2))}, {"--cafile", a.file}, {"--cert", mine.cert, "--key", mine.key}} {
		status, _, stderr := run(t, append([]string{"pub", "-t", "a", "-m", "x", "-q", "1", "-p", port(b.dtls)}, flags...)...)
		if status != 4 || !strings.Contains(stderr, "DTLS with "+b.dtls.String()) {
			t.Errorf("with %v dormouse pub ends with status %d: %s", flags, status, stderr)
		}
	}
	b.wantLogged(t, "handshake_failed", 2)
	if !strings.Contains(b.log.String(), `it says that it is \"me\"`) {
		t.Errorf("the log does not say whose key is wrong:\n%s", b.log)
	}
}

// TestDTLSExample: configs/dtls-psk.yaml is right as it stands: a sensor has what
// is its own, by its own name, and no more.
func TestDTLSExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../configs/dtls-psk.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := configure(t, strings.ReplaceAll(string(text), "/etc/dormouse/psk", pskFile(t, map[string]byte{"sensor7": 7, "sensor8": 8})))
	if status, stdout, stderr := run(t, "check", "-c", file); status != 0 || stdout != "ok\n" {
		t.Fatalf("dormouse check ends with status %d: %s", status, stderr)
	}
	args := []string{"-c", file, "--set", "admin.listen=127.0.0.1:0", "--set", "admin.unix_socket=" + socketPath(t)}
	for _, listener := range []string{"mqtt", "sns"} {
		args = append(args, "--set", "listeners."+listener+".address=127.0.0.1:0")
	}
	b := launch(t, args...)
	app := b.mqtt3(t, "app", nil)
	app.subscribe("sensors/#", 1)
	over, _ := b.secureSocket(byKey("sensor7", 7)...)
	s := over.sensor(b, "sensor8", "")
	s.send(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("sensor8")})
	if c := expect[*mqttsn.Connack](s); c.Reason == mqttsn.Accepted {
		t.Error("sensor7 is let in as sensor8")
	}
	s.id = "sensor7-a"
	s.connect(true)
	s.publish(s.register("sensors/sensor8/t"), "no", 0, false)
	s.publish(s.register("sensors/sensor7/t"), "21", 0, false)
	want(t, app.receive(), message{"sensors/sensor7/t", "21", 0, false})
	b.wantLogged(t, `client_connected","client":"sensor7-a","user":"sensor7`, 1)
	b.wantLogged(t, `publish_refused","client":"sensor7-a","user":"sensor7","listener":"sns`, 1)
	if status := b.stop(); status != 0 {
		t.Errorf("dormouse serve ended with status %d after SIGTERM, want 0", status)
	}
}

// TestDTLSOpenSSL: openssl s_client, which knows no connection ids, connects.
func TestDTLSOpenSSL(t *testing.T) {
	t.Parallel()
	b := start(t, overDTLS(nil, "psk_file: "+pskFile(t, map[string]byte{"peer": 1})))
	client := exec.Command("openssl", "s_client", "-dtls1_2", "-quiet", "-no_ign_eof", "-connect", b.dtls.String(),
		"-psk_identity", "peer", "-psk", hex.EncodeToString(pskOf(1)), "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0")
	in, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	defer client.Wait()
	defer client.Process.Kill()
	in.Write(unhex(t, "0a 04 | 04 01 003c | 70656572"))
	connack := make([]byte, 3)
	if _, err := io.ReadFull(out, connack); err != nil || !bytes.Equal(connack, unhex(t, "03 05 | 00")) {
		t.Errorf("it got %x, %v", connack, err)
	}
	in.Close() // and so it says goodbye
	b.wantMetric(t, "dormouse_dtls_associations", "0")
}
