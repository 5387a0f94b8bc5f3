package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dormouse/sim"
	"dormouse/sim/drive"
)

// terminal returns both ends of a pseudo-terminal: what a person sees, and what
// the program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 80, Row: 24}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	return person, program
}

// TestTerminalIsLeft: however a run ends, by itself, in an error or a panic, the
// terminal is as it was, and the cursor and the shell's screen are back.
func TestTerminalIsLeft(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv("TERM", "xterm-256color")
	broken := errors.New("the run breaks")
	for name, end := range map[string]func() error{
		"done":  func() error { return nil },
		"error": func() error { return broken },
		"panic": func() error { panic(broken) },
	} {
		t.Run(name, func(t *testing.T) {
			person, program := terminal(t)
			before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			drawn, seen := make(chan struct{}), make(chan string)
			go func() {
				var all strings.Builder
				b := make([]byte, 4096)
				for shown := false; ; {
					n, err := person.Read(b)
					all.Write(b[:n])
					if !shown && strings.Contains(all.String(), "my-run") {
						shown = true
						close(drawn)
					}
					if err != nil {
						seen <- all.String()
						return
					}
				}
			}()
			r := trial{plan: &sim.Plan{Name: "my-run", Stages: []sim.Stage{{For: time.Hour}}}, site: &site{}, outputs: &outputs{}}
			func() {
				defer func() {
					if p := recover(); p != nil && p != broken {
						panic(p)
					}
				}()
				_, err = r.watch(t.Context(), &streams{in: program, out: program, err: io.Discard}, nil,
					func(ctx context.Context, o drive.Options) (*drive.Outcome, error) {
						o.Sample(&sim.Stats{At: time.Second})
						select {
						case <-drawn:
						case <-time.After(failAfter):
							t.Error("nothing is drawn")
						}
						return nil, end()
					})
			}()
			if name == "error" && !errors.Is(err, broken) {
				t.Errorf("the error is %v", err)
			}
			after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(before, after) {
				t.Errorf("the terminal was %+v and is %+v", before, after)
			}
			program.Close()
			out := <-seen
			for done, undone := range map[string]string{"\x1b[?1049h": "\x1b[?1049l", "\x1b[?25l": "\x1b[?25h"} {
				if !strings.Contains(out, done) || strings.LastIndex(out, undone) < strings.LastIndex(out, done) {
					t.Errorf("%q is not undone in %q", done, out)
				}
			}
		})
	}
}
