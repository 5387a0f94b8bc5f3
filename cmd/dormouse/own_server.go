package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An ownServer is "dormouse serve" of this binary, on loopback, for the simulator
// to run against. It ends with us, however that is.
type ownServer struct {
	settings settings
	nodes    bool    // devices are behind a forwarder
	keys     simKeys // of devices that speak DTLS; nil: none does
	cmd      *exec.Cmd
	ended    chan struct{} // closed when cmd has
	log      *tail
	toll     toll         // of those that we ended
	ending   *atomic.Bool // by us: this one, not the next
	fell     func(error)  // told if it ends by itself, once it has served

	dir     string // of its data, which goes with it
	forgets bool   // all that it knows when it is restarted

	sn, sns, mqtt netip.AddrPort // where it listens: the same after a restart
}

// startOwnServer starts one on free ports and returns when it serves. If it
// ends of itself later, it is told to fell.
func startOwnServer(ctx context.Context, s settings, nodes bool, keys simKeys, fell func(error)) (*ownServer, error) {
	o := &ownServer{settings: s, nodes: nodes, keys: keys, fell: fell}
	local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	o.sn, o.sns, o.mqtt = local, local, local
	var err error
	if o.dir, err = os.MkdirTemp("", "dormouse-sim"); err != nil {
		return nil, err
	}
	if keys != nil {
		err = keys.write(o.keyFile())
	}
	if err == nil {
		err = o.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(o.dir))
	}
	return o, nil
}

// args are its command line. Sensors on loopback are not strangers to it; what
// it would take from the observer is lifted: its queue is as long as need be.
func (o *ownServer) args() []string {
	args := []string{"dormouse", "serve"}
	if o.settings.Config != nil {
		args = append(args, "-c", *o.settings.Config)
	}
	secured := ""
	if o.keys != nil {
		secured = fmt.Sprintf(", {name: sns, type: mqttsn-dtls, address: %q, dtls: {psk_file: %q}}", o.sns, o.keyFile())
	}
	sets := []string{
		fmt.Sprintf("listeners=[{name: mqtt, type: tcp, address: %q}, {name: sn, type: mqttsn-udp, address: %q}%s]", o.mqtt, o.sn, secured),
		"admin.enabled=false",
		"data_dir=" + filepath.Join(o.dir, "data"),
		"limits.queue.messages=1000000",
		"limits.queue.bytes=1GiB",
	}
	if o.nodes { // they are strangers, wherever their forwarder is
		sets = append(sets, "mqttsn.forwarders=[127.0.0.0/8]",
			"limits.unauthenticated_udp.responses_per_prefix=1000000/s", "limits.connect_rate=1000000/s")
	}
	for _, set := range append(sets, o.settings.Set...) {
		args = append(args, "--set", set)
	}
	return args
}

func (o *ownServer) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.cmd = &exec.Cmd{Path: self, Args: o.args(), SysProcAttr: ownAttributes()}
	o.log = new(tail)
	ending := new(atomic.Bool)
	o.ending = ending
	o.cmd.Stderr = o.log
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := o.cmd.Start(); err != nil {
		return err
	}
	ready, ended := make(chan bool, 1), make(chan struct{})
	o.ended = ended
	cmd := o.cmd
	go func() {
		served := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			o.opened(lines.Text())
			if lines.Text() == "ready" {
				served = true
				ready <- true
			}
		}
		cmd.Wait() // how it ended is in its log
		close(ended)
		if served && !ending.Load() {
			o.fell(early(cmd))
		}
	}()
	select {
	case <-ready:
		return nil
	case <-ended:
		return fmt.Errorf("dormouse serve has ended:\n%s", o.log)
	case <-ctx.Done():
		o.kill()
		return context.Cause(ctx)
	}
}

// keyFile is where the keys of devices are, for the server to read.
func (o *ownServer) keyFile() string { return filepath.Join(o.dir, "psk") }

// opened learns from a line where the server listens.
func (o *ownServer) opened(line string) {
	if rest, ok := strings.CutPrefix(line, "MQTT on "); ok {
		o.mqtt, _ = netip.ParseAddrPort(strings.TrimSuffix(rest, "/tcp"))
	}
	if rest, ok := strings.CutPrefix(line, "MQTT-SN on "); ok {
		o.sn, _ = netip.ParseAddrPort(strings.TrimSuffix(rest, "/udp"))
	}
	if rest, ok := strings.CutPrefix(line, "MQTT-SN over DTLS on "); ok {
		o.sns, _ = netip.ParseAddrPort(strings.TrimSuffix(rest, "/udp"))
	}
}

// kill ends it without notice.
func (o *ownServer) kill() {
	memory := o.peak()
	o.ending.Store(true)
	o.cmd.Process.Kill()
	<-o.ended
	o.toll.end(o.cmd, memory)
}

// peak is how much memory it has had.
func (o *ownServer) peak() uint64 { return peak(strconv.Itoa(o.cmd.Process.Pid)) }

// restart kills it, and starts it again after a while.
func (o *ownServer) restart(ctx context.Context, down time.Duration) error {
	o.kill()
	if o.forgets {
		if err := os.RemoveAll(filepath.Join(o.dir, "data")); err != nil {
			return err
		}
	}
	select {
	case <-time.After(down):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return o.start(ctx)
}

// early is that cmd has ended, and not by us.
func early(cmd *exec.Cmd) error {
	return fmt.Errorf("dormouse serve has ended before its time: %v", cmd.ProcessState)
}

// stop has it take leave, if it has not ended yet. The error says that it had
// to be killed, or had ended of itself.
func (o *ownServer) stop() (err error) {
	defer func() {
		if e := os.RemoveAll(o.dir); err == nil {
			err = e
		}
	}()
	select {
	case <-o.ended:
		if o.ending.Load() {
			return nil
		}
		return fmt.Errorf("%w\n%s", early(o.cmd), o.log)
	default:
	}
	memory := o.peak()
	o.ending.Store(true)
	o.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-o.ended:
		o.toll.end(o.cmd, memory)
		return nil
	case <-time.After(drainTime + time.Second):
		o.kill()
		return errors.New("dormouse serve did not end when it was told to, and was killed")
	}
}

// A tail is the last that was written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailMost is how much it keeps, in octets.
const tailMost = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > 2*tailMost {
		t.text = append(t.text[:0], t.text[len(t.text)-tailMost:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.text
	if len(text) > tailMost {
		text = text[len(text)-tailMost:]
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return strings.TrimRight(string(text), "\n")
}

// ownAttributes have it be of a process group of its own, so that Ctrl-C at the
// terminal is for us alone, and die with us.
func ownAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
