package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnwritable: what could not be written in the end is told before anything
// runs, and what is there is left alone until then.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept.json")
	if err := os.WriteFile(kept, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"--report " + dir, "--json " + dir, "--report " + filepath.Join(dir, "none", "r.html"),
		"--json " + kept + " --report " + filepath.Join(dir, "r.html") + " --against " + filepath.Join(dir, "missing.json"),
	} {
		status, out, errs := simulate(t, "mass-wake --nodes 1 "+line)
		if status != statusUsage || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("with %s it exits %d and says\n%s%s", line, status, out, errs)
		}
	}
	if text, err := os.ReadFile(kept); err != nil || string(text) != "before" {
		t.Errorf("an older result is %q now, %v", text, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("there are %v now, %v", files, err)
	}
	status, out, errs := simulate(t, "mass-wake --nodes 1 --json "+kept+" --report /dev/null")
	if status != 0 || !strings.Contains(out, "1 device,") || !strings.Contains(errs, ": 1 device,") {
		t.Errorf("it exits %d and says\n%s%s", status, out, errs)
	}
	if text, err := os.ReadFile(kept); err != nil || !strings.Contains(string(text), `"passed":true`) {
		t.Errorf("the result is %q, %v", text, err)
	}
}

// TestTwoRuns: the second one says that it has no socket, and runs.
func TestTwoRuns(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	path := controlPath("")
	if stop, err := new(control).serve(path); err == nil { // else somebody has it already
		defer stop()
	}
	status, _, errs := command(t, "sim run mass-wake --nodes 1")
	if status != 0 || !strings.Contains(errs, `"dormouse sim set" does not reach this run, as `+path) || !strings.Contains(errs, "with --control\n") {
		t.Errorf("it exits %d and says\n%s", status, errs)
	}
}
