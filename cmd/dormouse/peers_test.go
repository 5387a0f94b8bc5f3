package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A peer is a broker to be measured, running as a process of its own.
type peer struct {
	child
	name string
	addr *net.TCPAddr
}

// A child is a process that a benchmark has started.
type child struct {
	b   testing.TB
	cmd *exec.Cmd
}

// cpu returns the time that the process has computed so far, user and system.
func (c *child) cpu() time.Duration {
	c.b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		c.b.Fatal(err)
	}
	// Fields 14 and 15 of proc(5), in hundredths of a second; the second, the
	// name in brackets, is the only one that may hold blanks.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, err1 := strconv.Atoi(f[14-3])
	system, err2 := strconv.Atoi(f[15-3])
	if err1 != nil || err2 != nil {
		c.b.Fatalf("%q is not what /proc/PID/stat looked like", stat)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss returns the resident memory of the process in octets.
func (c *child) rss() int { return c.status("VmRSS:") }

// maxRSS returns the most that rss has been.
func (c *child) maxRSS() int { return c.status("VmHWM:") }

func (c *child) status(field string) int {
	c.b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), field)
	var kilo int
	if _, err := fmt.Sscan(after, &kilo); err != nil {
		c.b.Fatalf("%s in /proc/PID/status: %v", field, err)
	}
	return kilo << 10
}

// startPeers starts us and those we are to be measured beside, as far as they
// are there.
func startPeers(b *testing.B) []*peer {
	b.Helper()
	peers := []*peer{startDormouse(b), startMochi(b)}
	if path, err := exec.LookPath("/usr/sbin/mosquitto"); err == nil {
		peers = append(peers, startMosquitto(b, path))
	} else {
		b.Log("no row for Mosquitto, which is not installed: apt-get install mosquitto")
	}
	return peers
}

// startDormouse starts the binary that "make build" leaves, its bounds out of
// the way of the load. With DORMOUSE_PROFILE set it is this test binary, which
// writes a CPU profile to the file of that name when it ends.
func startDormouse(b *testing.B) *peer {
	b.Helper()
	s := startBuilt(b,
		"--set", "limits.max_connections_per_ip=100000",
		"--set", "limits.retained.per_publisher=1000000",
		"--set", "limits.retained.replay_per_subscribe=1000000")
	addr, err := net.ResolveTCPAddr("tcp", s.tcp)
	if err != nil {
		b.Fatal(err)
	}
	return &peer{s.child, "dormouse", addr}
}

// profiled is "dormouse" with a CPU profile of its life.
func profiled() {
	f, err := os.Create(os.Getenv("DORMOUSE_PROFILE"))
	if err != nil {
		panic(err)
	}
	pprof.StartCPUProfile(f)
	status := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	pprof.StopCPUProfile()
	os.Exit(status)
}

// startMochi starts mochi as it comes, every client let in.
func startMochi(b *testing.B) *peer {
	addr := freeAddr(b)
	cmd := exec.Command("/proc/self/exe", addr.String())
	cmd.Args[0] = "bare-mochi"
	return startPeer(b, "mochi", addr, cmd)
}

// bareMochi is the process that startMochi starts.
func bareMochi() {
	s := mochi.New(nil)
	s.AddHook(new(allowAll), nil)
	err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "bench", Address: os.Args[1]}))
	if err == nil {
		err = s.Serve()
	}
	if err != nil {
		panic(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}

// allowAll lets everybody do everything.
type allowAll struct{ mochi.HookBase }

func (allowAll) ID() string { return "allow-all" }
func (allowAll) Provides(q byte) bool {
	return q == mochi.OnConnectAuthenticate || q == mochi.OnACLCheck
}
func (allowAll) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (allowAll) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// startMosquitto starts Debian's Mosquitto with the same windows as ours. Its
// queues are without bounds and Nagle is off, as in the others.
func startMosquitto(b *testing.B, path string) *peer {
	b.Helper()
	addr := freeAddr(b)
	file := filepath.Join(b.TempDir(), "mosquitto.conf")
	config := fmt.Sprintf("listener %d 127.0.0.1\n", addr.Port) + `
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 64
set_tcp_nodelay true
log_dest none
`
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		b.Fatal(err)
	}
	return startPeer(b, "mosquitto", addr, exec.Command(path, "-c", file))
}

// freeAddr returns an address on loopback that nobody listens on.
func freeAddr(b *testing.B) *net.TCPAddr {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr)
}

// startPeer starts a broker and waits until it accepts clients.
func startPeer(b *testing.B, name string, addr *net.TCPAddr, cmd *exec.Cmd) *peer {
	b.Helper()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for since := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.DialTCP("tcp", nil, addr)
		if err == nil {
			conn.Close()
			return &peer{child{b, cmd}, name, addr}
		}
		if time.Since(since) > silence {
			b.Fatalf("%s does not listen: %v", name, err)
		}
	}
}

// A built is the binary of "make build", running.
type built struct {
	child
	tcp, udp string
}

func startBuilt(b *testing.B, flags ...string) *built {
	b.Helper()
	args := append([]string{"serve",
		"--set", "listeners.mqtt.address=127.0.0.1:0", "--set", "listeners.sn.address=127.0.0.1:0",
		"--set", "listeners.ws.address=127.0.0.1:0", "--set", "admin.enabled=false", "--set", "durability.store=memory"}, flags...)
	cmd := exec.Command("../../bin/dormouse", args...)
	if os.Getenv("DORMOUSE_PROFILE") != "" {
		cmd = exec.Command("/proc/self/exe", args...)
		cmd.Args[0] = "dormouse-profiled"
	}
	s := &built{child: child{b, cmd}}
	var log bytes.Buffer
	s.cmd.Stderr = &log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		b.Fatalf("%v; run: make build", err)
	}
	b.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		if err := s.cmd.Wait(); err != nil {
			b.Errorf("dormouse serve: %v\n%s", err, &log)
		}
	})
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		fmt.Sscanf(lines.Text(), "MQTT on %s", &s.tcp)
		fmt.Sscanf(lines.Text(), "MQTT-SN on %s", &s.udp)
	}
	s.tcp, s.udp = strings.TrimSuffix(s.tcp, "/tcp"), strings.TrimSuffix(s.udp, "/udp")
	return s
}
