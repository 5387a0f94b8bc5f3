package soak

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server is "dormouse serve" on free ports of loopback, with its store on
// disk. In a short run it repeats what is lost as soon as the fleet does, so
// that it has arrived by the end.
type server struct {
	t            *testing.T
	cmd          *exec.Cmd
	log          bytes.Buffer // to be read once it has ended
	mqtt, snPort string
	metrics      string
	socket       string
	ended        chan struct{} // closed when it has
}

func start(t *testing.T, binary, dir string) *server {
	s := &server{t: t, socket: filepath.Join(dir, "admin"), ended: make(chan struct{})}
	s.cmd = exec.Command(binary, "serve",
		"--set", `listeners=[{name: mqtt, type: tcp, address: "127.0.0.1:0"}, {name: sn, type: mqttsn-udp, address: "127.0.0.1:0"}]`,
		"--set", "admin.listen=127.0.0.1:0", "--set", "admin.unix_socket="+s.socket,
		"--set", "data_dir="+filepath.Join(dir, "data"),
		"--set", "limits.queue.messages=1000000", "--set", "limits.queue.bytes=1GiB") // for who gets it all
	if *soakFor < enough {
		s.cmd.Args = append(s.cmd.Args, "--set", "mqttsn.retry.interval=1s")
	}
	s.cmd.Stderr = &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.ended
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		switch what, where, _ := strings.Cut(lines.Text(), " on "); what {
		case "MQTT":
			s.mqtt = strings.TrimSuffix(where, "/tcp")
		case "MQTT-SN":
			_, s.snPort, _ = net.SplitHostPort(strings.TrimSuffix(where, "/udp"))
		case "Admin":
			url, _, _ := strings.Cut(where, " and ")
			s.metrics = url + "/metrics"
		}
	}
	go func() {
		defer close(s.ended)
		io.Copy(io.Discard, out)
		s.cmd.Wait()
	}()
	if s.mqtt == "" || s.snPort == "" || s.metrics == "" {
		t.Fatal("dormouse serve does not say where it listens")
	}
	return s
}

// stop ends it as a supervisor would, and checks that it had no objection.
func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		s.t.Fatal("the server does not end")
	}
	if status := s.cmd.ProcessState.ExitCode(); status != 0 {
		s.t.Errorf("the server exits %d:\n%s", status, &s.log)
	}
}

// sample asks what the server takes, and after its garbage is collected twice what
// its heap does, if that is wanted: what is pooled outlives one collection.
func (s *server) sample(heap bool) sample {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	one := sample{files: len(files), goroutines: number(s.t, s.get(http.DefaultClient, s.metrics), "\ngo_goroutines ")}
	if !heap {
		return one
	}
	operator := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.socket)
		},
	}}
	for range 2 {
		one.heap = number(s.t, s.get(operator, "http://dormouse/debug/pprof/heap?gc=1&debug=1"), "# HeapAlloc = ")
	}
	return one
}

func (s *server) get(c *http.Client, url string) string {
	resp, err := c.Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(text)
}

// number is the one that follows in text.
func number(t *testing.T, text, after string) int {
	_, rest, _ := strings.Cut(text, after)
	var n float64
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("no number follows %q: %v", after, err)
	}
	return int(n)
}
