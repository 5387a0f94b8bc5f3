package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait: running out of it is a failure, and nothing is
// ever proven by it.
const patience = 15 * time.Second

// A broker is one running "dormouse serve".
type broker struct {
	t        testing.TB
	tcp, udp netip.AddrPort // MQTT, the last of them, and MQTT-SN
	allTCP   []netip.AddrPort
	tls      netip.AddrPort // MQTT over TLS, if there is
	dtls     netip.AddrPort // MQTT-SN over DTLS, if there is
	ws, wss  string         // URLs of MQTT over WebSocket, the latter if there is
	adminURL string         // of figures and health
	admin    string         // socket of operators
	process  *exec.Cmd
	log      *transcript   // standard error
	ended    chan struct{} // closed when the process is gone

	canaryOnce sync.Once
	canary     *client3 // of settle
}

// free are the settings of every broker: whatever ports are free, figures each
// second, and no rate that a test would meet that is not about rates.
var free = []string{
	"listeners.mqtt.address=127.0.0.1:0",
	"listeners.sn.address=127.0.0.1:0",
	"listeners.ws.address=127.0.0.1:0",
	"admin.listen=127.0.0.1:0",
	"sys_topics.interval=1s",
	"mqttsn.search.rate=1000/s",
	"limits.unauthenticated_udp.responses_per_prefix=1000/s",
	"mqttsn.qos_minus_one.rate_per_source=1000/s",
}

// start runs a broker until the test ends, with settings such as
// "mqttsn.retry.interval=1s". At the end it must go within ten seconds of
// SIGTERM, with status 0, without having panicked.
func start(t testing.TB, settings ...string) *broker {
	t.Helper()
	var args []string
	socket := "admin.unix_socket=" + socketPath(t)
	for _, s := range append(append(free[:len(free):len(free)], socket), settings...) {
		args = append(args, "--set", s)
	}
	b := launch(t, args...)
	t.Cleanup(func() {
		if status := b.stop(); status != 0 {
			t.Errorf("dormouse serve ended with status %d after SIGTERM, want 0", status)
		}
	})
	return b
}

// socketPath returns a path short enough for a unix socket, however long the
// test's name is.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dormouse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "admin.sock")
}

// configure writes a configuration file and returns its path.
func configure(t testing.TB, yaml string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dormouse.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// launch runs "dormouse serve" and waits until it is ready.
func launch(t testing.TB, args ...string) *broker {
	t.Helper()
	b := &broker{t: t, log: new(transcript), ended: make(chan struct{})}
	b.process = exec.Command(dormouse, append([]string{"serve"}, args...)...)
	b.process.Dir = t.TempDir()
	b.process.Stderr = b.log
	stdout, err := b.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.process.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan error, 1)
	go func() {
		ready <- b.readAddresses(stdout)
		io.Copy(io.Discard, stdout)
		b.process.Wait()
		close(b.ended)
	}()
	t.Cleanup(func() {
		b.process.Process.Kill()
		<-b.ended
		log := b.log.String()
		wrong := func(sign string) bool { return strings.Contains(log, sign) }
		if slices.ContainsFunc([]string{`"event":"panic"`, "panic: ", "panic serving", "fatal error: ", "DATA RACE"}, wrong) || t.Failed() { // what SIGQUIT has it write may name panic.go
			t.Errorf("dormouse serve wrote:\n%s", log)
		}
	})
	select {
	case err := <-ready:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("dormouse serve is not ready")
	}
	return b
}

// readAddresses reads what the broker opened, up to the line "ready".
func (b *broker) readAddresses(stdout io.Reader) error {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		line := lines.Text()
		var err error
		if rest, ok := strings.CutPrefix(line, "MQTT on "); ok {
			b.tcp, err = netip.ParseAddrPort(strings.TrimSuffix(rest, "/tcp"))
			b.allTCP = append(b.allTCP, b.tcp)
		} else if rest, ok := strings.CutPrefix(line, "MQTT-SN on "); ok {
			b.udp, err = netip.ParseAddrPort(strings.TrimSuffix(rest, "/udp"))
		} else if rest, ok := strings.CutPrefix(line, "MQTT-SN over DTLS on "); ok {
			b.dtls, err = netip.ParseAddrPort(strings.TrimSuffix(rest, "/udp"))
		} else if rest, ok := strings.CutPrefix(line, "MQTT over TLS on "); ok {
			b.tls, err = netip.ParseAddrPort(strings.TrimSuffix(rest, "/tcp"))
		} else if rest, ok := strings.CutPrefix(line, "MQTT over WebSocket on "); ok && strings.HasPrefix(rest, "ws:") {
			b.ws = rest
		} else if ok {
			b.wss = rest
		} else if rest, ok := strings.CutPrefix(line, "Admin on "); ok {
			b.adminURL, b.admin, _ = strings.Cut(rest, " and ")
		}
		if err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		if line == "ready" {
			return nil
		}
	}
	return fmt.Errorf("dormouse serve ended before it was ready")
}

// stop sends SIGTERM and returns the exit status, or -1 if the process is
// still there ten seconds later.
func (b *broker) stop() int {
	b.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
		return b.process.ProcessState.ExitCode()
	case <-time.After(10 * time.Second):
		return -1
	}
}

// A transcript is a buffer that may be read while it is written.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *transcript) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// eventually waits until text is there.
func (b *transcript) eventually(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(b.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q does not come after\n%s", text, b)
		}
	}
}

func (b *transcript) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
