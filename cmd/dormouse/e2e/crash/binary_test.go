package crash

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dormouse/mqttsn/clock"
)

var kills = flag.Int("crash.kills", 20, "how many times to kill the real binary")

// patience bounds every wait: running out of it is a failure, and nothing is
// ever proven by it.
const patience = 20 * time.Second

// dormouse is the path of the binary under test.
var dormouse string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dormouse-crash")
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	dormouse = filepath.Join(dir, "dormouse")
	if out, err := exec.Command("go", "build", "-o", dormouse, "dormouse/cmd/dormouse").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "crash: building the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A victim is the real broker, which is killed and started again in the same
// directory and on the same addresses.
type victim struct {
	dir, tcp, udp string
	admin         string     // where its metrics are
	settings      []string   // beside those of every victim
	disk          *smallDisk // that dir is on; nil: the machine's
	process       *exec.Cmd
	ready         chan error    // gets nil, or why it is not
	ended         chan struct{} // closed when the process is gone
	log           bytes.Buffer  // standard error; not to be read before it has ended
}

func newVictim(dir string) (*victim, error) {
	v := &victim{dir: dir, tcp: "127.0.0.1:0", udp: "127.0.0.1:0"}
	if err := v.start(); err != nil {
		return nil, err
	}
	return v, v.await()
}

// start begins another life.
func (v *victim) start() error {
	args := []string{"serve"}
	for _, s := range []string{
		"data_dir=" + v.data(),
		"listeners.mqtt.address=" + v.tcp,
		"listeners.sn.address=" + v.udp,
		"listeners.ws.address=127.0.0.1:0",
		"admin.listen=127.0.0.1:0",
		"admin.unix_socket=" + filepath.Join(v.dir, "s"),
		"mqttsn.retry.interval=1s",
		"mqttsn.retry.max=10",
		"limits.queue.messages=100000",
		"limits.queue.bytes=64MiB",
		"limits.connect_rate=100000/s",
		"limits.max_connections_per_ip=10000",
		"limits.unauthenticated_udp.responses_per_prefix=100000/s",
	} {
		args = append(args, "--set", s)
	}
	for _, s := range v.settings {
		args = append(args, "--set", s)
	}
	v.process = exec.Command(dormouse, args...)
	if v.disk != nil {
		v.process = v.disk.command(dormouse, args...)
	}
	v.process.Dir = v.dir
	v.log.Reset()
	v.process.Stderr = &v.log
	out, err := v.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := v.process.Start(); err != nil {
		return err
	}
	v.ready, v.ended = make(chan error, 1), make(chan struct{})
	go v.attend(v.process, out, v.ready, v.ended)
	return nil
}

// attend reads what the broker opened, up to the line "ready", and sees it end.
func (v *victim) attend(p *exec.Cmd, out io.Reader, ready chan<- error, ended chan<- struct{}) {
	said := false
	var tcp, udp, admin string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MQTT on "); ok {
			tcp = strings.TrimSuffix(rest, "/tcp")
		}
		if rest, ok := strings.CutPrefix(lines.Text(), "MQTT-SN on "); ok {
			udp = strings.TrimSuffix(rest, "/udp")
		}
		if rest, ok := strings.CutPrefix(lines.Text(), "Admin on "); ok {
			admin, _, _ = strings.Cut(rest, " ")
		}
		if lines.Text() == "ready" && !said {
			said = true
			v.tcp, v.udp, v.admin = tcp, udp, admin
			ready <- nil
		}
	}
	p.Wait()
	if !said {
		ready <- errors.New("it ended before it was ready")
	}
	close(ended)
}

func (v *victim) await() error {
	select {
	case err := <-v.ready:
		if err != nil {
			<-v.ended
			return fmt.Errorf("%w: %s", err, v.log.String())
		}
		return nil
	case <-time.After(patience):
		return errors.New("dormouse serve is not ready")
	}
}

// kill is kill -9.
func (v *victim) kill() {
	v.process.Process.Kill()
	<-v.ended
}

// TestNothingIsLostByKill: the real binary under 32 sensors, half of which
// sleep, and 8 MQTT clients is killed at random instants, in the midst of what
// it does with its files, while it starts, and when all who sleep have only to
// wake.
func TestNothingIsLostByKill(t *testing.T) {
	first, n := uint64(time.Now().UnixNano()), (*kills+len(aims)-1)/len(aims)
	if *seed != 0 {
		first, n = *seed, 1
	}
	start := time.Now()
	saw := &deaths{at: make(map[string]int)}
	var all sync.WaitGroup
	next := make(chan uint64)
	for range 4 {
		all.Go(func() {
			for seed := range next {
				dir, err := os.MkdirTemp("", "dormouse")
				if err != nil {
					t.Error(err)
					continue
				}
				if wrong := killAll(seed, dir, saw); len(wrong) > 0 {
					blame(t, seed, wrong)
				}
				os.RemoveAll(dir)
			}
		})
	}
	for i := range uint64(n) {
		next <- first + i
	}
	close(next)
	all.Wait()
	t.Logf("%d brokers killed %v in %v, having flushed %d times and compacted %d times; seeds from %d",
		n, saw.at, time.Since(start).Round(time.Second), saw.flushes, saw.compactions, first)
	if n >= 4 && (saw.at[whileTable] == 0 || saw.at[whileLog] == 0 || saw.flushes == 0 || saw.compactions == 0) {
		t.Error("the brokers had too little to do, or were never killed in the midst of it")
	}
}

// killAll is one run. It returns what was wrong.
func killAll(seed uint64, dir string, saw *deaths) (wrong []string) {
	p := newRealPlan(seed, 32, 8)
	v, err := newVictim(dir)
	if err != nil {
		return []string{err.Error()}
	}
	defer func() { v.kill() }()
	return p.live(v, func() error { return v.dieOften(p, saw) })
}

// newRealPlan is one for the real binary.
func newRealPlan(seed uint64, sensors, apps int) *plan {
	p := &plan{h: newHistory(), seed: seed, sensors: sensors, apps: apps, pace: 100 * time.Millisecond, retry: 300 * time.Millisecond}
	p.h.realTime = true
	return p
}

// live has all clients of p, once they have subscribed, publish until what
// happens to v has happened, and then get what is theirs. It returns what was wrong.
func (p *plan) live(v *victim, happens func() error) (wrong []string) {
	stop := make(chan struct{})
	var clients sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	defer end()
	ready := make(chan struct{}, p.sensors)
	for i := range p.sensors {
		d, err := newUDPSensor(p, i, v.udp)
		if err != nil {
			return []string{err.Error()}
		}
		clients.Go(func() { d.run(stop, ready) })
	}
	var apps []*pahoApp
	for i := range p.apps {
		a := newPahoApp(p, i, v.tcp)
		apps = append(apps, a)
		clients.Go(func() { a.run(stop) })
	}
	for range p.sensors {
		select {
		case <-ready:
		case <-time.After(patience):
			return []string{"the sensors do not get ready"}
		}
	}
	if !soon(func() bool {
		for _, a := range apps {
			if !a.asked.Load() {
				return false
			}
		}
		return true
	}) {
		return []string{"the MQTT clients do not get ready"}
	}
	p.running.Store(true)
	if err := happens(); err != nil {
		return []string{err.Error()}
	}
	p.h.await()
	kept, err := retained(v.tcp)
	if err != nil {
		return []string{err.Error()}
	}
	end()
	p.h.mu.Lock()
	p.h.kept = kept
	p.h.mu.Unlock()
	return p.h.check()
}

// soon waits until done, and reports whether that was in time.
func soon(done func() bool) bool {
	tick, end := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
	return true
}

// A udpSensor is a sensor with a socket.
type udpSensor struct {
	*sensor
	conn net.Conn
}

func newUDPSensor(p *plan, i int, address string) (*udpSensor, error) {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return nil, err
	}
	s := newSensor(p, i, clock.Now(), func(b []byte) { conn.Write(b) }) // an error says that the broker is down
	p.h.mu.Lock()
	p.h.wills[s.will()] = false
	p.h.mu.Unlock()
	return &udpSensor{s, conn}, nil
}

// run drives the sensor until stop, and says when it has its subscriptions.
func (d *udpSensor) run(stop <-chan struct{}, ready chan<- struct{}) {
	defer d.conn.Close()
	said := false
	buf := make([]byte, 1<<16)
	for {
		select {
		case <-stop:
			return
		default:
		}
		now := clock.Now()
		d.step(now)
		if !said && d.sensor.ready() {
			said = true
			ready <- struct{}{}
		}
		wait := time.Millisecond
		if at := d.next(); at > now {
			wait = min(at.Sub(now), 50*time.Millisecond)
		}
		d.conn.SetReadDeadline(time.Now().Add(wait))
		if n, err := d.conn.Read(buf); err == nil {
			d.gets(clock.Now(), buf[:n])
		}
	}
}
