package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// children are the processes that this one has started and that run.
func children(t *testing.T) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tasks {
		text, _ := os.ReadFile(name) // of a thread that may have ended
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil && running(word) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// scenarioFile writes a scenario and returns the name of its file.
func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scenario.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestGatewayDies: if the server that the simulator has started ends by itself,
// the run ends then, with a report and with words.
func TestGatewayDies(t *testing.T) {
	s := simulating(t, scenarioFile(t, slow), "--serve", "--json", "-")
	pids := children(t)
	if len(pids) != 1 {
		t.Fatalf("children: %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	status := s.status(t)
	var r struct{ Cut string }
	if err := json.Unmarshal(s.out.Bytes(), &r); err != nil || !strings.Contains(r.Cut, "before its time: signal: killed") {
		t.Errorf("its result says %q, %v", r.Cut, err)
	}
	if status != statusFailed || !strings.Contains(s.err.String(), "dormouse sim run: dormouse serve has ended before its time: signal: killed") {
		t.Errorf("it exits %d and says\n%s", status, &s.err)
	}
}

// TestGatewayGone: if any other gateway ends, it is not waited for any longer
// than for one that never was, and there is a report.
func TestGatewayGone(t *testing.T) {
	p := serve(t)
	_, sn, _ := strings.Cut(p.udp, ":")
	lively := strings.Replace(slow, "keepalive: 1m", "keepalive: 1s", 1)
	s := simulating(t, scenarioFile(t, lively), "-h", "127.0.0.1", "-p", sn, "--mqtt", "mqtt://"+p.tcp, "--patience", "2s")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	status := s.status(t)
	if says := "no more word from the gateway at 127.0.0.1:" + sn + " for 2s"; status != statusUnreachable ||
		!strings.Contains(s.err.String(), says) || !strings.Contains(s.out.String(), "the run ended early") {
		t.Errorf("it exits %d and says\n%s%s", status, &s.out, &s.err)
	}
}

// down is a scenario whose gateway is down for an hour, from the first moment.
const down = slow + `
faults:
  - {at: 1ms, kind: gateway-restart, for: 50m}
`

// TestEndedWhileDown: SIGINT ends a run while its gateway is down as it does
// any other.
func TestEndedWhileDown(t *testing.T) {
	s := simulating(t, scenarioFile(t, down), "--serve")
	for late := time.Now().Add(failAfter); len(children(t)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the gateway is not ended")
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := s.status(t); status != 0 || !strings.Contains(s.out.String(), "the run ended early") {
		t.Errorf("it exits %d and says\n%s%s", status, &s.out, &s.err)
	}
}

// TestMachineIsTold: a result says what both sides took of the machine.
func TestMachineIsTold(t *testing.T) {
	for flags, want := range map[string][]string{
		"--serve --duration 5s": {"simulator", "gateway"},
		"":                      {"simulator and gateway"},
	} {
		status, out, errs := simulate(t, "mass-wake --nodes 20 --json - "+flags)
		var r struct {
			Used []struct {
				Who    string
				CPU    float64 `json:"cpu_s"`
				Memory float64 `json:"memory_octets"`
			}
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 {
			t.Fatalf("it exits %d: %v:\n%s", status, err, errs)
		}
		var who []string
		for _, u := range r.Used {
			who = append(who, u.Who)
			if u.CPU <= 0 || u.CPU > failAfter.Seconds() || u.Memory < 4<<20 || u.Memory > 8<<30 {
				t.Errorf("%s took %v s and %v octets", u.Who, u.CPU, u.Memory)
			}
		}
		if fmt.Sprint(who) != fmt.Sprint(want) {
			t.Errorf("%q: it says what %v took, want %v", flags, who, want)
		}
	}
}

// TestNotBegun: a run that cannot begin says why in one line, and where.
func TestNotBegun(t *testing.T) {
	locked := serve(t, "--set", "auth.anonymous.enabled=false")
	_, port, _ := strings.Cut(locked.tcp, ":")
	for line, want := range map[string]struct {
		status int
		says   string
	}{
		"-h 127.0.0.1 --mqtt mqtt://127.0.0.1:" + port: {statusRefused, "mqtt://127.0.0.1:" + port + " does not let us in: "},
		"-h ::1 --mqtt mqtt://" + serve(t).tcp:         {statusUsage, "name the prefix with --sources"},
	} {
		status, _, errs := simulate(t, "mass-wake --nodes 10 "+line)
		last := errs[strings.LastIndex(strings.TrimRight(errs, "\n"), "\n")+1:]
		if status != want.status || strings.Count(last, want.says) != 1 {
			t.Errorf("%s: it exits %d and says\n%s", line, status, errs)
		}
	}
}
