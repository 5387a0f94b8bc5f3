package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// onData runs a broker with these data, which is to be killed.
func onData(t *testing.T, data string, settings ...string) *broker {
	t.Helper()
	var args []string
	for _, s := range append(append(free[:len(free):len(free)], "admin.unix_socket="+socketPath(t), "data_dir="+data), settings...) {
		args = append(args, "--set", s)
	}
	return launch(t, args...)
}

// crash ends the broker by kill -9 and starts another on its addresses and data.
func (b *broker) crash(t *testing.T, data string) *broker {
	t.Helper()
	b.process.Process.Kill()
	await(t, b.ended, "end of the broker")
	return start(t, "data_dir="+data, "listeners.mqtt.address="+b.tcp.String(), "listeners.sn.address="+b.udp.String())
}

func keptSession(o *mqtt.ClientOptions) { o.SetCleanSession(false) }

// TestKilled: after kill -9 of the server there is all that it had
// acknowledged. A sensor asleep notices nothing, and who was connected is lost.
func TestKilled(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	b := onData(t, data)
	valve := b.sensor("valve")
	valve.connectFor(false, time.Hour)
	valve.subscribe("command/+", 1)
	report := valve.register("report")
	valve.sleep(time.Hour)
	keeper := b.mqtt3(t, "keeper", keptSession)
	for _, filter := range []string{"q", "will", "report"} {
		keeper.subscribe(filter, 2)
	}
	keeper.disconnect()
	b.mosquittoSub(t, "nothing", 0, "--will-topic", "will", "--will-payload", "gone", "--will-qos", "1")
	b.mosquittoPub(t, "state", "on", 1, "-r")
	for _, payload := range []string{"1", "2", "3"} {
		b.mosquittoPub(t, "q", payload, 2)
		b.mosquittoPub(t, "command/open", payload, 1)
	}

	b = b.crash(t, data)
	want(t, b.mosquittoSub(t, "state", 1).receive(), message{"state", "on", 1, true})
	wishes := []message{{"command/open", "1", 1, false}, {"command/open", "2", 1, false}, {"command/open", "3", 1, false}}
	if got := valve.wake(); !slices.Equal(got, wishes) {
		t.Errorf("the valve wakes to %v, want %v", got, wishes)
	}
	valve.connectFor(false, time.Hour)
	valve.publish(report, "open", 1, false) // under the topic id that it had
	keeper = b.mqtt3(t, "keeper", keptSession)
	heard := make(map[string][]message) // the will comes when it comes
	for range 5 {
		m := keeper.receive()
		heard[m.topic] = append(heard[m.topic], m)
	}
	wanted := map[string][]message{
		"q":      {{"q", "1", 2, false}, {"q", "2", 2, false}, {"q", "3", 2, false}},
		"will":   {{"will", "gone", 1, false}},
		"report": {{"report", "open", 1, false}},
	}
	if !reflect.DeepEqual(heard, wanted) {
		t.Errorf("the keeper hears %v, want %v", heard, wanted)
	}
}

// TestKilledWithoutDisk: what is not durable says so wherever one looks, and is
// as it says.
func TestKilledWithoutDisk(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	b := onData(t, data, "durability.store=memory")
	says := "Nothing is on disk"
	if _, body := b.get(t, "/readyz"); !strings.Contains(body, says) || !strings.Contains(b.log.String(), says) {
		t.Errorf("/readyz says %q, the log\n%s", body, b.log)
	}
	if m := b.mosquittoSub(t, "$SYS/broker/store/durability", 0).receive(); m.payload != "memory" {
		t.Errorf("$SYS says %v", m)
	}
	b.mosquittoPub(t, "state", "on", 1, "-r")
	b.wantFailure(t, 1, "nothing is on disk", "backup", "create", filepath.Join(t.TempDir(), "copy"))
	b = b.crash(t, data)
	if _, body := b.get(t, "/readyz"); body != "ok\n" {
		t.Errorf("with the store /readyz says %q", body)
	}
	b.wantFailure(t, 1, "nothing is retained", "retained", "get", "state")
}

// TestHostile23FilesArePrivate: no file and no directory of the data is anybody
// else's to read, though the process was told that others may.
func TestHostile23FilesArePrivate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	before := syscall.Umask(0)
	b := start(t, "data_dir="+data)
	syscall.Umask(before)
	b.mosquittoPub(t, "state", "on", 1, "-r")
	files := 0
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		is, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the store has replaced it
		}
		if err == nil && is.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, is.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestHostile23OthersMayReadTheData: then the server does not start, and says what to do.
func TestHostile23OthersMayReadTheData(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := run(t, "serve", "--set", "data_dir="+data)
	if status != 3 || stdout != "" || !strings.Contains(stderr, "chmod 700 "+data) {
		t.Errorf("it ends with status %d and says %q %q", status, stdout, stderr)
	}
}

// TestFullDisk: below limits.disk_free_min, which no disk meets here, what must
// be kept is refused and the rest goes on; everyone is told.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := start(t, "limits.disk_free_min=1TiB")
	sub := b.mosquittoSub(t, "a", 0)
	if status, body := b.get(t, "/readyz"); status != 503 || !strings.Contains(body, "The disk is full") {
		t.Errorf("/readyz answers %d, %q", status, body)
	}
	b.mosquittoPub(t, "a", "QoS 0 goes on", 0)
	want(t, sub.receive(), message{"a", "QoS 0 goes on", 0, false})
	status, _, stderr := runProgram(t, "", "mosquitto_pub", "-V", "5", "-p", port(b.tcp), "-t", "a", "-m", "x", "-q", "1", "-r", "-d")
	if !strings.Contains(stderr, "Quota exceeded") && !strings.Contains(stderr, "151") {
		t.Errorf("mosquitto_pub at QoS 1 ends with status %d: %s", status, stderr)
	}
	if _, body := b.get(t, "/metrics"); !strings.Contains(body, "\ndormouse_store_full 1\n") || !strings.Contains(body, "dormouse_store_sync_seconds_bucket") {
		t.Errorf("the metrics say\n%s", body)
	}
}

// TestFailedDisk: when a write fails for good the server acknowledges nothing
// more and ends with status 1 and the reason; what it had acknowledged is there.
func TestFailedDisk(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	b := &broker{t: t, log: new(transcript), ended: make(chan struct{})}
	args := []string{"-c", `ulimit -f 300; exec "$@"`, "bash", dormouse, "serve", "--set", "data_dir=" + data, // blocks of 1 KiB
		"--set", "admin.unix_socket=" + socketPath(t)}
	for _, s := range free {
		args = append(args, "--set", s)
	}
	b.process = exec.Command("bash", args...)
	b.process.Stderr = b.log
	stdout, err := b.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.process.Process.Kill() })
	if err := b.readAddresses(stdout); err != nil {
		t.Fatal(err)
	}
	go func() {
		b.process.Wait()
		close(b.ended)
	}()

	p := b.mqtt5(t, "p", nil)
	payload := make([]byte, 50<<10)
	rand.NewChaCha8([32]byte{}).Read(payload)
	acknowledged := 0
	for acknowledged < 100 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := p.Publish(ctx, &paho.Publish{Topic: fmt.Sprint("t/", acknowledged), Payload: payload, QoS: 1, Retain: true})
		cancel()
		if err != nil {
			break
		}
		acknowledged++
	}
	await(t, b.ended, "end of the broker")
	reason := "dormouse serve: the store has failed and takes nothing more: cannot write " + data
	if status := b.process.ProcessState.ExitCode(); status != 1 || !strings.Contains(b.log.String(), reason) || !strings.Contains(b.log.String(), `"store_failed"`) {
		t.Errorf("after %d messages it ends with status %d and says\n%s", acknowledged, status, b.log)
	}
	b = start(t, "data_dir="+data)
	status, stdoutText, stderr := b.operate(t, "retained", "ls", "t/#", "-o", "json")
	if n := strings.Count(stdoutText, `"topic"`); n < acknowledged || acknowledged == 0 {
		t.Errorf("of %d messages that were acknowledged %d are there; status %d, %s", acknowledged, n, status, stderr)
	}
}
