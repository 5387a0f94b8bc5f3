package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOwnServerEnds: the server that the simulator starts does not outlive it,
// even if it is killed without a word.
func TestOwnServerEnds(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = []string{"dormouse", "sim", "run", "mass-wake", "--nodes", "10", "--serve", "--plain",
		"--control", filepath.Join(t.TempDir(), "c")}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(errs).Scan() { // its headline: the server is up
		t.Fatal("it does not begin")
	}
	server := ""
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tasks {
		if text, err := os.ReadFile(name); err == nil {
			server += strings.TrimSpace(string(text))
		}
	}
	if !running(server) {
		t.Fatalf("no server runs; its children are %q", server)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed
	for late := time.Now().Add(failAfter); running(server); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the server lives on")
		}
	}
}

// running reports whether there is a process of that id that has not ended.
func running(id string) bool {
	stat, err := os.ReadFile("/proc/" + id + "/stat")
	_, rest, ok := strings.Cut(string(stat), ") ")
	return err == nil && ok && !strings.HasPrefix(rest, "Z")
}
