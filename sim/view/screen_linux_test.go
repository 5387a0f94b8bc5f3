package view

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"
)

// failAfter bounds every wait; running out of it is a failure.
const failAfter = 20 * time.Second

// A terminal is the far end of a pseudo-terminal: what a person sees and types.
type terminal struct {
	t    *testing.T
	pty  *os.File // ours
	tty  *os.File // the program's
	more chan struct{}

	mu  sync.Mutex
	out strings.Builder
}

func openTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, pty: pty, tty: tty, more: make(chan struct{}, 1)}
	x.resize(width, height)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := pty.Read(b)
			x.mu.Lock()
			x.out.Write(b[:n])
			x.mu.Unlock()
			select {
			case x.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { tty.Close(); pty.Close() })
	return x
}

func (x *terminal) resize(width, height uint16) {
	x.t.Helper()
	if err := unix.IoctlSetWinsize(int(x.tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		x.t.Fatal(err)
	}
}

// sees waits until all of texts have been written, and forgets what was.
func (x *terminal) sees(texts ...string) {
	x.t.Helper()
	for late := time.After(failAfter); ; {
		x.mu.Lock()
		out, missing := x.out.String(), ""
		for _, text := range texts {
			if !strings.Contains(out, text) {
				missing = text
			}
		}
		if missing == "" {
			x.out.Reset()
			x.mu.Unlock()
			return
		}
		x.mu.Unlock()
		select {
		case <-x.more:
		case <-late:
			x.t.Fatalf("%q does not appear; there is %q", missing, out)
		}
	}
}

// TestTerminal: on a real terminal the screen is another one than the shell's,
// follows its size, hears keys and leaves no trace.
func TestTerminal(t *testing.T) {
	x := openTerminal(t, 100, 40)
	quit := make(chan struct{})
	s := newScreen(about(true), Keys{Quit: func() { close(quit) }},
		tea.WithInput(x.tty), tea.WithOutput(x.tty), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
	s.Show(at(40), noon)
	x.sees("\x1b[?1049h", "mass-wake", "9,800")
	s.Show(at(50), noon.Add(time.Second))
	x.sees("500") // it draws what has changed, and nothing else
	x.resize(40, 20)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	x.sees("mass-wake")
	if _, err := x.pty.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-quit:
	case <-time.After(failAfter):
		t.Fatal("q does not end the run")
	}
	x.sees("ending")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	x.sees("\x1b[?1049l")
}
