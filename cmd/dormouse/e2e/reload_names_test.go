package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestReloadClientIDs: a pattern that comes by a reload is for those who are
// there, too, connected or asleep: whoever may not be called so is parted with,
// and does not come back. One that is no pattern changes nothing, and of what
// takes a restart the command says so.
func TestReloadClientIDs(t *testing.T) {
	t.Parallel()
	users := passwords(t, "ann", "secret")
	file := configure(t, "")
	pattern := func(text, bind string) {
		t.Helper()
		text = fmt.Sprintf("auth:\n  providers: [{type: passwd, file: %q}]\n  client_id: {pattern: '%s', bind: %s}\n", users, text, bind)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pattern("", "identity")
	args := []string{"-c", file}
	for _, s := range append(free[:len(free):len(free)], "admin.unix_socket="+socketPath(t)) {
		args = append(args, "--set", s)
	}
	b := launch(t, args...)
	b.settle(t)
	bad, good := b.mqtt3(t, "a/b", nil), b.mqtt3(t, "good", nil)
	sensors := make(map[string]*sensor)
	for _, id := range []string{"s+1", "s1"} {
		s := b.sensor(id)
		s.connect(false)
		s.subscribe("cmd", 1)
		s.sleep(time.Hour)
		sensors[id] = s
	}
	b.publish(t, "cmd", "waits", 1)

	pattern("^[a-z0-9", "identity")
	if status, stdout, stderr := b.operate(t, "reload"); status != 2 || !strings.Contains(stderr, "auth.client_id.pattern") {
		t.Errorf("reload with half a pattern ends with status %d: %s%s", status, stdout, stderr)
	}
	good.subscribe("still/there", 0)
	bad.subscribe("still/there", 0)

	pattern("^[a-z0-9]+$", "prefix")
	if status, stdout, stderr := b.operate(t, "reload"); status != 0 || stdout != "reloaded\n" || stderr != "dormouse reload: a restart would change auth.client_id.bind\n" {
		t.Errorf("reload ends with status %d and says %q, %q", status, stdout, stderr)
	}
	await(t, bad.lost, "end of who may not be called so any more")
	good.publish("still/there", "x", 1, false)
	want(t, good.receive(), message{"still/there", "x", 0, false})
	if got := b.login(t, "ann", "secret"); got != 0 {
		t.Errorf("ann is answered by 0x%02x", got)
	}
	if mail := sensors["s1"].wake(); len(mail) != 1 || mail[0].payload != "waits" {
		t.Errorf("a sleeper that may be called so wakes to %v", mail)
	}
	s := sensors["s+1"]
	s.send(&mqttsn.Pingreq{ClientID: []byte("s+1")})
	expect[*mqttsn.Disconnect](s)
	s.send(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("s+1")})
	s.wantConnack(mqttsn.NotSupported)
	s.hearsNothing()
	if status := b.stop(); status != 0 {
		t.Errorf("dormouse serve ended with status %d after SIGTERM, want 0", status)
	}
}
