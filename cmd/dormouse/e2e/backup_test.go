package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestBackup: one file, made while all goes on, is put back elsewhere, with all
// that was acknowledged before it was asked for.
func TestBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, file, other := filepath.Join(dir, "data"), filepath.Join(dir, "monday.tar.gz"), filepath.Join(dir, "other")
	b := onData(t, data)
	keeper := b.mqtt3(t, "keeper", keptSession)
	keeper.subscribe("q", 1)
	keeper.disconnect()
	b.mosquittoPub(t, "state", "on", 1, "-r")
	b.mosquittoPub(t, "q", "before", 1)
	b.wantOutput(t, nil, "backup", "create", file)
	b.wantFailure(t, 1, file+" is there already", "backup", "create", file)
	if is, err := os.Stat(file); err != nil || is.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", is.Mode(), err)
	}
	b.wantFailure(t, 1, "no such file or directory", "backup", "create", filepath.Join(dir, "none", "copy"))
	status, streamed, stderr := b.operate(t, "backup", "create", "-")
	if status != 0 {
		t.Errorf("to standard output: status %d, %s", status, stderr)
	}
	b.mosquittoPub(t, "q", "after", 1)
	wantStatus(t, 3, data+": it is in use", "store", "inspect", "--set", "data_dir="+data)
	wantStatus(t, 3, data+": it is in use", "serve", "--set", "data_dir="+data)
	wantStatus(t, 3, data+": it is in use", "backup", "restore", file, "--set", "data_dir="+data)
	wantStatus(t, 0, "1 sessions, 1 subscriptions, 2 messages, 1 retained, 1 waiting", "backup", "verify", file)
	if status, stdout, stderr := runProgram(t, streamed, dormouse, "backup", "verify", "-"); status != 0 || !strings.HasPrefix(stdout, "1 sessions") {
		t.Errorf("what came to standard output has %q; status %d, %s", stdout, status, stderr)
	}
	wantStatus(t, 0, "1 sessions", "backup", "restore", file, "--set", "data_dir="+other)
	wantStatus(t, 2, other+": it is not empty", "backup", "restore", file, "--set", "data_dir="+other)

	elsewhere := start(t, "data_dir="+other)
	keeper = elsewhere.mqtt3(t, "keeper", keptSession)
	want(t, keeper.receive(), message{"q", "before", 1, false})
	elsewhere.publish(t, "q", "new", 1)
	want(t, keeper.receive(), message{"q", "new", 1, false})

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	third := filepath.Join(dir, "third")
	wantStatus(t, 1, short+": it is cut off", "backup", "verify", short)
	wantStatus(t, 1, short+": restore to "+third+": it is cut off", "backup", "restore", short, "--set", "data_dir="+third)
	wantStatus(t, 1, "no backup", "backup", "verify", dormouse)
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// wantStatus has the command end so and say that.
func wantStatus(t *testing.T, status int, says string, args ...string) {
	t.Helper()
	got, stdout, stderr := run(t, args...)
	if got != status || !strings.Contains(stdout+stderr, says) {
		t.Errorf("dormouse %v ends with status %d and prints %q and %q; want %d and %q", args, got, stdout, stderr, status, says)
	}
}

// TestInspectStore: what a server had kept when it was killed is to be seen
// without it, and how a store that cannot be opened is reported.
func TestInspectStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	b := onData(t, data)
	keeper := b.mqtt3(t, "keeper", keptSession)
	keeper.subscribe("q", 1)
	keeper.disconnect()
	valve := b.sensor("valve")
	valve.connectFor(false, time.Hour)
	valve.subscribe("command/+", 1)
	valve.sleep(time.Hour)
	b.mosquittoPub(t, "state", "on", 1, "-r")
	b.mosquittoPub(t, "q", "before", 1)
	b.process.Process.Kill()
	await(t, b.ended, "end of the broker")

	inspect := func(args ...string) (out string) {
		t.Helper()
		status, out, stderr := run(t, append([]string{"store", "inspect", "--set", "data_dir=" + data}, args...)...)
		if status != 0 {
			t.Errorf("store inspect %v ends with status %d: %s", args, status, stderr)
		}
		return out
	}
	inJSON := func(into any, args ...string) {
		t.Helper()
		if out := inspect(append(args, "-o", "json")...); json.Unmarshal([]byte(out), into) != nil {
			t.Errorf("store inspect %v prints %s", args, out)
		}
	}
	for _, tt := range []struct {
		args  []string
		lines []string
	}{
		{nil, []string{`data_dir +` + data + `, \d+ octets`, `sessions +2, 1 of them asleep`, `messages +2, 1 of them retained`, `waiting +1`}},
		{[]string{"--sessions"}, []string{`keeper +- .* 1 +1 +7 +0 +0s +20`, `valve +asleep +sn +127\.0\.0\.1:\d+ +- +1 +0 +0 +0 +1h0m0s +20`}},
		{[]string{"--session", "keeper"}, []string{`waiting +1 messages, 7 octets`, ` q, QoS 1`}},
		{[]string{"--session", "valve"}, []string{`state +asleep`, `sleeps +1h0m0s at a time; lost at 20`, `topic ids +\d`}},
		{[]string{"--topic", "state"}, []string{`^on$`}},
	} {
		out := inspect(tt.args...)
		for _, line := range tt.lines {
			if !regexp.MustCompile("(?m)" + line).MatchString(out) {
				t.Errorf("store inspect %v prints no line %q:\n%s", tt.args, line, out)
			}
		}
	}
	var counts struct{ Sessions, Asleep, Waiting, Retained, Bytes int }
	var sessions []struct {
		ID, State string
		LostAt    time.Time `json:"lost_at"`
	}
	var retained struct {
		Payload   string
		Published time.Time
	}
	inJSON(&counts)
	inJSON(&sessions, "--sessions")
	inJSON(&retained, "--topic", "state")
	if counts.Sessions != 2 || counts.Asleep != 1 || counts.Waiting != 1 || counts.Retained != 1 || counts.Bytes == 0 {
		t.Errorf("counted are %+v", counts)
	}
	if len(sessions) != 2 || sessions[1].State != "asleep" || time.Until(sessions[1].LostAt) < time.Hour {
		t.Errorf("the sessions are %+v", sessions)
	}
	if retained.Payload != "on" || time.Since(retained.Published) > time.Hour {
		t.Errorf("retained is %+v", retained)
	}
	wantStatus(t, 1, `no session of "nobody"`, "store", "inspect", "--session", "nobody", "--set", "data_dir="+data)
	wantStatus(t, 1, `nothing is retained at "q"`, "store", "inspect", "--topic", "q", "--set", "data_dir="+data)
	wantStatus(t, 2, "can't be used together", "store", "inspect", "--topic", "q", "--sessions")

	// What is the matter, and what to do, has a status: 2, it is not the right
	// directory; 3, it is for somebody else; 1, it is damaged.
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "others"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "others", "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"serve"}, {"store", "inspect"}} {
		at := func(name string) []string {
			return append(command[:len(command):len(command)], "--set", "data_dir="+filepath.Join(dir, name), "--set", "admin.enabled=false")
		}
		wantStatus(t, 2, "it is no store: it is not a directory", at("file")...)
		wantStatus(t, 2, "it has letter in it", at("others")...)
		if err := os.WriteFile(filepath.Join(data, "MARK"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, 1, data+": it is damaged: MARK", at("data")...)
	}
	wantStatus(t, 2, "there is no such directory", "store", "inspect", "--set", "data_dir="+filepath.Join(dir, "none"))
}
