package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// run runs dormouse to its end and returns its exit status and what it wrote.
func run(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return runProgram(t, "", dormouse, args...)
}

// runProgram runs any program to its end.
func runProgram(t testing.TB, stdin, name string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// A program runs beside the test and prints lines.
type program struct {
	t     testing.TB
	name  string
	lines chan string // closed at its end
	errs  transcript  // standard error

	process *os.Process
	ended   chan struct{} // closed when the process is gone
}

// spawn starts a program that ends when it will, or with the test.
func spawn(t testing.TB, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: name, lines: make(chan string, 4096), ended: make(chan struct{})}
	cmd := exec.Command(name, args...)
	cmd.Stderr = &p.errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.process = cmd.Process
	go func() {
		defer close(p.ended)
		for out := bufio.NewScanner(stdout); out.Scan(); {
			p.lines <- out.Text()
		}
		close(p.lines)
		cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the program as a power cut would.
func (p *program) kill() {
	p.process.Kill()
	for range p.lines { // what nobody wanted
	}
	<-p.ended
}

// line returns the next line of the program.
func (p *program) line() string {
	p.t.Helper()
	line := await(p.t, p.lines, "line from "+p.name)
	if line == "" {
		p.t.Fatalf("%s has ended: %s", p.name, &p.errs)
	}
	return line
}

// until returns the next line that begins like this, and forgets those before.
func (p *program) until(begin string) string {
	p.t.Helper()
	for {
		if line := p.line(); strings.HasPrefix(line, begin) {
			return line
		}
	}
}
