package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a program that is measured. It ends with us, however that is.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   tail
	ended chan struct{} // closed when it has
}

// start starts cmd, whose lines on standard output go to heard.
func start(name string, cmd *exec.Cmd, heard func(line string)) (*process, error) {
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	out := &lines{heard: heard}
	cmd.Stdout, cmd.Stderr = out, &p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		cmd.Wait() // how it ended is in its log
		close(p.ended)
	}()
	return p, nil
}

// stop ends it, by force if it does not within patience.
func (p *process) stop() {
	const patience = 15 * time.Second
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// alive returns an error if it has ended.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %v\n%s", p.name, p.cmd.ProcessState, p.log.String())
	default:
		return nil
	}
}

// cpu returns the time that it has computed so far, user and system, in
// hundredths of a second; zero if it has ended.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// Fields 14 and 15 of proc(5); the second, the name in brackets, is the
	// only one that may hold blanks.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, err1 := strconv.Atoi(f[14-3])
	system, err2 := strconv.Atoi(f[15-3])
	if errors.Join(err1, err2) != nil {
		return 0
	}
	return time.Duration(user+system) * (time.Second / 100)
}

// ownCPU is the same of this process.
func ownCPU() time.Duration {
	var r unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &r) // it fails for no other who
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// rest waits until it has computed nothing for half a second, or most of a
// minute has passed, or ctx ends.
func (p *process) rest(ctx context.Context) {
	const steps = 5
	for quiet, tries := 0, 0; quiet < steps && tries < 500 && p.alive() == nil && ctx.Err() == nil; tries++ {
		before := p.cpu()
		time.Sleep(100 * time.Millisecond)
		if quiet++; p.cpu() > before {
			quiet = 0
		}
	}
}

// rss returns its resident memory in octets, and the most that it has been.
func (p *process) rss() (now, most int) { return p.status("VmRSS:"), p.status("VmHWM:") }

func (p *process) status(field string) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), field)
	var kilo int
	fmt.Sscan(after, &kilo) // zero if it has ended
	return kilo << 10
}

// lines tells of each whole line that is written to it.
type lines struct {
	heard func(string)
	rest  []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.rest = rest
		l.heard(string(line))
	}
}

// A tail is the last that was written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailMost = 4 << 10 // octets

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = append(t.text[:0], t.text[max(0, len(t.text)-tailMost):]...)
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
