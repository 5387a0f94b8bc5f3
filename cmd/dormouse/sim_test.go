package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dormouse/sim/scenario"
)

// simulate runs "dormouse sim run" in this process, with a control socket of
// its own.
func simulate(t *testing.T, line string) (status int, out, errs string) {
	t.Helper()
	return command(t, "sim run --control %s/c %s", t.TempDir(), line)
}

// TestShipped: every scenario that comes with the program keeps its promises,
// small, in virtual time.
func TestShipped(t *testing.T) {
	for _, s := range scenario.Shipped() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if status, out, errs := simulate(t, s.Name+" --nodes 100"); status != 0 {
				t.Errorf("it exits %d:\n%s%s", status, out, errs)
			}
		})
	}
}

// TestGatewayRestart: the gateway is killed twice, and none of ten thousand
// sleepers loses anything that it or its publisher had an acknowledgement for.
func TestGatewayRestart(t *testing.T) {
	t.Parallel()
	status, out, errs := simulate(t, "gateway-restart --json -")
	var r struct {
		Groups []struct {
			Name    string
			Devices int
			Metrics map[string]float64
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 {
		t.Fatalf("it exits %d: %v:\n%s%s", status, err, out, errs)
	}
	for _, g := range r.Groups {
		if g.Name == "sleepers" && g.Metrics["reports.acknowledged"] > 10000 {
			return
		}
	}
	t.Errorf("ten thousand sleepers reported less than once each:\n%s", out)
}

// TestShippedOverUDP: and scaled to some ten seconds, quiet-week excepted, by
// the wall clock against the binary, all at once: they mostly wait.
func TestShippedOverUDP(t *testing.T) {
	t.Parallel()
	var runs sync.WaitGroup
	for _, s := range scenario.Shipped() {
		if s.Name == "quiet-week" {
			continue
		}
		runs.Go(func() {
			status, out, errs := simulate(t, s.Name+" --serve --nodes 200 --duration 10s --set mqttsn.retry.interval=1s")
			if status != 0 {
				t.Errorf("%s exits %d:\n%s%s", s.Name, status, out, errs)
			}
		})
	}
	runs.Wait()
}

// TestTopicBound: topic-explosion meets the bound of the gateway, which is a
// smaller one here.
func TestTopicBound(t *testing.T) {
	t.Parallel()
	status, out, errs := simulate(t, "topic-explosion --serve --nodes 30 --duration 10s --set mqttsn.topic_ids.per_client=50 --json -")
	var r struct {
		Groups []struct {
			Name    string
			Metrics map[string]float64
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 {
		t.Fatalf("it exits %d: %v:\n%s", status, err, errs)
	}
	for _, g := range r.Groups {
		if refused := g.Metrics["reports.refused"] > 0; refused != (g.Name == "buggy") {
			t.Errorf("%s: %v reports were refused", g.Name, g.Metrics["reports.refused"])
		}
	}
}

// TestForwarder: devices behind a forwarder find the server of --serve open to
// all of them at once, and nothing is amiss.
func TestForwarder(t *testing.T) {
	t.Parallel()
	status, out, errs := simulate(t, "mass-wake --serve --nodes 500 --duration 10s --with groups.valves.address=forwarder")
	if status != 0 || !strings.Contains(out, "delivered 500") {
		t.Errorf("it exits %d:\n%s%s", status, out, errs)
	}
}

// TestSameSeed: a run in virtual time is the same again, and another with
// another seed.
func TestSameSeed(t *testing.T) {
	result := func(t *testing.T, name, seed string) string {
		t.Helper()
		status, out, errs := simulate(t, name+" --nodes 20 --json - --seed "+seed)
		var r map[string]any
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("it exits %d: %v:\n%s", status, err, errs)
		}
		for _, key := range []string{"elapsed_s", "command", "seed", "used"} {
			delete(r, key)
		}
		b, _ := json.Marshal(r)
		return string(b)
	}
	for _, s := range scenario.Shipped() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			one, again, other := result(t, s.Name, "1"), result(t, s.Name, "1"), result(t, s.Name, "2")
			if one != again {
				t.Error("two runs of one seed differ")
			}
			if one == other {
				t.Error("runs of two seeds do not differ")
			}
		})
	}
}

// TestSilentGateway: nobody answers over UDP, though MQTT does; or neither.
func TestSilentGateway(t *testing.T) {
	t.Parallel()
	p := serve(t)
	_, port, _ := strings.Cut(p.tcp, ":")
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, sn, _ := net.SplitHostPort(silent.LocalAddr().String())
	began := time.Now()
	status, out, errs := simulate(t, "mass-wake --nodes 10 --duration 60s -h 127.0.0.1 -p "+sn+" --mqtt mqtt://127.0.0.1:"+port+" --patience 2s")
	if status != statusUnreachable || strings.Count(errs, "127.0.0.1:"+sn) != 2 || strings.Count(errs, "is it running, and does it speak MQTT-SN 1.2 there?") != 1 {
		t.Errorf("it exits %d and says\n%s%s", status, out, errs)
	}
	if spent := time.Since(began); spent > failAfter {
		t.Errorf("it took %v", spent)
	}
	status, out, errs = simulate(t, "mass-wake --nodes 10 -h 127.0.0.1 -p "+sn+" --mqtt mqtt://127.0.0.1:1")
	if status != statusUnreachable || strings.Count(errs, "\n") != 1 || strings.Count(errs, "mqtt://127.0.0.1:1:") != 1 || strings.Count(errs, "is the server running?") != 1 {
		t.Errorf("without MQTT it exits %d and says\n%s%s", status, out, errs)
	}
}

// A simProcess is "dormouse sim run" in a process of its own.
type simProcess struct {
	out, err bytes.Buffer
	control  string
	ended    chan int
}

// simulating starts one and returns when it has begun.
func simulating(t *testing.T, args ...string) *simProcess {
	t.Helper()
	s := &simProcess{control: filepath.Join(t.TempDir(), "c"), ended: make(chan int, 1)}
	errs, w := io.Pipe()
	read := make(chan struct{}) // all that it says
	go func() {
		status := run(append([]string{"sim", "run", "--control", s.control}, args...), strings.NewReader(""), &s.out, w)
		w.Close()
		<-read
		s.ended <- status
	}()
	started := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 1)
		first := true
		for {
			n, err := errs.Read(b)
			s.err.Write(b[:n])
			if first && n > 0 && b[0] == '%' {
				close(started)
				first = false
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-started:
	case status := <-s.ended:
		t.Fatalf("it exits %d at once:\n%s%s", status, &s.out, &s.err)
	case <-time.After(failAfter):
		t.Fatal("it does not begin")
	}
	return s
}

// status waits for the end.
func (s *simProcess) status(t *testing.T) int {
	t.Helper()
	select {
	case status := <-s.ended:
		return status
	case <-time.After(failAfter):
		t.Fatal("it does not end")
		return 0
	}
}

// slow is a scenario that would take an hour, for what is done meanwhile.
const slow = `
name: slow
groups:
  meters:
    count: 20
    keepalive: 1m
    reports: {every: 10m, qos: 1}
stages:
  - {name: all, for: 1h}
`

// TestWhileItRuns: a group is changed, metrics are scraped, wrong changes are
// refused in words, and SIGINT ends it with a report.
func TestWhileItRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slow.yaml")
	if err := os.WriteFile(file, []byte(slow), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := free.Addr().String()
	free.Close()
	s := simulating(t, file, "--serve", "--metrics", metrics)

	info, err := os.Stat(s.control)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the control socket is %v, %v; want it for this user alone", info, err)
	}
	for line, want := range map[string]string{
		"nobody reports.every=1s":    "nobody",
		"meters reports.everyy=1s":   "everyy",
		"meters reports.every=never": "never",
	} {
		if status, _, errs := command(t, "sim set %s --control %s", line, s.control); status != statusUsage || !strings.Contains(errs, want) {
			t.Errorf("sim set %s exits %d and says %s", line, status, errs)
		}
	}
	if status, _, errs := command(t, "sim set meters reports.every=100ms --control %s", s.control); status != 0 {
		t.Errorf("sim set exits %d and says %s", status, errs)
	}
	received := func() bool {
		answer, err := http.Get("http://" + metrics + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var n float64
			if rest, ok := strings.CutPrefix(line, `dormouse_sim_reports_received_total{group="meters"} `); ok {
				if json.Unmarshal([]byte(strings.TrimSpace(rest)), &n) == nil && n > 100 {
					return true
				}
			}
		}
		return false
	}
	ctx, cancel := context.WithTimeout(t.Context(), failAfter)
	defer cancel()
	for !received() {
		if !pause(ctx, 50*time.Millisecond) {
			t.Fatal("the change has no effect")
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := s.status(t); status != 0 || !strings.Contains(s.out.String(), "the run ended early") || !strings.Contains(s.out.String(), "--serve") {
		t.Errorf("after SIGINT it exits %d and says\n%s%s", status, &s.out, &s.err)
	}
	if _, err := os.Stat(s.control); err == nil {
		t.Error("its socket is still there")
	}
}
