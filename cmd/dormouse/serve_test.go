package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dormouse/cmd/dormouse/config"
)

// failAfter bounds every wait for an answer; running out of it is a failure.
const failAfter = 20 * time.Second

// A process is a running "dormouse serve".
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out      *bufio.Scanner
	err      bytes.Buffer
	tcp, udp string // addresses
	opened   []string
}

// serve starts the test's own binary as dormouse, on free ports, and waits for
// it to be ready.
func serve(t *testing.T, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), self)}
	p.cmd.Args = append([]string{"dormouse", "serve",
		"--set", "listeners.mqtt.address=127.0.0.1:0", "--set", "listeners.sn.address=127.0.0.1:0",
		"--set", "listeners.ws.address=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0",
		"--set", "admin.unix_socket=" + filepath.Join(t.TempDir(), "s"),
		"--set", "data_dir=" + filepath.Join(t.TempDir(), "data")}, args...)
	p.cmd.Stderr = &p.err
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for p.out.Scan() && p.out.Text() != "ready" {
		p.opened = append(p.opened, p.out.Text())
		if rest, ok := strings.CutPrefix(p.out.Text(), "MQTT on "); ok {
			p.tcp = strings.TrimSuffix(rest, "/tcp")
		}
		if rest, ok := strings.CutPrefix(p.out.Text(), "MQTT-SN on "); ok {
			p.udp = strings.TrimSuffix(rest, "/udp")
		}
	}
	if p.tcp == "" || p.udp == "" {
		t.Fatalf("dormouse serve did not say where it listens; it wrote:\n%s", &p.err)
	}
	return p
}

// stop sends sig and returns the exit status.
func (p *process) stop(sig syscall.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	for p.out.Scan() {
		p.t.Errorf("after \"ready\" it printed %q", p.out.Text())
	}
	p.cmd.Wait() // its status says more than its error
	return p.cmd.ProcessState.ExitCode()
}

// talk sends octets to address and returns what comes back within failAfter.
func talk(t *testing.T, network, address, octets string) (net.Conn, string) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(failAfter))
	if _, err := io.WriteString(conn, octets); err != nil {
		t.Fatal(err)
	}
	return conn, hear(t, conn)
}

func hear(t *testing.T, conn net.Conn) string {
	t.Helper()
	b := make([]byte, 256)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

const (
	connect5   = "\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02m5"
	connectSN  = "\x08\x04\x04\x01\x00\x3csn"
	connackSN  = "\x03\x05\x00"
	goodbyeSN  = "\x02\x18"
	connack5   = "\x20"
	disconnect = "\xe0"
)

// TestServe opens what it says it opened, and on SIGTERM and SIGINT takes
// leave of clients of both kinds and exits with status 0.
func TestServe(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p := serve(t)
			mqtt, answer := talk(t, "tcp", p.tcp, connect5)
			if !strings.HasPrefix(answer, connack5) {
				t.Fatalf("CONNECT was answered by %x, want CONNACK", answer)
			}
			sensor, answer := talk(t, "udp", p.udp, connectSN)
			if answer != connackSN {
				t.Fatalf("MQTT-SN CONNECT was answered by %x, want %x", answer, connackSN)
			}
			if status := p.stop(sig); status != 0 {
				t.Errorf("exit status %d, want 0; it wrote:\n%s", status, &p.err)
			}
			if got := hear(t, sensor); got != goodbyeSN {
				t.Errorf("the sensor was told %x, want DISCONNECT", got)
			}
			if got := hear(t, mqtt); len(got) < 3 || got[:1] != disconnect || got[2] != 0x8b {
				t.Errorf("the MQTT client was told %x, want DISCONNECT with 8b", got)
			}
			if log := p.err.String(); !strings.Contains(log, `"event":"started"`) || !strings.Contains(log, `"client":"sn"`) {
				t.Errorf("the log is\n%s\nwant the start and the sensor in it", log)
			}
		})
	}
}

// TestPortTaken exits with status 3 and says which port and what to do, for
// TCP and for UDP, which others may hold by SO_REUSEPORT.
func TestPortTaken(t *testing.T) {
	first := serve(t)
	for _, tt := range []struct{ set, want string }{
		{"listeners.mqtt.address=" + first.tcp, "dormouse serve: " + first.tcp + "/tcp is in use by another program; stop that, or choose another port with listeners.mqtt.address\n"},
		{"listeners.sn.address=" + first.udp, "dormouse serve: " + first.udp + "/udp is in use by another program; stop that, or choose another port with listeners.sn.address\n"},
	} {
		var out, errs bytes.Buffer
		status := run([]string{"serve", "--set", "durability.store=memory", "--set", "listeners.mqtt.address=127.0.0.1:0",
			"--set", "listeners.sn.address=127.0.0.1:0",
			"--set", "listeners.ws.address=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0", "--set", tt.set}, strings.NewReader(""), &out, &errs)
		if status != 3 || errs.String() != tt.want || out.Len() > 0 {
			t.Errorf("serve --set %s: status %d, it wrote %q; want status %d, %q", tt.set, status, errs.String()+out.String(), 3, tt.want)
		}
	}
	if status := first.stop(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

// TestCannotOpen says what to do about each reason.
func TestCannotOpen(t *testing.T) {
	l := &config.Default().Listeners[1]
	for err, want := range map[error]string{
		syscall.EADDRINUSE:    "127.0.0.1:1884/udp is in use by another program; stop that, or choose another port with listeners.sn.address",
		syscall.EACCES:        "127.0.0.1:1884/udp may not be opened by this user; choose a port from 1024 on with listeners.sn.address",
		syscall.EADDRNOTAVAIL: "127.0.0.1:1884/udp is no address of this machine; choose another with listeners.sn.address",
		io.ErrShortBuffer:     "127.0.0.1:1884/udp cannot be opened: short buffer",
	} {
		if got := cannotOpen(l, err).Error(); got != want {
			t.Errorf("cannotOpen(%v) says %q, want %q", err, got, want)
		}
	}
}
